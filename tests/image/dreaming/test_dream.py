"""Dreamed pictures: ascent, layers, tiles, seeds, guides, frames, and every kind of network."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import polygan_image
from polygan import ConfigError, DataError
from polygan.cli import main
from polygan_image.dreaming.ascent import Ascent, Source, taken, zoom
from polygan_image.dreaming.layers import Layer, chosen
from polygan_image.dreaming.networks import of_module, open_network


def network(channels=3, seed=0):
    torch.manual_seed(seed)
    first = nn.Sequential(nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1))
    return nn.Sequential(first, nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))


def picture(height=40, width=32, channels=3, seed=1):
    values = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, channels), dtype=np.uint8)
    return Image.fromarray(values[..., 0] if channels == 1 else values).resize(
        (width, height), Image.Resampling.BICUBIC
    )


QUICK = {"octaves": 2, "steps": 3, "jitter": 4, "layers": ("0.2",)}


def excited(net, image, layer="0.2"):
    found = of_module(net).outputs(image, {layer})[layer]
    return float(found.square().mean())


def test_the_layer_is_more_excited_afterwards():
    net, image = network(), picture()
    made = polygan_image.dream(net, image, **QUICK)
    assert made.data.shape == (1, 3, 40, 32)
    assert excited(net, made.data) > 1.3 * excited(net, taken(image))
    assert -1 <= float(made.data.min()) <= float(made.data.max()) <= 1


def test_a_step_is_the_gradient_of_half_the_mean_square():
    net, image = network(), taken(picture(24, 24))
    source = Source(of_module(net), Ascent(layers=("0.0",), jitter=0))
    found = source._gradient(image)
    x = image.clone().requires_grad_(True)
    (0.5 * net[0][0](x).square().mean() * 24 * 24).backward()
    torch.testing.assert_close(found, x.grad)


def test_the_mean_pixel_moves_by_the_rate():
    image = torch.zeros(1, 3, 20, 20)
    image[:, :, 5:9] = 0.3
    source = Source(of_module(network()), Ascent(layers=("0.0",), rate=0.01))
    made = image.clone()
    source._step(made, torch.Generator().manual_seed(0))
    assert float((made - image).abs().mean()) == pytest.approx(0.01, rel=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_bits():
    one, two, other = (polygan_image.dream(network(), picture(), seed=s, **QUICK).data for s in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_squares_cover_every_pixel_once():
    class Twice(nn.Conv2d):
        def forward(self, x):
            return 2 * x

    image = taken(picture(50, 33))
    for tile in (0, 16, 20):
        made = image.clone()
        source = Source(of_module(nn.Sequential(Twice(3, 3, 1))), Ascent(layers=("0",), tile=tile, jitter=9))
        source._step(made, torch.Generator().manual_seed(1))
        whole = image + 0.02 * image / image.abs().mean()
        torch.testing.assert_close(made, whole.clamp(-1, 1), atol=1e-5, rtol=0)


def test_lightness_alone_is_dreamed():
    image = taken(picture())
    made = polygan_image.dream(network(), picture(), original_colours=True, **QUICK).data
    inside = (made.abs() < 1).all(1, keepdim=True)
    difference = made - image
    assert float(difference.abs().max()) > 0.02
    spread = (difference.amax(1, keepdim=True) - difference.amin(1, keepdim=True))[inside]
    assert float(spread.max()) < 1e-5


def test_transparency_stays():
    made = polygan_image.dream(network(), picture(channels=4), **QUICK).data
    assert made.shape[1] == 4
    assert torch.equal(made[:, 3:], taken(picture(channels=4))[:, 3:])


@pytest.mark.parametrize("channels", [1, 4])
def test_networks_of_grey_and_of_alpha_dream_in_colour(channels):
    assert polygan_image.dream(network(channels), picture(), **QUICK).data.shape == (1, 3, 40, 32)


def test_a_guide_draws_the_layer_to_its_own_outputs():
    net, guide = network(), picture(seed=7)
    free, led = (polygan_image.dream(net, picture(), guide=g, **QUICK).data for g in (None, guide))
    assert not torch.equal(free, led)
    layer = Layer("x")
    output, other = torch.randn(2, 5, 3, 4), torch.randn(1, 5, 2, 2)
    products = torch.einsum("ncp,cq->npq", output.flatten(2), other.flatten(2)[0])
    assert float(layer.excitement(output, other)) == pytest.approx(
        float(products.amax(2).sum()) / (2 * 12 * 5), rel=1e-5
    )


def test_layers_have_channels_and_weights():
    assert Layer.parse("a.b:3=0.5") == Layer("a.b", 3, 0.5)
    assert Layer.parse("conv=-2") == Layer("conv", None, -2.0)
    output = torch.randn(1, 4, 3, 3)
    assert torch.equal(Layer("x", 2, 3.0).excitement(output), 3 * output[:, 2].mean())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.3", r"layer '0.3' does not exist \(did you mean '0.[012]'\?\); there are 0.0, 0.1, 0.2, 0, 1"),
        ("0.2:8", "has the channels 0 to 7, and not 8"),
        ("a b", "is no layer; type NAME"),
        ("4=x", "is no layer"),
    ],
)
def test_a_layer_that_is_not_there_is_one_clear_line(text, words):
    with pytest.raises(ConfigError, match=words):
        polygan_image.dream(network(), picture(), layers=(text,))


def test_without_a_name_a_layer_in_the_middle_dreams():
    shapes = {f"l{i}": (1, 2, 8, 8) for i in range(10)} | {"head": (1, 3)}
    assert chosen((), shapes) == [Layer("l6")]
    with pytest.raises(ConfigError, match="no layer that makes maps"):
        chosen((), {"head": (1, 3)})


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        with torch.no_grad():
            return self.conv(x)


def test_a_network_without_gradients_is_named():
    with pytest.raises(ConfigError, match="layer 'conv' of the network has no gradient by the picture"):
        polygan_image.dream(Blind(), picture(), layers=("conv",))
    with pytest.raises(ConfigError, match="takes 7 channels, not pictures"):
        polygan_image.dream(nn.Conv2d(7, 1, 1), picture())


def test_values_of_other_networks():
    x = torch.tensor([-1.0, 1.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    seen = {v: of_module(network(), v).prepare(x)[0, 0, 0].tolist() for v in ("symmetric", "unit", "bytes", "imagenet")}
    assert seen["symmetric"] == [-1, 1]
    assert seen["unit"] == [0, 1]
    assert seen["bytes"] == [0, 255]
    assert seen["imagenet"] == pytest.approx([-0.485 / 0.229, 0.515 / 0.229])


def test_frames_fly_into_the_picture(tmp_path):
    made = zoom(network(), picture(), 3, by=0.2, **QUICK)
    assert (made.data.shape, made.kind) == ((3, 3, 40, 32), "frames")
    assert torch.equal(made.data[0], polygan_image.dream(network(), picture(), **QUICK).data[0])
    (file,) = made.save(tmp_path / "x.webp")
    with Image.open(file) as opened:
        assert opened.n_frames == 3


def test_an_exported_program_dreams_as_its_module_does(tmp_path):
    net = network()
    size = {2: torch.export.Dim("h", min=8, max=1000), 3: torch.export.Dim("w", min=8, max=1000)}
    torch.export.save(
        torch.export.export(net, (torch.zeros(1, 3, 32, 32),), dynamic_shapes=(size,)), tmp_path / "n.pt2"
    )
    with pytest.raises(DataError, match="add --allow_code"):
        open_network(str(tmp_path / "n.pt2"))
    opened = open_network(str(tmp_path / "n.pt2"), allow_code=True)
    made = polygan_image.dream(opened, picture(), **{**QUICK, "layers": ("conv2d_1",)})
    torch.testing.assert_close(made.data, polygan_image.dream(net, picture(), **QUICK).data)


def test_a_network_of_a_fixed_size_needs_its_tile():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Flatten(), nn.Linear(4 * 8 * 8, 2))
    with pytest.raises(ConfigError, match=r"there are 0 \(the network cannot take pictures .* needs --tile SIZE\)"):
        polygan_image.dream(net, picture(), layers=("2",))
    assert polygan_image.dream(net, picture(), layers=("2",), tile=16, octaves=2, steps=1).data.shape == (1, 3, 40, 32)


def test_files_that_are_no_networks(tmp_path, monkeypatch):
    for name, words in (
        ("x.onnx", "there is no file"),
        ("x.pt2", "there is no file"),
        ("x.pth", "save the network with torch.export.save"),
    ):
        with pytest.raises(DataError, match=words):
            open_network(str(tmp_path / name), allow_code=True)
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(DataError, match=r"pip install 'polygan-image\[dream\]'"):
        open_network(str(tmp_path / "x.onnx"))


def run(capsys, *words, code=0):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    out = capsys.readouterr()
    assert (end.value.code or 0) == code, out
    return out


def test_the_discriminator_of_a_run_dreams(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for i in range(8):
        picture(16, 16, seed=i).save(tmp_path / "data" / f"{i}.png")
    small = ["--model.generator_width", 4, "--model.discriminator_width", 4, "--model.latent_dim", 4]
    run(capsys, "train", "image/dcgan", "--data", "data", "--steps", 1, "--batch_size", 4, "--name", "r", *small)
    shown = run(capsys, "dream", "runs/r", "--list-layers").out
    layer = next(line.split()[0] for line in shown.splitlines() if line.count(" x ") == 2)
    picture(40, 48).save("in.png")
    made = run(
        capsys,
        "dream",
        "runs/r",
        "--input",
        "in.png",
        "--layers",
        layer,
        "--steps",
        2,
        "--octaves",
        2,
        "--out",
        "out.png",
    )
    assert made.out.strip() == "out.png"
    with Image.open("out.png") as opened:
        assert opened.size == (48, 40)
    for words, message in (
        (["runs/r", "--player", "generator"], "takes noise, not pictures; dream with its discriminator"),
        (["runs/r", "--player", "x"], "the run has generator, discriminator"),
        (["runs/r", "--label", "cat"], "was trained without classes"),
        (["runs/r", "--input", "none.png"], "none.png"),
        (["runs/r", "--input", "in.png", "--out", "x.txt"], "writes .png"),
        ([], "which network?"),
        (["runs/r", "--ocatves", "3"], "did you mean --octaves"),
        (["runs/r", "more"], "unexpected 'more' for polygan dream"),
        (["runs/r", "--octaves", "0"], "octaves = 0"),
    ):
        error = run(capsys, "dream", *words, code=2 if "none.png" not in words else 1).err
        assert message in error, error
        assert len(error.strip().splitlines()) == 1
    assert "polygan dream NETWORK [options]" in run(capsys, "dream", "--help").out
