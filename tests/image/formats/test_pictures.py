"""Pictures from pictures in other programs: the same pictures at any size, and a file that differs is refused."""

import json
import sys

import pytest
import torch
from torch import nn

from polygan import CheckpointError, ConfigError, Samples, make_samples
from polygan_image import colorize, cut, cyclegan
from polygan_image.formats import pictures
from polygan_image.geometry import Geometry, padded
from polygan_image.pix2pix import Config, Pix2Pix
from polygan_image.translation.base import PictureToPicture

INFO = {"channels": 3, "height": 32, "width": 32, "pairs": "folders", "given": {"channels": 2, "window": [0, 4095]}}


def made(info=INFO, **options):
    torch.manual_seed(0)
    recipe = Pix2Pix(Config(**{"width": 4, "depth": 2, "discriminator_layers": 1, "blocks": 1, **options}), info)
    return recipe, {name: network.eval() for name, network in recipe.networks().items()}


def session(path):
    return pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "batch", "up": "transposed"},
        {"norm": "batch", "statistics": "picture"},
        {"norm": "instance", "dropout": 0.5},
        {"generator": "resnet"},
        {"generator": "spade", "norm": "batch"},
    ],
)
def test_onnx_makes_the_same_pictures_at_any_size(tmp_path, options):
    pytest.importorskip("onnx")
    recipe, networks = made(**options)
    before = {name: tensor.clone() for name, tensor in networks["generator"].state_dict().items()}
    (path,) = pictures.onnx(recipe, networks, tmp_path / "new/model")
    assert path.name == "model.onnx"
    file, generator = session(path), networks["generator"]
    for n, height, width in ((1, 19, 34), (3, 32, 16)):
        given = torch.rand(n, 2, height, width) * 2 - 1
        got = torch.from_numpy(file.run(["made"], {"given": given.numpy()})[0])
        with torch.no_grad():
            expected = padded(generator, given, generator.geometry)
        assert got.shape == expected.shape == (n, 3, height, width)
        assert expected.std() > 1e-2
        assert (got - expected).abs().max() < 1e-5
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
    facts = json.loads(file.get_modelmeta().custom_metadata_map["polygan"])
    assert facts == {"kind": "given", "given": INFO["given"], "made": {"channels": 3}, "range": [-1, 1], "scale": 1}


def test_a_program_of_torch_makes_the_same_pictures_at_multiples_of_a_size(tmp_path):
    recipe, networks = made()
    (path,) = pictures.program(recipe, networks, tmp_path / "model")
    assert path.name == "model.pt2"
    extra = {"polygan": ""}
    run, generator = torch.export.load(path, extra_files=extra).module(), networks["generator"]
    assert not [name for name, _ in run.named_parameters() if "discriminator" in name]
    facts = json.loads(extra["polygan"])
    unit = facts["multiple"]
    assert (unit, facts["least"]) == (generator.geometry.multiple, 16)
    for n, height, width in ((1, 16, 16 + unit), (4, 32, 48)):
        given = torch.rand(n, 2, height, width) * 2 - 1
        with torch.no_grad():
            expected = generator(given)
        assert expected.std() > 1e-2
        assert (run(given=given) - expected).abs().max() < 1e-5
    with pytest.raises(AssertionError, match="Guard failed"):
        run(given=given[:, :, :-1])


@pytest.mark.slow  # torch reasons about free sizes for half a minute
@pytest.mark.parametrize("name", ["CUT", "CycleGAN", "Colorize"])
def test_programs_of_the_other_recipes_make_the_same_pictures(tmp_path, name):
    module = {"CUT": cut, "CycleGAN": cyclegan, "Colorize": colorize}[name]
    info = {"channels": 3, "height": 32, "width": 32, "count": 50, "classes": ["a", "b"]}
    info = {**info, "pairs": "grey"} if name == "Colorize" else info
    small = {"width": 4, "depth": 2} if name == "Colorize" else {"width": 2, "blocks": 1}
    torch.manual_seed(0)
    recipe = getattr(module, name)(module.Config(**small, discriminator_width=4, discriminator_layers=1), info)
    networks = recipe.networks()
    (path,) = pictures.program(recipe, networks, tmp_path / "model")
    given = torch.rand(3, pictures.given_of(info)["channels"], 48, 32) * 2 - 1
    expected = make_samples(recipe, networks, 3, given=Samples(given)).data
    assert expected.std() > 1e-2
    assert (torch.export.load(path).module()(given=given) - expected).abs().max() < 1e-4


def test_label_maps_are_given_one_hot(tmp_path):
    labels = {"channels": 4, "values": [0, 1, 5, 9]}
    for trial in pictures.trial_pictures(labels, 8):
        assert trial["given"].sum(1).eq(1).all()
        assert trial["given"].unique().tolist() == [0, 1]
    pytest.importorskip("onnx")
    recipe, networks = made({**INFO, "given": labels}, generator="spade")
    (path,) = pictures.onnx(recipe, networks, tmp_path / "labels.onnx")
    assert json.loads(session(path).get_modelmeta().custom_metadata_map["polygan"])["given"] == labels


class Larger(PictureToPicture):
    """Enlarges by 2, for data without pairs."""

    Config = Config

    def translator(self, networks, options):
        return lambda image: networks["generator"](image), Geometry(2, 4, 0)


def test_a_recipe_that_enlarges_has_larger_pictures(tmp_path):
    pytest.importorskip("onnx")
    recipe = Larger(Config(), {"channels": 1, "height": 8, "width": 8})
    (path,) = pictures.onnx(recipe, {"generator": nn.ConvTranspose2d(1, 1, 2, 2)}, tmp_path / "x.onnx")
    (got,) = session(path).run(None, {"given": torch.zeros(2, 1, 9, 5).numpy()})
    assert got.shape == (2, 1, 18, 10)
    assert pictures.given_of({"channels": 3, "height": 1, "width": 1, "pairs": "grey"}) == {"channels": 1}


def test_a_file_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    recipe, networks = made()
    other = made(width=5)[1]["generator"]
    monkeypatch.setattr(pictures, "plain", lambda network: other)
    with pytest.raises(CheckpointError, match="makes something else than its source: values differ by"):
        pictures.onnx(recipe, networks, tmp_path / "x")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_missing_packages_are_one_line(tmp_path, monkeypatch, package):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None if name == package else sys)
    with pytest.raises(ConfigError, match=rf"needs the package {package}: pip install 'polygan-image\[onnx\]'"):
        pictures.onnx(*made(), tmp_path / "x")
