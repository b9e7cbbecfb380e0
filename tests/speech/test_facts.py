"""Facts of a training split: mels, pitches by speaker, symbols, and clips that are too short for their transcripts."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_speech import RATE, SMALL, sound

from polygan import ConfigError, DataError
from polygan_audio.networks import melspec
from polygan_speech.cepstra import cepstra_of
from polygan_speech.facts import speech_facts
from polygan_speech.settings import Config
from polygan_speech.tacotron2 import TextToSpeech

SPEC = melspec.resolve("hifigan", RATE, n_fft=256, hop_length=64, n_mels=20, fmax=4000.0)


class Split:
    """Clips in memory, in the form of a split of a store."""

    def __init__(self, clips, labels=None, classes=()):
        self.clips = clips
        self.labels = labels
        self.rows = np.arange(len(clips))
        self.store = self
        self.info = {"sample_rate": RATE, **({"classes": list(classes)} if classes else {})}
        self.fields = {"waveform", *({"text"} if clips[0][1] is not None else ()), *({"label"} if labels else ())}

    def __len__(self):
        return len(self.clips)

    def item(self, field, row):
        waveform, text = self.clips[row]
        return np.frombuffer(text.encode(), np.uint8) if field == "text" else (waveform * 32767).astype(np.int16)

    def gather(self, field, rows):
        return torch.tensor([self.labels[row] for row in rows])


def clips(*texts):
    return [(sound(text.lower(), i), text) for i, text in enumerate(texts)]


def facts(split):
    return speech_facts(split, SPEC, "characters", "en")


def test_symbols_are_those_of_the_spoken_transcripts():
    split = Split([*clips("abcab", "Deed"), (sound("aaaaaaa"), "A 2")])
    found = facts(split)
    assert found["symbols"] == " abcdeotw"
    assert found["spoken"] == {"A 2": "a two"}
    assert found["longest_text"] == 5
    assert found["unusable"] == 0


def test_each_speakers_transcripts_are_spelled_out_in_the_speakers_language():
    split = Split([*clips("2 abc", "2 abc", "deed")], [0, 1, 0], ("ann", "bob"))
    found = speech_facts(split, SPEC, "characters", "en,it")
    assert found["spoken_in"] == {"en": {"2 abc": "two abc"}, "it": {"2 abc": "due abc"}}
    assert "spoken" not in found
    assert found["symbols"] == " abcdeotuw"
    assert found["longest_text"] == 7
    assert speech_facts(split, SPEC, "characters", "en,en") == facts(split)
    with pytest.raises(ConfigError, match=r"names 3 languages for 2 speakers.*: ann, bob"):
        speech_facts(split, SPEC, "characters", "en,it,de")


def test_mels_of_the_split_have_mean_0_and_deviation_1():
    found = facts(Split(clips("abcab", "deed", "bead")))
    mels = [
        SPEC(torch.nn.functional.pad(torch.from_numpy(sound(t, i)), (0, 256)))
        for i, t in enumerate(("abcab", "deed", "bead"))
    ]
    joined = torch.cat([m[:, : SPEC.frames(n)] for m, n in zip(mels, (2000, 1600, 1600), strict=True)], 1)
    mean, deviation = (torch.tensor(found[f"mel_{name}"])[:, None] for name in ("mean", "deviation"))
    normalised = (joined - mean) / deviation
    assert normalised.mean(1).abs().max() < 0.05
    assert (normalised.std(1) - 1).abs().max() < 0.05
    sizes = [SPEC.frames(n) for n in (2000, 1600, 1600)]
    cepstra = torch.cat([cepstra_of(m[None])[0] for m in normalised.split(sizes, 1)], 1)
    assert torch.tensor(found["cepstrum_deviation"]).tolist() == pytest.approx(cepstra.std(1).tolist(), rel=0.05)


def test_each_speaker_has_a_pitch():
    low, high = sound("aaaaaa"), sound("eeeeee")  # 120 and 240 Hz
    split = Split([(low, "aaaaaa"), (high, "eeeeee"), (np.zeros(4000, np.float32), "b")], [0, 1, 2], ("x", "y", "z"))
    found = facts(split)
    assert np.exp(found["pitch_mean"][:2]) == pytest.approx([120, 240], rel=0.02)
    assert found["pitch_deviation"][:2] == [0.05, 0.05]
    assert found["pitch_mean"][2] == pytest.approx(np.mean(found["pitch_mean"][:2]), abs=0.02)  # no voice: that of all


def test_clips_that_are_too_short_for_their_transcripts_are_named(capsys):
    short = (sound("ab"), "abcdeabcdeabcde")
    found = facts(Split([*clips("abcab"), short, (sound("a"), "")]))
    assert found["unusable"] == 2
    assert "1 clip with more symbols than frames teach" in capsys.readouterr().err
    with pytest.raises(DataError, match="no clip can be learned from"):
        facts(Split([short]))


def test_recordings_without_transcripts_are_refused():
    with pytest.raises(DataError, match=r"have no transcripts; give a folder with metadata\.csv"):
        TextToSpeech.survey(Config(**SMALL), None, Split([(sound("a"), None)]))
