"""Weights of ESRGAN and Real-ESRGAN: their golden pictures, older names, the way back, and files that are not what they say."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import polygan
from polygan import CheckpointError, ConfigError
from polygan_image.formats.esrgan import export_esrgan, import_esrgan, rrdb_layers
from polygan_image.networks.enlarging import Compact, RRDBNet, Small
from polygan_image.superres import Config, SuperResolution

GOLDEN = Path(__file__).parents[2] / "golden/esrgan"
NAMES = ["compact-x4-narrow", "rrdb-x2-narrow", "rrdb-x4-narrow"]


def golden(name):
    """The tensors of the official network, a picture in [0, 1], and what the network made of the picture."""
    found = load_file(GOLDEN / f"{name}.safetensors")
    state = {k.removeprefix("generator."): v for k, v in found.items() if k.startswith("generator.")}
    return state, found["input"], found["output"]


def saved(folder, state, place="params_ema"):
    path = folder / "weights.pth"
    torch.save({place: state} if place else state, path)
    return path


def generator_of(imported):
    """The recipe's own generator with the imported tensors."""
    recipe = SuperResolution(Config(**imported.model), imported.info)
    generator = recipe.networks()["generator"]
    generator.load_state_dict(dict(imported.networks["generator"]))
    return generator.eval()


def agrees(generator, image, expected):
    with torch.no_grad():
        made = (generator(image * 2 - 1) + 1) / 2
    return float((made - expected).abs().max()) < 1e-5


@pytest.mark.parametrize("place", ["params_ema", "params", ""])
@pytest.mark.parametrize("name", NAMES)
def test_imported_networks_make_the_golden_pictures(tmp_path, name, place):
    state, image, expected = golden(name)
    imported = import_esrgan(saved(tmp_path, state, place))
    official = json.loads((GOLDEN / f"{name}.json").read_text())
    assert imported.model["scale"] == official.get("scale", official.get("upscale"))
    assert imported.model["width"] == official["num_feat"]
    assert imported.model["depth"] == official.get("num_block", official.get("num_conv"))
    assert agrees(generator_of(imported), image, expected)


@pytest.mark.parametrize("style", ["first", "second"])
def test_older_names_mean_the_same_layers(tmp_path, style):
    state, image, expected = golden("rrdb-x4-narrow")
    names = rrdb_layers(2, style)
    assert {"first": "model.1.sub.2", "second": "trunk_conv"}[style] == names["conv_body"]
    old = {f"{names[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": v for k, v in state.items()}
    assert agrees(generator_of(import_esrgan(saved(tmp_path, old, ""))), image, expected)


def test_averaged_weights_come_before_the_last(tmp_path):
    state, image, expected = golden("compact-x4-narrow")
    path = tmp_path / "both.pth"
    torch.save({"params": {k: torch.zeros_like(v) for k, v in state.items()}, "params_ema": state}, path)
    assert agrees(generator_of(import_esrgan(path)), image, expected)


@pytest.mark.parametrize("name", NAMES)
def test_an_import_and_an_export_give_the_file_back(tmp_path, name):
    state, image, _ = golden(name)
    polygan.import_weights("image/superres", saved(tmp_path, state), tmp_path / "ours")
    model = polygan.load(tmp_path / "ours.safetensors", device="cpu")
    (written,) = model.export(tmp_path / "back.pth")
    assert written.name == "back.pth"
    back = torch.load(written, weights_only=True)["params_ema"]
    assert {k: v.shape for k, v in back.items()} == {k: v.shape for k, v in state.items()}
    assert all(torch.equal(back[k], v) for k, v in state.items())
    made = model.generate(given=image[:, :, :7, :9] * 2 - 1).data  # odd sides: x2 pads them
    scale = model.recipe.scale
    assert made.shape == (1, 3, 7 * scale, 9 * scale)


def test_safetensors_are_read_too(tmp_path):
    state, image, expected = golden("rrdb-x2-narrow")
    save_file(state, tmp_path / "weights.safetensors")
    assert agrees(generator_of(import_esrgan(tmp_path / "weights.safetensors")), image, expected)


def changed(name, **tensors):
    """The golden state with some tensors replaced, or left out where None."""
    state = golden(name)[0] | {k.replace("__", "."): v for k, v in tensors.items()}
    return {k: v for k, v in state.items() if v is not None}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            changed("rrdb-x4-narrow", conv_hr__weight=torch.zeros(8, 7, 3, 3)),
            r"conv_hr.weight has the shape \(8, 7, 3, 3\)",
        ),
        (changed("rrdb-x4-narrow", body__1__rdb2__conv3__bias=None), "body.1.rdb2.conv3.bias is missing"),
        (changed("rrdb-x4-narrow", conv_first__weight=torch.zeros(8, 48, 3, 3)), "conv_first.weight takes 48 channels"),
        (changed("rrdb-x4-narrow", more__weight=torch.zeros(1)), "more.weight has no place"),
        (changed("compact-x4-narrow", body__1__weight=None), "no body.1.weight.*PReLU"),
        (changed("compact-x4-narrow", body__10__weight=torch.zeros(27, 8, 3, 3)), "body.10.weight makes 27 channels"),
        (changed("compact-x4-narrow", body__4__weight=torch.zeros(8, 8, 1, 1)), "body.4.weight has the shape"),
        ({"encoder.weight": torch.zeros(3, 3)}, "no conv_first.weight.*encoder.weight"),
        ({"conv_first.weight": torch.zeros(8, 3, 3, 3)}, "no body.0.rdb1.conv1.weight"),
    ],
)
def test_other_files_are_refused_by_the_tensor(tmp_path, state, message):
    with pytest.raises(CheckpointError, match=message):
        import_esrgan(saved(tmp_path, state))


def test_only_the_published_networks_are_exported(tmp_path):
    for network in (Compact(3, 2, 4, 1), RRDBNet(3, 2, 4, 1, 2)):
        assert export_esrgan(None, {"generator": network}, tmp_path / "x.pth") == [tmp_path / "x.pth"]  # pyright: ignore
    with pytest.raises(ConfigError, match="rrdb and compact alone"):
        export_esrgan(None, {"generator": Small(3, 2, 4, 1)}, tmp_path / "y")  # pyright: ignore
