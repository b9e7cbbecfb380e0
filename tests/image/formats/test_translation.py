"""Weights of CycleGAN and CUT: golden pictures through an imported model, directions, and files that are not what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import polygan
from polygan import CheckpointError, ConfigError
from polygan_image.geometry import padded
from polygan_image.networks.patches import PatchDiscriminator

GOLDEN = Path(__file__).parents[2] / "golden/cyclegan"


def golden(name):
    """The published generator's tensors by their names, and the golden tensors."""
    found = load_file(GOLDEN / f"{name}.safetensors")
    return {k.removeprefix("generator."): v for k, v in found.items() if k.startswith("generator.")}, found


def saved(state, path):
    torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("recipe", "file", "name", "network"),
    [
        ("image/cyclegan", "latest_net_G_A.pth", "resnet6-narrow", "to_b"),
        ("image/cyclegan", "latest_net_G.pth", "resnet6-narrow", "to_b"),
        ("image/cyclegan", "latest_net_G_B.pth", "resnet6-narrow", "to_a"),
        ("image/cut", "latest_net_G.pth", "resnet-cut-narrow", "generator"),
        ("image/cut", "latest_net_G.pth", "resnet6-narrow", "generator"),
    ],
)
def test_published_weights_make_the_published_picture(tmp_path, recipe, file, name, network):
    state, expected = golden(name)
    polygan.import_weights(recipe, saved(state, tmp_path / file), tmp_path / "model")
    run = polygan.load(tmp_path / "model.safetensors", device="cpu")
    with torch.no_grad():
        made = run.networks[network](expected["input"])
    assert (made - expected["output"]).abs().max() < 1e-5
    options = run.recipe.Sampling(to="A") if network == "to_a" else None
    pictures = polygan.make_samples(run.recipe, run.networks, 1, 0, options, given=polygan.Samples(expected["input"]))
    assert (pictures.data - expected["output"]).abs().max() < 1e-5
    if network == "to_a":
        with pytest.raises(ConfigError, match="make pictures of the class A alone; type --to A"):
            polygan.make_samples(run.recipe, run.networks, 1, given=polygan.Samples(expected["input"]))


def test_the_other_direction_and_the_discriminators_come_along(tmp_path):
    state, _ = golden("resnet6-narrow")
    saved(state, tmp_path / "latest_net_G_A.pth")
    saved({k: v * 0.5 for k, v in state.items()}, tmp_path / "latest_net_G_B.pth")
    judges = {side: PatchDiscriminator(3, 4, 3, "instance") for side in "AB"}
    for side, judge in judges.items():
        saved(judge.state_dict(), tmp_path / f"latest_net_D_{side}.pth")
    polygan.import_weights("image/cyclegan", tmp_path / "latest_net_G_A.pth", tmp_path / "model")
    run = polygan.load(tmp_path / "model.safetensors", device="cpu")
    networks = run.networks
    assert "makes" not in run.recipe.info
    assert torch.equal(networks["to_b"].first.weight, state["model.1.weight"])
    assert torch.equal(networks["to_a"].first.weight, state["model.1.weight"] * 0.5)
    for ours, theirs in (("discriminator_b", "A"), ("discriminator_a", "B")):  # D_A judges what G_A makes
        found = networks[ours].state_dict()
        assert all(torch.equal(found[k], v) for k, v in judges[theirs].state_dict().items())


def broken(state, name, change):
    return {**state, name: change(state[name])} if change else {k: v for k, v in state.items() if k != name}


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("model.4.weight", lambda t: t[:-1], r"model\.4\.weight has the shape \(7, 4, 3, 3\).*\(8, 4, 3, 3\)"),
        ("model.12.conv_block.5.bias", None, r"model\.12\.conv_block\.5\.bias is missing"),
        ("model.16.weight", lambda t: t * float("nan"), r"model\.16\.weight has NaN"),
        ("model.1.weight", lambda t: t[0], r"model\.1\.weight has the shape"),
        ("model.23.weight", lambda t: t[:1], "makes 1 channels from 3"),
        ("model.4.bias", lambda t: ["x"], r"model\.4\.bias is a list and no tensor"),
    ],
)
def test_a_faulty_tensor_is_named(tmp_path, name, change, words):
    path = saved(broken(golden("resnet6-narrow")[0], name, change), tmp_path / "latest_net_G_A.pth")
    with pytest.raises(CheckpointError, match=words):
        polygan.import_weights("image/cyclegan", path, tmp_path / "model")
    assert not (tmp_path / "model.safetensors").exists()


def test_files_of_other_networks_are_refused(tmp_path):
    state, _ = golden("resnet-cut-narrow")
    path = saved(state, tmp_path / "latest_net_G.pth")
    with pytest.raises(CheckpointError, match="holds the generator of CUT, with filters; import it as image/cut"):
        polygan.import_weights("image/cyclegan", path, tmp_path / "model")
    saved({**state, "model.7.filt": state["model.7.filt"] * 2}, path)
    with pytest.raises(CheckpointError, match=r"model\.7\.filt is another filter than CUT's"):
        polygan.import_weights("image/cut", path, tmp_path / "model")
    judge = saved(PatchDiscriminator(3, 4).state_dict(), tmp_path / "latest_net_D.pth")
    with pytest.raises(CheckpointError, match=r"has no model\.1\.weight"):
        polygan.import_weights("image/cut", judge, tmp_path / "model")


def test_a_safetensors_file_works_too(tmp_path):
    state, expected = golden("resnet-cut-narrow")
    save_file(state, tmp_path / "generator.safetensors")
    polygan.import_weights("image/cut", tmp_path / "generator.safetensors", tmp_path / "model")
    network = polygan.load(tmp_path / "model.safetensors", device="cpu").networks["generator"]
    with torch.no_grad():
        assert (padded(network, expected["input"], network.geometry) - expected["output"]).abs().max() < 1e-5


@pytest.mark.parametrize(("recipe", "name"), [("image/cyclegan", "resnet6-narrow"), ("image/cut", "resnet-cut-narrow")])
def test_an_imported_model_goes_out_as_onnx(tmp_path, recipe, name):
    runtime = pytest.importorskip("onnxruntime")
    state, expected = golden(name)
    polygan.import_weights(recipe, saved(state, tmp_path / "latest_net_G.pth"), tmp_path / "model")
    (file,) = polygan.load(tmp_path / "model.safetensors", device="cpu").export(tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"given": expected["input"].numpy()})
    assert (torch.from_numpy(made) - expected["output"]).abs().max() < 1e-5
