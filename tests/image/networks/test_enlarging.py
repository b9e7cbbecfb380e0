"""Networks that enlarge: sizes, exact halos and multiples, where they start, the meta device."""

import pytest
import torch
import torch.nn.functional as F

from polygan_image.networks.enlarging import Compact, RRDBNet, Small

NETWORKS = {
    "small": lambda scale: Small(3, scale, 4, 2),
    "compact": lambda scale: Compact(3, scale, 4, 2),
    "rrdb": lambda scale: RRDBNet(3, scale, 4, 1, 2),
}
CASES = [(name, scale) for name in NETWORKS for scale in (2, 4)]


def alive(name, scale):
    """A network in double precision whose layers all pass something on, so that the whole receptive field counts."""
    torch.manual_seed(0)
    network = NETWORKS[name](scale).double().eval()
    for parameter in network.parameters():
        if parameter.dim() == 4:
            torch.nn.init.uniform_(parameter, 0, 3 / parameter[0].numel())
    return network


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_the_picture_becomes_scale_times_larger(name, scale):
    network = NETWORKS[name](scale)
    assert network.geometry.scale == scale
    assert network(torch.zeros(2, 3, 6, 10)).shape == (2, 3, 6 * scale, 10 * scale)
    assert NETWORKS[name](scale).to("meta")(torch.zeros(2, 3, 6, 10, device="meta")).shape[2] == 6 * scale


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_the_halo_is_the_receptive_field_of_a_tile(name, scale):
    network = alive(name, scale)
    _, multiple, halo = network.geometry
    start, side = halo + 3 * multiple, 4 * multiple
    image = torch.rand(1, 3, 4, 2 * start + side, dtype=torch.float64, requires_grad=True)
    network(image)[..., start * scale : (start + side) * scale].sum().backward()
    seen = image.grad.abs().amax((0, 1, 2)).nonzero().flatten().tolist()
    assert (seen[0], seen[-1] + 1) == (start - halo, start + side + halo)


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_a_tile_with_its_halo_equals_the_whole_picture(name, scale):
    network = alive(name, scale)
    _, multiple, halo = network.geometry
    start, side = halo + 2 * multiple, 4 * multiple
    image = torch.rand(1, 3, 4, 2 * start + side, dtype=torch.float64)
    with torch.no_grad():
        whole, tile = network(image), network(image[..., start - halo : start + side + halo])
    expected = whole[..., start * scale : (start + side) * scale]
    assert (tile[..., halo * scale : (halo + side) * scale] - expected).abs().max() < 1e-13


def test_the_small_network_starts_as_bicubic_enlargement():
    image = torch.rand(2, 1, 5, 7) * 2 - 1
    expected = F.interpolate(image, scale_factor=4, mode="bicubic", align_corners=False)
    assert torch.equal(Small(1, 4)(image), expected)


def test_the_published_networks_have_their_published_sizes():
    with torch.device("meta"):
        rrdb, compact = RRDBNet(3, 4), Compact(3, 4, 64, 32)
    assert sum(p.numel() for p in rrdb.parameters()) == 16_697_987
    assert sum(p.numel() for p in compact.parameters()) == 1_213_296
