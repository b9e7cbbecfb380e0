"""A page that speaks frame by frame: its facts, its files, and in Chromium the frames that Python makes with the same dropout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from acting import drawn, pixels
from small_voice import INFO, files, voice
from test_export import script, unpacked

from polygan import ConfigError
from polygan_speech.attention import Stop, decoder
from polygan_web.export import export


def test_the_page_has_the_four_networks_and_the_rule_to_stop(registry, tmp_path, monkeypatch):
    recipe, networks = voice()
    parts, _ = files(recipe, networks, tmp_path, monkeypatch)
    written = {path.name: path for path in export(recipe, parts, tmp_path / "page")}
    model, stop = script(written["model.js"].read_text(encoding="utf-8")), Stop()
    assert {name: unpacked(text) for name, text in model["onnx"].items()} == {
        path.stem.removeprefix("voice-"): path.read_bytes() for path in parts
    }
    facts = model["facts"]
    assert (facts["kind"], facts["vocoder"], facts["end"], facts["speakers"]) == (
        "speech",
        "any",
        None,
        INFO["classes"],
    )
    assert facts["inputs"] == ["ids", "speaker"]
    assert facts["attention"] == {
        "bands": 20, "reduction": 2, "prenet": 12, "dropout": 0.5, "attentionUnits": 20, "decoderUnits": 24, "gate": stop.gate,
        "patience": stop.patience, "framesPerSymbol": stop.frames_per_symbol, "slack": stop.slack, "most": 2500, "noisy": True,
    }  # fmt: skip
    page = written["index.html"].read_text(encoding="utf-8")
    assert page.index("attention.js") < page.index("speech.js")


def test_parts_that_do_not_fit_are_one_line(registry, tmp_path, monkeypatch):
    recipe, networks = voice()
    parts, _ = files(recipe, networks, tmp_path, monkeypatch)
    model = onnx.load(parts[0])
    del model.metadata_props[:]
    onnx.save(model, parts[0])
    with pytest.raises(ConfigError, match="no page shows this encoder, step, postnet and vocoder") as error:
        export(recipe, parts, tmp_path / "page")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "page").exists()


# In Chromium


def expected(page, networks, ids, speaker, vocoder, monkeypatch, row=0):
    """The mel and the sound that Python makes of a sentence with the dropout and the noise that the page draws."""
    network, generator, units = networks["generator"].network, networks["generator"], 12
    seed, asked = page.evaluate("polygan.state.seed"), iter(range(10**6))
    cache = {}

    def kept(like, rate, source=None):
        step, layer = divmod(next(asked), 2)
        if step not in cache:
            call = f"[...polygan.attention.kept({seed}, {row}, {step})]"
            cache[step] = torch.tensor(page.evaluate(call)).reshape(2, 1, units)
        assert set(cache[step].unique().tolist()) <= {0.0, 1 / (1 - rate)}
        return cache[step][layer]

    monkeypatch.setattr(decoder, "_kept", kept)
    made, _ = network.infer(torch.tensor([ids]), None, torch.tensor([speaker]), 2500)
    mel = generator.mel(made[None]).clamp(min=np.log(1e-5))
    noise = page.evaluate(f"[...polygan.parts.normals({seed}, {row}, {mel.shape[2] * 64})]")
    with torch.no_grad():
        return mel[0].numpy(), vocoder(mel, torch.tensor([noise])).clamp(-1, 1)[0].numpy()


def spoken(page, text):
    """The mel (bands, F) and the sound of each sentence."""
    page.fill("#text", text)
    drawn(page, lambda: page.click("#speak"))
    found = json.loads(
        page.evaluate("JSON.stringify(polygan.state.parts.map(({ sound, mel }) => [[...mel], [...sound]]))")
    )
    return [(np.array(mel).reshape(20, -1), np.array(sound)) for mel, sound in found]


@pytest.mark.slow
def test_the_page_makes_the_frames_of_python_and_stops_where_python_stops(opened, tmp_path, monkeypatch):
    recipe, networks = voice()
    parts, vocoder = files(recipe, networks, tmp_path, monkeypatch)
    export(recipe, parts, tmp_path / "page")
    page = opened(None)
    assert page.locator("#seed").count() == 1
    assert page.get_by_label("pace").count() == page.get_by_label("semitones").count() == 0
    page.select_option("#speaker", "1")
    lengths = []
    for text in ("hello, the cat.", "a"):  # the cap of the text's length, or the last symbol attended for long
        ((mel, sound),) = spoken(page, text)
        ids = recipe.spelling.encode(text)
        wanted, heard = expected(page, networks, ids, 1, vocoder, monkeypatch)
        assert mel.shape == wanted.shape
        assert np.abs(mel - wanted).max() < 1e-3
        assert np.abs(sound - heard).max() < 1e-3
        assert np.abs(heard).max() > 1e-2
        lengths.append(mel.shape[1])
    assert lengths[1] == Stop().patience
    assert lengths[0] > lengths[1]
    before = mel
    assert np.array_equal(spoken(page, "a")[0][0], before)
    page.fill("#seed", "7")
    page.dispatch_event("#seed", "change")
    assert not np.allclose(spoken(page, "a")[0][0], before)
    two = spoken(page, "a. b")
    assert len(two) == 2
    wanted, _ = expected(page, networks, recipe.spelling.encode("b"), 1, vocoder, monkeypatch, row=1)
    assert np.abs(two[1][0] - wanted).max() < 1e-3
    assert pixels(page)[..., 3].any()


@pytest.mark.slow
def test_the_stop_gate_ends_a_sentence(opened, tmp_path, monkeypatch):
    recipe, networks = voice(gate=20.0, prenet_dropout=0.0)
    parts, _ = files(recipe, networks, tmp_path, monkeypatch)
    export(recipe, parts, tmp_path / "page")
    page = opened(None)
    ((mel, _),) = spoken(page, "hello")
    assert mel.shape == (20, 2)  # one step
    wanted, _ = networks["generator"].network.infer(
        torch.tensor([recipe.spelling.encode("hello")]), None, torch.tensor([0])
    )
    wanted = networks["generator"].mel(wanted[None])[0].numpy().clip(np.log(1e-5))
    assert np.abs(mel - wanted).max() < 1e-3


STOPPING = """() => {
  const { run } = polygan.engine;
  polygan.runs = 0;
  polygan.engine.run = (...given) => {
    if (++polygan.runs === 20) document.querySelector("#stop").click();
    return run(...given);
  };
}"""


@pytest.mark.slow
def test_stop_ends_the_loop_in_the_middle_of_a_sentence(opened, tmp_path, monkeypatch):
    recipe, networks = voice()
    parts, _ = files(recipe, networks, tmp_path, monkeypatch)
    export(recipe, parts, tmp_path / "page")
    page = opened(None)
    page.evaluate(STOPPING)
    page.fill("#text", "a long text that goes on and on for many frames")
    page.click("#speak")
    page.wait_for_function("() => polygan.runs >= 20")
    page.wait_for_timeout(500)
    assert page.evaluate("polygan.runs") == 20
    assert page.inner_text("#status") == "Stopped."
    assert page.evaluate("polygan.state.parts.length") == 0
