"""A page of sounds whose generator makes log-mels: its facts, and in Chromium the sounds of torch's generator and vocoder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from acting import drawn, pixels, slide
from test_export import script, unpacked

from polygan import ConfigError
from polygan.plugins import load_catalogue
from polygan_audio import vocoding
from polygan_audio.formats import shots
from polygan_audio.networks.parallel_wavegan import Generator as WaveNet
from polygan_audio.networks.parallel_wavegan import Shape
from polygan_audio.shots.settings import Exported
from polygan_audio.wavegan import Config, WaveGAN
from polygan_web.export import export

INFO = {"sample_rate": 16_000, "segment": 1024, "count": 50, "classes": ["hat", "<b>kick</b>"]}
FRONT_END = {"n_fft": 256, "hop_length": 64, "n_mels": 16}


def made_up(folder, monkeypatch, vocoder="any"):
    """A recipe of log-mels, its files, and from latents and classes to its sounds in torch."""
    recipe = WaveGAN(Config(generator="spectrogram", width=2, latent_dim=4, embedding_dim=2, **FRONT_END), INFO)
    torch.manual_seed(0)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    with torch.no_grad():
        for parameter in networks["generator"].parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    heard = vocoding.network
    if vocoder == "any":
        torch.manual_seed(1)
        heard = WaveNet(Shape(layers=2, stacks=1, channels=4, gates=6, skips=5, scales=(4, 4, 4), window=1), recipe.mel)
        monkeypatch.setattr(vocoding, "network", lambda name, spec, runs=None: heard.eval())
    files = shots.export(recipe, networks, folder / "shots.onnx", Exported(vocoder=vocoder))

    def sound(latents, label, noise):
        with torch.no_grad():
            mel = networks["generator"](torch.tensor([latents]), torch.tensor([label]))
            return heard(mel.clamp(min=recipe.mel.silence), torch.tensor([noise])).clamp(-1, 1)[0].numpy()

    return recipe, files, sound


def test_the_page_has_the_generator_its_vocoder_and_directions_of_mels(registry, tmp_path, monkeypatch):
    recipe, files, _ = made_up(tmp_path, monkeypatch)
    written = {path.name: path for path in export(recipe, files, tmp_path / "page")}
    model = script(written["model.js"].read_text(encoding="utf-8"))
    assert {name: unpacked(text) for name, text in model["onnx"].items()} == {
        path.stem.removeprefix("shots-"): path.read_bytes() for path in files
    }
    facts = model["facts"]
    assert (facts["kind"], facts["samples"], facts["rate"], facts["classes"]) == (
        "sound",
        1024,
        16_000,
        INFO["classes"],
    )
    assert facts["mel"] == {"bands": 16, "frames": 16, "noise": 1024}
    assert (facts["latents"], facts["label"], facts["size"], facts["vocoder"]) == ("latent", "label", 4, "any")
    directions = np.array(facts["directions"])
    np.testing.assert_allclose(directions @ directions.T, np.eye(4), atol=1e-4)
    assert "sounding.js" in written


def test_griffin_lim_is_the_vocoder_of_the_page_and_of_no_waveforms(registry, tmp_path, monkeypatch):
    catalogue = load_catalogue(allow=["audio", "web"], strict=True)
    assert catalogue.format("audio/wavegan", "web", "export").settings == "polygan_web.settings:Sounds"
    recipe, files, _ = made_up(tmp_path, monkeypatch, "griffin-lim")
    written = {path.name: path for path in export(recipe, files, tmp_path / "page")}
    facts = script(written["model.js"].read_text(encoding="utf-8"))["facts"]
    assert (facts["vocoder"], facts["mel"]["noise"]) == ("griffin-lim", 0)


def test_another_vocoder_is_one_line(registry, tmp_path, monkeypatch):
    recipe, files, _ = made_up(tmp_path, monkeypatch)
    model = onnx.load(files[1])
    model.graph.input[0].name = "spectrum"
    for node in model.graph.node:
        node.input[:] = ["spectrum" if name == "mel" else name for name in node.input]
    onnx.save(model, files[1])
    with pytest.raises(ConfigError, match="no page shows this generator and vocoder: use --format onnx") as error:
        export(recipe, files, tmp_path / "page")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "page").exists()


@pytest.mark.slow
def test_sounds_are_those_of_torch_and_every_control_changes_them(opened, tmp_path, monkeypatch):
    import wave

    recipe, files, sound = made_up(tmp_path, monkeypatch)
    export(recipe, files, tmp_path / "page")
    page = opened(None)
    noise = page.evaluate("[...polygan.parts.normals(1, 0, 1024)]")

    def same():
        now = json.loads(
            page.evaluate("(({latents, label, values}) => JSON.stringify({latents: [...latents], label, values: [...values]}))(polygan.state)")
        )  # fmt: skip
        values = np.array(now["values"])
        assert values.shape == (1024,)
        assert np.abs(values - sound(now["latents"], now["label"], noise)).max() < 1e-3
        return values

    first = same()
    assert np.abs(first).max() > 1e-2
    for act in (
        lambda: page.click(".cell >> nth=3"),
        lambda: slide(page, "direction 1", 2.5),
        lambda: slide(page, "from one to the next", 5.4),
        lambda: page.click("text='<b>kick</b>'"),
        lambda: page.click("#new"),
    ):
        before = page.evaluate("[...polygan.state.values]")
        drawn(page, act)
        assert np.abs(same() - before).max() > 1e-5
    assert page.evaluate("polygan.state.label") == 1
    page.wait_for_function("() => [...document.querySelectorAll('.cell canvas')].every((c) => c.width === 480)")
    assert pixels(page, ".cell:nth-of-type(12) canvas")[..., 3].any()
    page.click("#play")
    with page.expect_download() as download:
        page.click("#save")
    with wave.open(str(download.value.path())) as file:
        assert (file.getframerate(), file.getnframes()) == (16_000, 1024)
        samples = np.frombuffer(file.readframes(1024), np.int16) / 32767
    np.testing.assert_allclose(samples, page.evaluate("[...polygan.state.values]"), atol=1e-4)
