"""The example that measures a voice conversion runs as it stands, with scores that need no weights."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import RATE, SMALL, voice

import polygan
from polygan_audio.data import files
from polygan_audio.networks.pitch import PitchTracker
from polygan_audio.scores import measures, speaker, word_errors

EXAMPLE = Path(__file__).parents[3] / "examples/voices.py"
PITCHES = {"ann": 200.0, "bob": 110.0}


def example():
    spec = importlib.util.spec_from_file_location("voices_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of two speakers, trained for one step, with clips that are long enough and some that are not."""
    monkeypatch.chdir(tmp_path)
    for name, pitch in PITCHES.items():
        place = tmp_path / "voices" / name / "wavs"
        place.mkdir(parents=True)
        for i in range(6):
            files.write(place / f"{i}.wav", voice(pitch, 13_000 if i % 3 else 2000, i), RATE)
        (place.parent / "metadata.csv").write_text("".join(f"{i}|ha ha\n" for i in range(6)), encoding="utf-8")
    data = {"source": "voices", "segment": 0, "speakers": "folders", "held_out": 0.5, "cache": str(tmp_path / "cache")}
    short = {"batch_size": 2, "sample_every": 0, "precision": "fp32", "hang_timeout": 0, "metrics": []}
    return polygan.train("audio/voice-conversion", data, model=SMALL, steps=1, quiet=True, **short)


def embeddings(clips, rate):
    """Embeddings of voices that tell high pitches from low ones: [1, 0] or [0, 1]."""
    tracker, found = PitchTracker(60.0, 450.0), []
    for clip in clips:
        lag, voiced, _ = tracker.in_cuts(clip.unfold(0, tracker.cut_size(240, rate), 240), 240, rate)
        high = bool(voiced.any()) and float(rate / lag[voiced].median()) > 150
        found.append(torch.tensor([float(high), float(not high)]))
    return torch.stack(found)


def test_the_example_prints_both_directions_beside_what_needs_no_training(run, monkeypatch, capsys):
    monkeypatch.setattr(speaker, "weights_file", lambda: None)
    monkeypatch.setattr(speaker, "load", lambda path: SimpleNamespace(embeddings=embeddings))
    monkeypatch.setattr(word_errors, "recognise", lambda clips, rate: ["ha"] * len(clips))

    class Opinion:
        names = ("sig", "bak", "ovrl")

        def __call__(self, waveform):
            return np.array([1.0, 2.0, 3.0])

    monkeypatch.setattr(measures, "DNSMOS", Opinion)
    module = example()
    lengths = [len(clip) for clip in module.clips_of(run, "train", 0, 40).data]
    assert set(lengths) == {13_000}  # shorter clips are left out
    module.main(str(run.folder), count=1)
    head, *lines = capsys.readouterr().out.splitlines()[-9:]
    assert head.split() == ["way", "wanted", "given", "words", "DNSMOS"]
    ways = ["recordings", "Griffin-Lim", "mean, deviation", "conversion"]
    assert [line[:11].split() + [line[17:34].strip()] for line in lines] == [
        [*way, kind] for way in (["ann", "to", "bob"], ["bob", "to", "ann"]) for kind in ways
    ]
    for line in lines:
        near, far, words, opinion = map(float, line[34:].split())
        assert (words, opinion) == (0.5, 3.0)
        if "recordings" in line:
            assert (near, far) == (0, 1)  # a recording has the voice that was given
