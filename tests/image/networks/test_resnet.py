"""The ResNet generator: published outputs, exact tiles, and the maps that CUT compares."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from polygan_image.networks.resnet import Blur, Enlarged, PixelNorm, ResNetGenerator

GOLDEN = Path(__file__).parents[2] / "golden/cyclegan"
UPS = ("resize", "transposed", "antialias")


def small(norm="pixel", up="resize", blocks=2):
    torch.manual_seed(0)
    network = ResNetGenerator(3, 3, 4, blocks, norm=norm, up=up).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.0, 0.3 if parameter.dim() > 1 else 0.1)
    nn.init.normal_(network.last.weight, 0.0, 0.003)  # far from the flat ends of tanh
    return network


def official(path):
    """The golden tensors of the generator in the order of the layers, without the filters."""
    golden = load_file(path)
    names = [k for k in golden if k.startswith("generator.") and not k.endswith("filt")]
    key = [([int(p) for p in k.split(".") if p.isdigit()], k.endswith("bias"), k) for k in names]
    return golden, [golden[k] for *_, k in sorted(key)]


@pytest.mark.parametrize(
    ("name", "blocks", "up"), [("resnet6-narrow", 6, "transposed"), ("resnet-cut-narrow", 4, "antialias")]
)
def test_published_networks_are_computed_to_1e_5(name, blocks, up):
    golden, tensors = official(GOLDEN / f"{name}.safetensors")
    network = ResNetGenerator(3, 3, 4, blocks, norm="instance", up=up).eval()
    network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    with torch.no_grad():
        assert (network(golden["input"]) - golden["output"]).abs().max() < 1e-5


@pytest.mark.parametrize("up", UPS)
@pytest.mark.parametrize("norm", ["none", "pixel", "batch"])
def test_a_tile_with_its_halo_is_the_part_of_the_whole_and_a_smaller_halo_is_not(norm, up):
    network = small(norm, up)
    scale, multiple, halo = network.geometry
    assert (scale, multiple) == (1, 4)
    picture = torch.randn(1, 3, 8, 128, dtype=torch.float64)
    around = -(-halo // 4) * 4

    def gap(around):
        with torch.no_grad():
            tile = network(picture[..., 64 - around : 68 + around])[..., around : around + 4]
            return float((network(picture)[..., 64:68] - tile).abs().max())

    assert gap(around) < 1e-12
    assert gap(around - 12) > 1e-10


@pytest.mark.parametrize("up", UPS)
def test_the_halo_is_the_distance_of_the_furthest_pixel(up):
    network = small("none", up)
    picture = torch.randn(1, 3, 8, 128, dtype=torch.float64, requires_grad=True)
    reached = torch.autograd.grad(network(picture)[..., 64:68].square().sum(), picture)[0]
    columns = reached.abs().sum((0, 1, 2)).nonzero().flatten()
    assert max(64 - int(columns.min()), int(columns.max()) - 67) == network.geometry.halo


def test_instance_norm_has_no_halo():
    assert small("instance").geometry.halo is None


@pytest.mark.parametrize("size", [(4, 4), (4, 12), (8, 8), (20, 36)])
@pytest.mark.parametrize("up", UPS)
def test_pictures_of_any_multiple_of_4_keep_their_size(size, up):
    made = small("pixel", up)(torch.randn(1, 3, *size, dtype=torch.float64))
    assert made.shape == (1, 3, *size)
    assert made.isfinite().all()


def test_enlarging_is_repeated_pixels_and_then_a_convolution():
    layer, x = Enlarged(3, 5), torch.randn(2, 3, 6, 7)
    repeated = F.interpolate(x, scale_factor=2)
    torch.testing.assert_close(layer(x), F.conv2d(repeated, layer.weight, layer.bias, padding=1), rtol=0, atol=1e-6)


def test_filters_keep_a_flat_picture_and_store_nothing():
    flat = torch.full((1, 2, 6, 4), 0.7)
    for up, size in ((True, (12, 8)), (False, (3, 2))):
        assert torch.allclose(Blur(2, up=up)(flat), torch.full((1, 2, *size), 0.7))
        assert not Blur(2, up=up).state_dict()


def test_pixel_norm_brings_each_position_to_mean_0_and_variance_1():
    made = PixelNorm(16)(torch.randn(2, 16, 3, 5) * 7 + 2)
    assert made.mean(1).abs().max() < 1e-5
    assert (made.var(1, correction=0) - 1).abs().max() < 1e-3


@pytest.mark.parametrize(("blocks", "places"), [(1, 4), (2, 5), (6, 5), (9, 5)])
def test_features_are_the_maps_on_the_way_to_the_made_picture(blocks, places):
    network, picture = small(blocks=blocks), torch.randn(2, 3, 16, 8, dtype=torch.float64)
    seen, kept = {}, [network.down[0].conv, network.down[1].conv, network.blocks[0], network.blocks[min(5, blocks) - 1]]
    for module in kept:
        module.register_forward_hook(lambda module, _, out: seen.setdefault(module, out.clone()))
    with torch.no_grad():
        found = network.features(picture)
        made, again = network.with_features(picture)
        assert torch.equal(made, network(picture))
    assert len(found) == len(network.channels) == places
    assert [x.shape[1] for x in found] == list(network.channels)
    expected = [picture, *dict.fromkeys(seen[m] for m in kept)]
    assert all(map(torch.equal, found, expected))
    assert all(map(torch.equal, again, found))


def test_without_norm_blocks_begin_as_their_input():
    network = ResNetGenerator(3, 3, 4, 2, norm="none")
    x = torch.randn(1, 16, 8, 8)
    assert torch.equal(network.blocks[0](x.clone()), x)
