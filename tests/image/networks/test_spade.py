"""The SPADE generator: what modulates, its halo, its norms."""

import pytest
import torch
import torch.nn.functional as F

from polygan_image.networks.spade import Spade, SpadeGenerator


def label_map(classes=3, size=(16, 32), n=1):
    draw = torch.Generator().manual_seed(0)
    return F.one_hot(torch.randint(classes, (n, *size), generator=draw), classes).movedim(3, 1).float()


def test_the_layer_is_equation_1():
    """gamma and beta are convolutions of the given picture; the maps are normalised without parameters."""
    torch.manual_seed(0)
    layer, x, given = Spade(4, 3, 5, "instance"), torch.randn(2, 4, 8, 8), label_map(3, (8, 8), 2)
    hidden = F.relu(layer.shared(given))
    gamma, beta = layer.modulation(hidden)[:, :4], layer.modulation(hidden)[:, 4:]
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
    expected = (1 + gamma) * (x - mean) / (variance + 1e-5).sqrt() + beta
    torch.testing.assert_close(layer(x, given), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["none", "pixel", "batch", "instance"])
def test_norms_have_no_parameters_of_their_own(norm):
    assert {name.split(".")[0] for name, _ in Spade(4, 3, 5, norm).named_parameters()} == {"shared", "modulation"}


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_halo_covers_what_gradients_reach(depth):
    torch.manual_seed(0)
    network, multiple = SpadeGenerator(2, 1, 4, depth, hidden=8, norm="batch").double().eval(), 2**depth
    halo = network.geometry.halo
    before = halo + multiple  # the halo is a multiple too
    image = torch.rand(1, 2, 8 * multiple, 2 * before + multiple, dtype=torch.double, requires_grad=True)
    tile = network(image)[..., before : before + multiple]
    (gradient,) = torch.autograd.grad((tile * torch.randn_like(tile)).sum(), image)
    columns = gradient.abs().sum((0, 1, 2)).nonzero()[:, 0]
    found = max(before - int(columns[0]), int(columns[-1]) - before - multiple + 1)
    assert found == halo


def test_a_tile_with_its_halo_is_the_picture():
    torch.manual_seed(0)
    network, image, edge = SpadeGenerator(3, 3, 2, 2, hidden=4).eval(), label_map(3, (8, 96)), 24
    assert network.geometry == (1, 4, edge)
    with torch.no_grad():
        whole, tile = network(image), network(image[..., 40 - edge : 56 + edge])
    torch.testing.assert_close(tile[..., edge : edge + 16], whole[..., 40:56], rtol=0, atol=1e-5)
    assert SpadeGenerator(3, 3, 2, 2, norm="instance").geometry.halo is None


def test_every_level_sees_the_label_map():
    """A class of one pixel changes the picture, although the coarse map leaves the pixel out."""
    torch.manual_seed(0)
    network, image = SpadeGenerator(3, 3, 4, 2, hidden=4).eval(), label_map()
    other = image.clone()
    other[:, :, 5, 5] = other[:, :, 5, 5].roll(1, 1)
    with torch.no_grad():
        change = (network(image) - network(other)).abs().sum((0, 1))
    assert change[5, 5] > 0
    assert float(network(image).detach().std()) > 0.05
