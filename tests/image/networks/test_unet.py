"""The U-Net: the published network, its geometry by gradients, statistics of batch norm, initial weights."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from polygan_image.formats.pix2pix import read_unet
from polygan_image.networks.unet import UNet, is_local

GOLDEN = load_file(Path(__file__).parents[2] / "golden/pix2pix/unet-narrow.safetensors")
NORMS = ["none", "pixel", "batch"]


def published():
    """The golden network and its state by our names."""
    state = {k.removeprefix("generator."): v for k, v in GOLDEN.items() if k.startswith("generator.")}
    tensors = read_unet(state, Path("golden"))[2]
    network = UNet(3, 3, 4, 5, norm="batch", up="transposed")
    network.load_state_dict(tensors)
    return network, tensors


def test_batch_statistics_give_the_published_networks_pictures():
    """The official test script leaves the network in training mode."""
    network, _ = published()
    with torch.no_grad():
        assert (network.train()(GOLDEN["input"]) - GOLDEN["output_batch_statistics"]).abs().max() < 1e-5


def test_running_statistics_give_the_published_networks_pictures():
    """``output_eval`` was made first; the training pass of the other output then moved the running means that the file holds."""
    network, tensors = published()
    network.load_state_dict({k: torch.zeros_like(v) if "running" in k else v for k, v in tensors.items()})
    with torch.no_grad():
        network.train()(GOLDEN["input"])
        moved = network.state_dict()
        network.load_state_dict({k: (v - moved[k]) / 0.9 if "running" in k else v for k, v in tensors.items()})
        assert (network.eval()(GOLDEN["input"]) - GOLDEN["output_eval"]).abs().max() < 1e-5


def test_the_statistics_of_each_picture_are_those_of_a_batch_of_one():
    network, _ = published()
    with torch.no_grad():
        own = network.eval()(GOLDEN["input"], "picture")
        for i in range(2):
            alone = network.train()(GOLDEN["input"][i : i + 1])
            torch.testing.assert_close(own[i : i + 1], alone, rtol=1e-5, atol=1e-6)
    assert network.geometry_of("picture").halo is None
    assert network.geometry.halo == 63


def reach(network, tile, before, after, channels=2):
    """How many pixels left and right of a tile its output depends on, by gradients."""
    torch.manual_seed(0)
    network = network.double().eval()
    image = torch.randn(1, channels, 8 * tile, before + tile + after, dtype=torch.double, requires_grad=True)
    output = network(image)[..., before : before + tile]
    (gradient,) = torch.autograd.grad((output * torch.randn_like(output)).sum(), image)
    columns = gradient.abs().sum((0, 1, 2)).nonzero()[:, 0]
    return before - int(columns[0]), int(columns[-1]) - before - tile + 1


@pytest.mark.parametrize("up", ["resize", "transposed"])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_halo_is_what_gradients_reach(depth, up):
    multiple = 2**depth
    network = UNet(2, 1, 8, depth, norm="batch", up=up)
    assert network.geometry == (1, multiple, 2 * multiple - 1)
    assert reach(network, multiple, 3 * multiple, 3 * multiple) == (2 * multiple - 1, 2 * multiple - 1)


@pytest.mark.parametrize("norm", NORMS)
def test_a_tile_with_its_halo_is_the_picture(norm):
    torch.manual_seed(0)
    network = UNet(3, 3, 4, 3, norm=norm).eval()
    image, multiple, edge = torch.rand(1, 3, 8, 80), 8, 16  # 16 is the first multiple of 8 from the halo of 15 on
    with torch.no_grad():
        whole, tile = network(image), network(image[..., 32 - edge : 48 + edge])
    torch.testing.assert_close(tile[..., edge : edge + 16], whole[..., 32:48], rtol=0, atol=1e-6)
    assert network.geometry.multiple == multiple


def test_instance_norm_has_no_halo():
    assert UNet(3, 3, 2, 2, norm="instance").geometry.halo is None
    assert [is_local(norm) for norm in ("none", "pixel", "batch", "instance")] == [True, True, True, False]


@pytest.mark.parametrize("norm", ["none", "pixel", "batch", "instance"])
@pytest.mark.parametrize("depth", [1, 5])
def test_fresh_pictures_have_a_sensible_spread(norm, depth):
    torch.manual_seed(0)
    made = UNet(1, 3, 16, depth, norm=norm)(torch.rand(2, 1, 64, 64) * 2 - 1)
    assert made.shape == (2, 3, 64, 64)
    assert 0.01 < float(made.detach().std()) < 0.5


def test_dropout_acts_in_training_alone_and_never_on_the_picture():
    torch.manual_seed(0)
    for depth in (1, 2):
        assert not [*UNet(1, 1, 2, depth, dropout=0.5).dropped]
    assert [*UNet(1, 1, 2, 8, dropout=0.5).dropped] == [1, 2, 3]  # as published: three layers of the deepest
    network, image = UNet(1, 1, 8, 3, dropout=0.5), torch.rand(1, 1, 16, 16)
    assert not torch.equal(network(image), network(image))
    network.eval()
    assert torch.equal(network(image), network(image))


def test_the_picture_may_be_unbounded():
    network = UNet(1, 1, 2, 1, bounded=False)
    with torch.no_grad():
        network.up[-1].bias.fill_(7.0)
        assert network(torch.zeros(1, 1, 4, 4)).min() > 6


def test_the_way_up_is_nearest_doubling_and_a_convolution():
    torch.manual_seed(0)
    layer = UNet(1, 2, 3, 1).up[0]
    x = torch.randn(2, 3, 5, 4)
    expected = F.conv2d(F.interpolate(x, scale_factor=2.0), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-6)
