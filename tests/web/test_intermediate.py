"""Sliders in the intermediate latents w: their directions, the export that asks for them, and the page in Chromium."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from acting import drawn, pixels, slide
from little_graphs import weights
from little_styled import styled
from test_export import script, unpacked

import polygan
from polygan import ConfigError
from polygan_web import graphs
from polygan_web.export import facts_of
from polygan_web.intermediate import components


def latents_of(file):
    found = graphs.latents_of(graphs.read([file]))
    assert found is not None
    return found


def turned(size, lengths, seed=0):
    """A matrix whose right singular vectors are random and whose singular values are ``lengths``."""
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.standard_normal((size, n)))[0] for n in (len(lengths), len(lengths)))
    return (left * lengths @ right.T).astype(np.float32), right.T


def test_the_components_of_w_are_found_in_their_order_with_their_deviations(tmp_path):
    lengths = np.array([3.0, 2.0, 1.0, 0.5, 0.01, 0.01])
    mapping, vectors = turned(6, lengths)
    found = components(latents_of(styled(tmp_path / "g.onnx", mapping, weights(6, 16), (1, 4, 4))))
    assert found.shape == (4, 6)  # the faint ones are left out
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), lengths[:4], rtol=0.05)
    for ours, true in zip(found, vectors, strict=False):
        assert abs(ours @ true) / np.linalg.norm(ours) > 0.99


@pytest.mark.parametrize("classes", [(), ("a", "b", "c")])
def test_they_are_those_of_the_demo_which_lead_from_no_class_to_another(tmp_path, classes):
    torch = pytest.importorskip("torch")
    directions = pytest.importorskip("polygan_demo.directions")
    mapping, _ = turned(6, np.array([3.0, 2.0, 1.0, 0.5, 0.4, 0.3]))
    found = components(latents_of(styled(tmp_path / "g.onnx", mapping, weights(6, 16), (1, 4, 4), classes)))
    draw, count = np.random.default_rng(0), 4096 // max(1, len(classes))
    groups = [draw.standard_normal((count, 6), np.float32) @ mapping + 10 * i for i in range(max(1, len(classes)))]
    theirs = directions.principal_components(map(torch.from_numpy, groups), most=6)
    np.testing.assert_allclose(found, theirs.vectors * theirs.deviations[:, None], atol=1e-3)


def test_a_w_that_is_always_the_same_has_no_directions(tmp_path):
    file = styled(tmp_path / "g.onnx", np.zeros((6, 6), np.float32), weights(6, 16), (1, 4, 4))
    facts = facts_of(SimpleNamespace(info={}), graphs.read([file]))
    assert (facts["directions"], facts["shift"]) == ([], 6)


def test_a_graph_with_a_shift_and_no_w_is_refused(tmp_path):
    import onnx

    model = onnx.load(styled(tmp_path / "g.onnx", weights(6, 6), weights(6, 16), (1, 4, 4)))
    del model.graph.output[1]
    onnx.save(model, tmp_path / "g.onnx")
    with pytest.raises(ConfigError, match="no page shows a network that makes made of latents, shift, truncation"):
        facts_of(SimpleNamespace(info={}), graphs.read([tmp_path / "g.onnx"]))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small StyleGAN2 with two classes, trained for one step."""
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("styled")
    rng = np.random.default_rng(0)
    for i in range(8):
        path = folder / "data" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    return polygan.train(
        "image/stylegan",
        data={"source": str(folder / "data"), "labels": "folders", "cache": str(folder / "cache")},
        model={"latent_dim": 8, "channel_base": 64, "channel_max": 4, "augment": "none"},
        runs=str(folder / "runs"), quiet=True, steps=1, batch_size=2, sample_every=0,
    )  # fmt: skip


def model_of(written):
    return script(next(path for path in written if path.name == "model.js").read_text(encoding="utf-8"))


def test_the_page_of_a_run_moves_w_and_the_onnx_file_stays_as_it_is(registry, tmp_path, run):
    model = model_of(run.export(tmp_path / "page", "web"))
    session = onnxruntime.InferenceSession(unpacked(model["onnx"]))
    assert {port.name for port in session.get_inputs()} == {"latents", "classes", "truncation", "shift"}
    facts = model["facts"]
    assert facts["shift"] == 8
    assert 1 <= len(facts["directions"]) <= 6
    z, shift = (
        np.random.default_rng(1).standard_normal((1, 8), np.float32),
        np.array(facts["directions"][:1], np.float32),
    )
    given = {"latents": z, "classes": np.array([1]), "truncation": np.array(0.7, np.float32), "shift": 2 * shift}
    import torch

    mapping = run.recipe.intermediate(run.networks)
    handle = mapping.register_forward_hook(lambda module, inputs, output: output + 2 * torch.from_numpy(shift))
    wanted = run.generate(latents=torch.from_numpy(z), label="b", truncation=0.7).data.numpy()
    handle.remove()
    np.testing.assert_allclose(session.run(["made"], given)[0], wanted, atol=1e-4)
    (plain,) = run.export(tmp_path / "plain.onnx", "onnx")
    assert {port.name for port in onnxruntime.InferenceSession(plain).get_inputs()} == {
        "latents",
        "classes",
        "truncation",
    }
    model = model_of(run.export(tmp_path / "of_z", "web", intermediate=False))
    assert (model["facts"]["shift"], unpacked(model["onnx"])) == (0, plain.read_bytes())


@pytest.mark.slow
def test_sliders_move_w_and_all_else_goes_on_as_before(opened, tmp_path):
    mapping, _ = turned(6, np.array([3.0, 2.0, 1.0, 0.5, 0.4, 0.3]))
    file = styled(tmp_path / "g.onnx", mapping, weights(6, 3 * 24 * 16), (3, 24, 16), ("zero", "one"))
    session, page = onnxruntime.InferenceSession(file), opened(file)
    directions = np.array(page.evaluate("polygan.model.facts.directions"))
    assert "directions of w, the space between latents and pictures" in page.inner_text("#space")

    def state():
        return json.loads(
            page.evaluate("(({latents, label, truncation, shift, seed}) => JSON.stringify({latents: [...latents], label, truncation, shift: [...shift], seed}))(polygan.state)")
        )  # fmt: skip

    def same():
        now = state()
        given = {name: np.array([now[name]], np.float32) for name in ("latents", "shift")}
        given |= {"classes": np.array([now["label"]]), "truncation": np.array(now["truncation"], np.float32)}
        wanted = np.moveaxis((session.run(["made"], given)[0][0] + 1) * 127.5, 0, -1)
        np.testing.assert_allclose(pixels(page)[..., :3], wanted, atol=0.51)
        return pixels(page)

    first, latents = same(), state()["latents"]
    drawn(page, lambda: slide(page, "direction 1", 1.5))
    drawn(page, lambda: slide(page, "direction 3", -2))
    moved = same()
    assert np.abs(moved - first).mean() > 1
    assert state()["latents"] == latents
    np.testing.assert_allclose(state()["shift"], 1.5 * directions[0] - 2 * directions[2], atol=1e-4)
    for act in (
        lambda: slide(page, "truncation", 0.3),
        lambda: slide(page, "from one to the next", 7.4),
        lambda: slide(page, "direction 1", -3),
    ):
        before = pixels(page)
        drawn(page, act)
        assert np.abs(same() - before).mean() > 1
    np.testing.assert_allclose(state()["shift"], -3 * directions[0] - 2 * directions[2], atol=1e-4)
    drawn(page, lambda: page.click("text='one'"))
    assert state()["label"] == 1
    assert not any(state()["shift"])
    assert page.get_by_label("direction 1").first.input_value() == "0"
    same()
    drawn(page, lambda: slide(page, "direction 2", 2))
    drawn(page, lambda: page.click("#reset"))
    assert not any(state()["shift"])
    drawn(page, lambda: page.click("#new"))
    assert state()["seed"] != 1
    same()
