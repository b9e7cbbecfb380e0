"""A page that takes a recording: its facts, its files, and runs that become one through the real export."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_sounds
from little_graphs import FLOAT, write
from onnx import helper
from test_export import made, script, unpacked

import polygan
from polygan import ConfigError
from polygan.plugins import load_catalogue
from polygan_web import graphs
from polygan_web.export import facts_of

VOCODERS = ("hifigan", "vocos", "parallel-wavegan", "griffin-lim")


def test_a_page_of_voices_knows_speakers_their_pitch_and_how_recordings_are_cut(registry, tmp_path):
    file = small_sounds.conversion(tmp_path / "c", *small_sounds.voices(), "griffin-lim")
    files = made(tmp_path, file)
    facts = script(files["model.js"])["facts"]
    assert (facts["kind"], facts["rate"], facts["hop"], facts["least"]) == ("recording", 8000, 64, 1)
    assert (facts["speakers"], facts["vocoder"]) == (small_sounds.NAMES, "griffin-lim")
    assert facts["voices"] == [[pitch, 0.2] for pitch in small_sounds.PITCHES]
    assert facts["context"] > 90  # half of Griffin-Lim's iterations see three frames each
    assert facts["inputs"] == ["recording", "speaker", "voice"]
    assert {"listening.js", "mels.js", "recording.js", "sounds.js"} <= files.keys()
    assert "<" not in files["model.js"]


def test_a_page_of_a_vocoder_has_no_voices_and_asks_for_noise(tmp_path):
    file = small_sounds.resynthesis(tmp_path / "v", small_sounds.noisy_vocoder())
    facts = facts_of(SimpleNamespace(info={}), graphs.read([file]))
    assert (facts["inputs"], facts["outputs"]) == (["recording", "noise"], ["waveform", "mel", "remade"])
    assert (facts["speakers"], facts["voices"], facts["least"]) == ([], [], small_sounds.MEL.pad + 1)


def test_a_file_that_does_not_say_how_recordings_are_cut_is_refused(tmp_path):
    nodes = [helper.make_node("Neg", ["recording"], ["waveform"])]
    file = write(tmp_path / "g.onnx", nodes, {"recording": (FLOAT, [1, "n"])}, ("waveform", [1, "n"]), {}, {})
    graph = graphs.read([file])._replace(outputs=["waveform", "mel"])
    with pytest.raises(
        ConfigError, match="does not say its sample_rate, so no page can hand it a recording: export the run again"
    ):
        facts_of(SimpleNamespace(info={}), graph)


def test_formats_of_recordings_have_their_own_options():
    catalogue = load_catalogue(allow=["audio", "speech", "image", "web"], strict=True)
    settings = {name: catalogue.format(f"audio/{name}", "web", "export").settings for name in VOCODERS}
    assert {*settings.values()} == {"polygan_web.settings:Resynthesis"}
    assert catalogue.format("audio/voice-conversion", "web", "export").settings == "polygan_web.settings:Conversion"


FRONT = {"n_fft": 256, "hop_length": 64, "n_mels": 20, "fmax": 4000}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of voice conversion and of a vocoder on two made-up speakers, trained for one step."""
    soundfile = pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("voices")
    for name, pitch in (("ann", 210.0), ("bob", 120.0)):
        (folder / "data" / name).mkdir(parents=True)
        for i in range(4):
            soundfile.write(
                folder / f"data/{name}/{i}.wav", small_sounds.spoken(0.6 + 0.1 * i, pitch=pitch).numpy(), 8000
            )
    shared = {"runs": str(folder / "runs"), "quiet": True, "steps": 1, "batch_size": 2, "sample_every": 0}
    given = {"source": str(folder / "data"), "sample_rate": 8000, "cache": str(folder / "cache")}
    size = {**FRONT, "dim": 8, "hidden": 8, "blocks": 1}
    small = {"discriminator_width": 4, "recogniser_steps": 0, "pretrain_steps": 2, "window": 16}
    voices = polygan.train(
        "audio/voice-conversion", data={**given, "segment": 0, "speakers": "folders", "held_out": 0.25}, model={**size, **small}, name="voices", **shared
    )  # fmt: skip
    vocoder = polygan.train(
        "audio/vocos", data={**given, "segment": 2048}, model={**size, "prior": "none", "pretrain_steps": 9}, name="vocoder", **shared
    )  # fmt: skip
    return SimpleNamespace(voices=voices, vocoder=vocoder)


def ran(written, **inputs):
    """The facts of a page, and what its network makes."""
    model = script(next(p for p in written if p.name == "model.js").read_text())
    session = onnxruntime.InferenceSession(unpacked(model["onnx"]))
    return model["facts"], session.run(["waveform"], inputs)[0][0]


def test_a_trained_vocoder_makes_in_the_page_what_python_makes(registry, tmp_path, runs):
    given = small_sounds.spoken(0.5)
    facts, sound = ran(runs.vocoder.export(tmp_path / "page", "web"), recording=given[None].numpy())
    assert (facts["kind"], facts["title"], facts["step"]) == ("recording", "audio/vocos", 1)
    wanted = runs.vocoder.generate(given=polygan.Samples([given], extra={"sample_rate": 8000})).data[0].numpy()
    np.testing.assert_allclose(sound, wanted, atol=1e-4)
    assert wanted.std() > 1e-4


def test_a_trained_voice_converts_in_the_page_as_python_converts(registry, tmp_path, runs, monkeypatch):
    monkeypatch.chdir(runs.voices.folder.parent.parent)
    written = runs.voices.export(tmp_path / "page", "web", vocoder="vocoder")
    given = small_sounds.spoken(0.5)
    info = runs.voices.recipe.voices
    voice = np.array([info.pitch_mean[0], info.pitch_deviation[0]], np.float32)
    facts, sound = ran(written, recording=given[None].numpy(), speaker=np.array([1]), voice=voice)
    assert (facts["vocoder"], facts["speakers"]) == ("vocoder", ["ann", "bob"])
    samples = polygan.Samples([given], extra={"sample_rate": 8000})
    wanted = runs.voices.generate(given=samples, speaker="bob", source="ann", vocoder="vocoder").data[0].numpy()
    np.testing.assert_allclose(sound, wanted, atol=1e-4)


def test_the_ordinary_export_takes_mels_and_a_wrong_option_is_one_line(registry, tmp_path, runs):
    for run, taken in ((runs.vocoder, ["mel"]), (runs.voices, ["mel", "label", "pitch"])):
        (file,) = run.export(tmp_path / "m.onnx")
        assert [port.name for port in onnxruntime.InferenceSession(file).get_inputs()] == taken
    with pytest.raises(ConfigError, match="is a run of audio/voice-conversion, which is no vocoder") as error:
        runs.voices.export(tmp_path / "page", "web", vocoder=str(runs.voices.folder))
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError, match="given"):
        runs.vocoder.export(tmp_path / "page", "web", given="mel")
    assert not (tmp_path / "page").exists()
