"""A page that speaks: its facts, its files, and networks that it cannot speak with."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from little_graphs import speech
from reading import characters
from test_export import made, script

import polygan
from polygan import ConfigError
from polygan.plugins import load_catalogue
from polygan_web import graphs
from polygan_web.export import facts_of

HOSTILE = ["</script><script>alert(1)</script>", "b & c"]


def test_a_page_of_speech_knows_how_to_read_and_who_speaks(registry, tmp_path):
    reading, _ = characters()
    file = speech(tmp_path / "s.onnx", {"reading": reading, "speakers": HOSTILE, "language_of_speakers": [0, 0]})
    files = made(tmp_path, file)
    facts = script(files["model.js"])["facts"]
    assert facts["reading"] == reading
    assert (facts["kind"], facts["rate"], facts["hop"], facts["noise"]) == ("speech", 8000, 16, 800)
    assert (facts["end"], facts["speakers"], facts["semitones"], facts["most"]) == (7, HOSTILE, [0.1, 0.2], 40)
    assert {"reading.js", "sounds.js", "speech.js"} <= files.keys()
    assert "<" not in files["model.js"]


def test_one_voice_has_no_choice_of_voices(tmp_path):
    file = speech(tmp_path / "s.onnx", {"reading": {}, "speakers": ["only"]}, inputs=("ids", "pace", "pitch"))
    facts = facts_of(SimpleNamespace(info={}), graphs.read([file]))
    assert (facts["speakers"], facts["noise"], facts["inputs"]) == ([], 0, ["ids", "pace", "pitch"])


def test_a_file_that_does_not_say_how_texts_are_read_is_refused(tmp_path):
    file = speech(tmp_path / "s.onnx", {})
    with pytest.raises(
        ConfigError, match="does not say its reading, so no page can speak with it: export the run again"
    ):
        facts_of(SimpleNamespace(info={}), graphs.read([file]))


def test_the_format_has_its_own_options_for_speech_alone():
    catalogue = load_catalogue(allow=["audio", "speech", "image", "web"], strict=True)
    assert catalogue.format("audio/tacotron2", "web", "export").settings == "polygan_web.settings:Speech"
    assert catalogue.format("image/dcgan", "web", "export").settings == ""


SMALL = {
    "n_fft": 256, "hop_length": 64, "n_mels": 20, "fmax": 4000, "dim": 8, "hidden": 8, "encoder_blocks": 1, "decoder_blocks": 1,
    "window": 16, "discriminator_width": 4, "align_steps": 1, "pretrain_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of tacotron2 on sounds with a text, trained for one step, and of a vocoder."""
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("speech")
    (folder / "data/wavs").mkdir(parents=True)
    lines = []
    for i, text in enumerate(["hello, the cat!", "the cat is new", "a well known voice", "it is five. good"] * 3):
        soundfile.write(folder / f"data/wavs/{i}.wav", 0.1 * np.sin(np.arange(8000) / (3 + i)), 8000)
        lines.append(f"{i}|{text}\n")
    (folder / "data/metadata.csv").write_text("".join(lines))
    shared = {"runs": str(folder / "runs"), "quiet": True, "steps": 1, "batch_size": 2, "sample_every": 0}
    given = {"source": str(folder / "data"), "sample_rate": 8000, "cache": str(folder / "cache")}
    found = {
        "chars": polygan.train("audio/tacotron2", data=given, model=SMALL, name="chars", **shared),
        "attention": polygan.train("audio/tacotron2", data=given, model={**SMALL, "decoder": "attention"}, name="attention", **shared),
    }  # fmt: skip
    mel = {name: SMALL[name] for name in ("n_fft", "hop_length", "n_mels", "fmax")}
    tiny = {**mel, "dim": 8, "hidden": 8, "blocks": 1, "prior": "none", "pretrain_steps": 9}
    found["vocoder"] = polygan.train(
        "audio/vocos", data={**given, "segment": 2048}, model=tiny, name="vocoder", **shared
    )
    return found


def test_a_trained_run_speaks_in_the_page_as_python_makes_it_speak(registry, tmp_path, runs, monkeypatch):
    from test_export import unpacked

    monkeypatch.chdir(runs["chars"].folder.parent.parent)
    written = runs["chars"].export(tmp_path / "page", "web", vocoder="vocoder")
    model = script(next(p for p in written if p.name == "model.js").read_text())
    facts = model["facts"]
    assert (facts["vocoder"], facts["title"], facts["step"]) == ("vocoder", "audio/tacotron2", 1)
    session = onnxruntime.InferenceSession(unpacked(model["onnx"]))
    spelling = runs["chars"].recipe.spelling
    ids = [facts["end"], *spelling.encode("the cat is new"), facts["end"]]
    inputs = {"ids": np.array([ids]), "pace": np.ones(1, np.float32), "pitch": np.zeros(1, np.float32)}
    made = session.run(["waveform"], inputs)[0][0]
    wanted = runs["chars"].generate(given="the cat is new", vocoder="vocoder").data[0].numpy()
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, atol=1e-4)


def test_a_trained_run_with_attention_has_the_parts_of_its_loop(registry, tmp_path, runs, monkeypatch):
    monkeypatch.chdir(runs["chars"].folder.parent.parent)
    written = runs["attention"].export(tmp_path / "page", "web", vocoder="vocoder")
    model = script(next(p for p in written if p.name == "model.js").read_text())
    assert [*model["onnx"]] == ["encoder", "postnet", "step", "vocoder"]
    facts = model["facts"]
    assert (facts["vocoder"], facts["title"], facts["step"], facts["end"]) == ("vocoder", "audio/tacotron2", 1, None)
    assert (facts["attention"]["reduction"], facts["attention"]["noisy"]) == (2, False)
    assert facts["reading"]["symbols"] == runs["attention"].recipe.spelling.alphabet.symbols


def test_another_front_end_and_unknown_options_are_one_line(registry, tmp_path, runs):
    with pytest.raises(ConfigError, match="is a run of audio/tacotron2, which is no vocoder"):
        runs["chars"].export(tmp_path / "page", "web", vocoder=str(runs["attention"].folder))
    with pytest.raises(ConfigError, match=r"unknown option 'vocodr' of export as web .*vocoder"):
        runs["chars"].export(tmp_path / "page", "web", vocodr="x")
    assert not (tmp_path / "page").exists()
