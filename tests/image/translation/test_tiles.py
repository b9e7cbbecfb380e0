import itertools
import logging

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from polygan import ConfigError
from polygan_image.networks.enlarging import Compact, RRDBNet, Small
from polygan_image.networks.resnet import ResNetGenerator
from polygan_image.networks.unet import UNet
from polygan_image.translation import mosaic, tiles
from polygan_image.translation.geometry import Geometry, measured_halo, padded
from polygan_image.translation.mosaic import Band, Mosaic
from polygan_image.translation.tiles import Tile, chosen, flat, spans, widest

CPU = torch.device("cpu")
NETWORKS = {
    "x1": lambda: nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1)),
    "x2": lambda: Small(3, 2, 8, 1),
    "x4": lambda: Compact(3, 4, 8, 2),
    "folded": lambda: RRDBNet(3, 2, 8, 1, 4),
    "multiple of 8": lambda: UNet(3, 3, 4, 3),
    "reflected edges": lambda: ResNetGenerator(3, 3, 4, 1),
}


def made(name):
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()
    for p in network.parameters():  # a layer that starts at 0 would hide what depends on it
        if not p.any():
            nn.init.normal_(p, std=0.1)
    network.requires_grad_(False)
    return network, getattr(network, "geometry", Geometry(halo=3))


def picture(height, width, channels=3):
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_of_every_size_give_the_pixels_of_the_whole_picture(name):
    network, geometry = made(name)
    given = picture(3 * geometry.halo + 5, 2 * geometry.halo + 23)
    whole = padded(network, given, geometry).clamp(-1, 1)
    assert whole.std() > 0.01
    for more in (1, 4, 9, 200):
        tile = geometry.halo + more
        assert (Mosaic(network, geometry, tile=tile)(given) - whole).abs().max() < 1e-6


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_bands_give_the_pixels_of_the_whole_picture(name, rows):
    network, geometry = made(name)
    given = picture(3 * geometry.halo + 5, geometry.halo + 15)
    height = given.shape[2]
    bands = (Band(given[:, :, top : top + rows], top, height) for top in range(0, height, rows))
    out = list(Mosaic(network, geometry, tile=geometry.halo + 3).bands(bands))
    assert len(out) > 1
    assert [b.top for b in out] == [0, *itertools.accumulate(b.data.shape[2] for b in out[:-1])]
    assert {b.height for b in out} == {height * geometry.scale}
    whole = padded(network, given, geometry).clamp(-1, 1)
    assert (torch.cat([b.data for b in out], 2) - whole).abs().max() < 1e-6


def test_chosen_tiles_are_exact_too(monkeypatch):
    network, geometry = made("x2")
    monkeypatch.setattr(mosaic, "_SMALL", 0)
    monkeypatch.setattr(tiles, "_QUICK", 2**17)
    monkeypatch.setattr(tiles, "_SLOWER", 9.0)
    given, calls = picture(90, 110), []

    def counted(image):
        calls.append(image.shape)
        return network(image)

    out = Mosaic(counted, geometry)(given)
    assert len(calls) > 4  # the small picture that is measured first, and the tiles
    assert (out - padded(network, given, geometry).clamp(-1, 1)).abs().max() < 1e-6


@pytest.mark.parametrize("name", NETWORKS)
def test_the_halo_of_each_network_is_the_smallest_exact_halo(name):
    network, geometry = made(name)
    assert measured_halo(network, 3, geometry, geometry.halo + 5) == geometry.halo


def test_a_halo_that_is_too_small_is_measured():
    network = nn.Conv2d(1, 1, 7, padding=3)
    nn.init.zeros_(network.weight)  # zeros hide nothing
    assert measured_halo(network, 1, Geometry(halo=2), 9) == 3
    down = nn.Sequential(nn.Conv2d(1, 1, 4, 2, 1), nn.ConvTranspose2d(1, 1, 4, 2, 1))
    assert measured_halo(down, 1, Geometry(multiple=2), 9) == 3
    tall = nn.Conv2d(1, 1, (5, 1), padding=(2, 0))
    assert measured_halo(tall, 1, Geometry(), 9) == 2


def test_a_halo_that_is_too_small_leaves_seams():
    network, geometry = made("x1")
    given = picture(40, 40)
    whole = padded(network, given, geometry).clamp(-1, 1)
    assert (Mosaic(network, geometry._replace(halo=2), tile=10)(given) - whole).abs().max() > 1e-4


def test_batches_give_the_pictures_of_single_ones(monkeypatch):
    network, geometry = made("multiple of 8")
    given = torch.cat([picture(19, 21), -picture(19, 21), picture(19, 21).flip(3)])
    monkeypatch.setattr(mosaic, "_BATCH", 2 * 19 * 21)
    for tile in (0, 16):
        out = Mosaic(network, geometry, tile=tile)(given)
        single = torch.cat([padded(network, x[None], geometry) for x in given]).clamp(-1, 1)
        assert (out - single).abs().max() < 1e-6
    assert Mosaic(network, geometry)(given[:0]).shape == (0, 3, 19, 21)


def test_bf16_gives_float32_pictures_near_those_of_fp32():
    network, geometry = made("x1")
    given = picture(20, 20)
    plain, fast = (Mosaic(network, geometry, precision=p)(given) for p in ("fp32", "bf16"))
    assert plain.dtype == fast.dtype == torch.float32
    assert 0 < (plain - fast).abs().max() < 0.05


def test_tiles_not_larger_than_the_halo_are_refused():
    with pytest.raises(ConfigError, match=r"tile = 18 is not larger than the 18 pixels .* type --tile 36"):
        Mosaic(nn.Identity(), Geometry(halo=18), tile=18)
    Mosaic(nn.Identity(), Geometry(halo=18), tile=19)


def test_without_an_exact_halo_the_picture_is_made_whole_and_tiles_are_warned_of(caplog):
    network, geometry, sizes = nn.InstanceNorm2d(3), Geometry(halo=None), []

    def watched(image):
        sizes.append(tuple(image.shape[2:]))
        return network(image) / 4

    given = picture(300, 300)
    assert (Mosaic(watched, geometry)(given) - network(given) / 4).abs().max() < 1e-6
    bands = iter([Band(given[:, :, :100], 0, 300), Band(given[:, :, 100:], 100, 300)])
    assert [b.data.shape[2] for b in Mosaic(watched, geometry).bands(bands)] == [300]
    assert sizes == [(300, 300)] * 2
    assert not caplog.records
    mosaic._warn.cache_clear()
    with caplog.at_level(logging.WARNING, logger="polygan"):
        for _ in range(2):  # once for a folder of pictures
            out = Mosaic(watched, geometry, tile=100)(given)
    assert len(caplog.records) == 1
    assert "seams may show" in caplog.text
    assert out.shape == given.shape


@given(st.integers(1, 300), st.integers(1, 120), st.sampled_from([1, 2, 8]), st.integers(0, 20))
def test_spans_cover_each_pixel_once(size, tile, multiple, halo):
    geometry = Geometry(multiple=multiple, halo=halo)
    found = spans(size, tile, geometry)
    assert [s.start for s in found] == [0, *(s.end for s in found[:-1])]
    assert found[-1].end == size
    for s in found:
        assert 0 < s.end - s.start <= geometry.aligned(tile)
        assert s.start % multiple == s.low % multiple == 0
        assert s.high == size or s.high % multiple == 0
        assert s.low == 0 or s.start - s.low >= halo
        assert s.high == size or s.high - s.end >= halo


def test_the_widest_map_is_counted_for_each_input_pixel():
    network = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 12, 3, padding=1), nn.PixelShuffle(2))
    assert widest(network, 3, Geometry(2), CPU) == 4 * 64
    wide = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 512, 3, 16, 1))  # weights are no maps
    assert widest(wide, 3, Geometry(), CPU) == 4 * 4


def test_chosen_tiles_weigh_halos_against_memory():
    compact = Geometry(4, halo=18)
    assert chosen((300, 300), 256, compact, CPU) == (300, 300)
    side = chosen((1500, 2000), 256, compact, CPU).height
    assert 250 < side < 330
    # A large halo: tiles that fit the cache would be nearly all halo.
    assert chosen((700, 700), 256, Geometry(halo=150), CPU) == (700, 700)
    deep = chosen((6000, 8000), 256, Geometry(multiple=4, halo=150), CPU)
    assert deep.height % 4 == 0
    assert 400 < deep.height < 700
    assert chosen((6000, 8000), 4096, Geometry(halo=349), CPU) == (698, 698)
    assert chosen((6000, 8000), 256, Geometry(halo=None), CPU) == (6000, 8000)


def test_rows_of_tiles_of_a_wide_picture_are_low():
    compact = Geometry(4, halo=18)
    assert flat(Tile(300, 300), 1000, compact) == (300, 300)
    low = flat(Tile(300, 300), 40_000, compact)
    assert 18 <= low.height < 60
    assert (low.height + 36) * (low.width + 36) == pytest.approx(336**2, rel=0.05)


def test_the_network_sees_its_own_padding_only_at_the_edges_of_the_picture():
    def edges(image):
        return F.pad(image, [1] * 4, value=1.0)[:, :, :-2, :-2]  # everything moves right and down, and 1 comes in

    out = Mosaic(edges, Geometry(halo=1), tile=5)(torch.zeros(1, 1, 12, 12))
    assert out[0, 0, 0].tolist() == [1.0] * 12
    assert out[0, 0, 1:, 1:].abs().max() == 0
