"""Tiles give the pixels of the whole picture, and are refused where they cannot."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_networks import Enlarger, Hourglass, picture

from polygan import ConfigError
from polygan_image.geometry import Geometry, padded
from polygan_image.translation.tiles import ROOM, Reader, made_bands, plan, tiled

CPU = torch.device("cpu")
NETWORKS = {
    **{
        f"x{s}-{edge}": (lambda s=s, edge=edge: Enlarger(s, edge=edge))
        for s in (1, 2, 4)
        for edge in ("zeros", "reflect")
    },
    **{f"hourglass-{edge}": (lambda edge=edge: Hourglass(edge=edge)) for edge in ("zeros", "reflect")},
}


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]().eval().requires_grad_(False)


@pytest.mark.parametrize(("height", "width"), [(37, 61), (64, 40), (25, 17)])
@pytest.mark.parametrize("tile", [16, 19, 24, 40])
def test_tiles_of_any_size_give_the_pixels_of_the_whole_picture(network, height, width, tile):
    image = picture(height, width, n=2)
    whole = padded(network, image, network.geometry)
    chosen = plan(height, width, network.geometry, tile)
    assert not chosen.is_whole(height, width) or tile >= max(height, width)
    made = tiled(network, image, network.geometry, chosen, CPU)
    assert made.shape == whole.shape
    assert (made - whole).abs().max() < 1e-6


def test_tiles_are_equal_up_to_the_last_bits_of_float64(network):
    network, image = network.double(), picture(53, 45).double()
    made = tiled(network, image, network.geometry, plan(53, 45, network.geometry, 16), CPU)
    torch.testing.assert_close(made, padded(network, image, network.geometry), rtol=0, atol=1e-13)


def test_a_halo_that_is_too_small_gives_seams():
    torch.manual_seed(0)
    network = Enlarger(2).requires_grad_(False)
    geometry, image = network.geometry._replace(halo=2), picture(40, 40)
    made = tiled(network, image, geometry, plan(40, 40, geometry, 16), CPU)
    assert (made - padded(network, image, geometry)).abs().max() > 1e-4


@pytest.mark.parametrize("rows", [1, 7, 16, 100])
def test_a_picture_that_comes_in_bands_gives_the_same_bands(network, rows):
    image, geometry = picture(50, 33), network.geometry
    chosen = plan(50, 33, geometry, 16)
    made = list(made_bands(network, Reader(iter(image.split(rows, 2)), 50), geometry, chosen, CPU))
    assert len(made) > 1
    assert (torch.cat(made, 2) - padded(network, image, geometry)).abs().max() < 1e-6


def test_the_reader_forgets_rows_above():
    reader = Reader(iter(picture(100, 4).split(10, 2)), 100)
    assert reader.rows(35, 62).shape[2] == 27
    assert len(reader.held) <= 4
    assert torch.equal(reader.rows(90, 100), picture(100, 4)[:, :, 90:])


def test_the_network_sees_no_more_than_the_room():
    seen = []

    def network(x):
        seen.append(x.shape[2] * x.shape[3])
        return x

    geometry = Geometry(1, 4, 18)
    image = picture(700, 900, 1)
    assert torch.equal(tiled(network, image, geometry, plan(700, 900, geometry), CPU), image)
    assert len(seen) > 1
    assert max(seen) <= ROOM["cpu"]
    assert sum(seen) < 1.35 * 700 * 900


@pytest.mark.parametrize("size", [(5000, 900), (3000, 4000), (700, 10**5)])
@pytest.mark.parametrize("geometry", [Geometry(4, 2, 18), Geometry(1, 256, 511), Geometry(4, 1, 349)])
def test_chosen_tiles_start_on_the_multiple_and_are_not_all_halo(size, geometry):
    chosen = plan(*size, geometry)
    assert chosen.rows % geometry.multiple == chosen.columns % geometry.multiple == chosen.halo % geometry.multiple == 0
    assert not chosen.is_whole(*size)
    assert chosen.halo >= geometry.halo
    assert min(chosen.rows, chosen.columns) >= min(geometry.halo, *size) / 2


def test_pictures_that_fit_stay_whole():
    assert plan(300, 400, Geometry(4, 1, 18)).is_whole(300, 400)
    assert not plan(3000, 4000, Geometry(4, 1, 18)).is_whole(3000, 4000)


@pytest.mark.parametrize("tile", [1, 17, 18])
def test_a_tile_that_is_not_larger_than_the_halo_is_refused(tile):
    with pytest.raises(ConfigError, match=f"tile = {tile} is too small: this network sees 18 pixels .* --tile 64"):
        plan(100, 100, Geometry(4, 1, 18), tile)
    assert plan(100, 100, Geometry(4, 1, 18), 19).rows <= 19


def test_without_an_exact_halo_the_picture_stays_whole_unless_tiles_are_asked_for():
    geometry = Geometry(1, 8, None)
    assert plan(5000, 5000, geometry).is_whole(5000, 5000)
    chosen = plan(100, 100, geometry, 32)
    assert chosen.rows <= 32
    assert chosen.halo == 8
