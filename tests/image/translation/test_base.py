"""Options of pictures from pictures: tiles, strength, precision; and large pictures in bands from file to file."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from small_networks import Enlarger, Hourglass, Plain, options, picture, recipe

from polygan import ConfigError, DataError, HasStream, Samples, make_samples
from polygan.game.sampling import stream_samples
from polygan_image.data.values import bands
from polygan_image.domain import ImageDomain
from polygan_image.geometry import padded
from polygan_image.translation import tiles

DOMAIN = ImageDomain()


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return {"generator": Enlarger(2).eval()}


@pytest.fixture
def few(monkeypatch):
    """Pictures of more than 1000 pixels are large, networks see 900 at once, and bands have 10 rows."""
    monkeypatch.setattr(bands, "LARGE", 1000)
    monkeypatch.setattr(bands, "BAND", 10)
    monkeypatch.setitem(tiles.ROOM, "cpu", 900)


def plainly(network, image):
    with torch.no_grad():
        return padded(network, image, network.geometry).clamp(-1, 1)


def made(networks, image, kind=Plain, facts=None, **values):
    given = Samples(image, DOMAIN)
    return make_samples(
        recipe(kind, **(facts or {})), networks, len(image), options=options(**values), given=given
    ).data


@pytest.mark.parametrize("n", [1, 3, 9])
def test_small_pictures_are_those_of_the_network_to_the_bit(networks, n):
    image = picture(17, 23, n=n)
    expected = torch.cat([plainly(networks["generator"], part) for part in image.split(8)])
    assert torch.equal(made(networks, image), expected)


@pytest.mark.parametrize("tile", [0, 16, 30])
def test_tiles_change_no_pixel(networks, few, tile):
    image = picture(50, 41, n=2)
    assert (made(networks, image, tile=tile) - plainly(networks["generator"], image)).abs().max() < 1e-6


def test_a_tile_smaller_than_the_halo_is_refused(networks):
    with pytest.raises(ConfigError, match="tile = 3 is too small"):
        made(networks, picture(8, 8), tile=3)


@pytest.mark.parametrize("values", [{"tile": -1}, {"strength": 1.1}, {"precision": "fp16"}])
def test_options_outside_their_range_are_refused(values):
    with pytest.raises(ConfigError, match=next(iter(values))):
        options(**values)


def test_without_a_halo_a_message_says_that_tiles_may_differ(caplog):
    torch.manual_seed(0)
    networks = {"generator": Hourglass(norm=True).eval()}
    image, whole = picture(64, 64), recipe()
    with caplog.at_level(logging.WARNING, "polygan"):
        first = make_samples(whole, networks, 1, given=Samples(image)).data
        assert not caplog.records
        for _ in range(2):
            tiled = make_samples(whole, networks, 1, options=options(tile=32), given=Samples(image)).data
    assert [r.getMessage() for r in caplog.records] == [
        "This network sees the whole picture at once, so tiles of 32 pixels may differ in tone and show seams. "
        "Leave --tile out to make the picture whole."
    ]
    assert torch.equal(first, plainly(networks["generator"], image))
    assert tiled.shape == first.shape


def test_strength_blends_given_and_made(networks):
    networks = {"generator": Hourglass().eval()}
    image = picture(16, 16)
    whole = made(networks, image)
    assert torch.equal(made(networks, image, strength=0.0), image)
    torch.testing.assert_close(made(networks, image, strength=0.25), image + 0.25 * (whole - image))


def test_strength_needs_pictures_of_one_size_and_no_label_maps(networks):
    with pytest.raises(ConfigError, match=r"strength = 0\.5 .* leave --strength out"):
        made(networks, picture(8, 8), strength=0.5)
    labels = {"given": {"channels": 3, "values": [0, 1, 2]}}
    with pytest.raises(ConfigError, match=r"strength = 0\.5"):
        made({"generator": Hourglass()}, picture(8, 8), facts=labels, strength=0.5)


class Started(Plain):
    """A recipe that blends by itself."""

    variants = {"start": {"generator": "start"}}

    def translator(self, networks, options):
        network = networks["generator"]
        return lambda image: options.strength * network(image), network.geometry


def test_a_recipe_with_a_start_blends_by_itself(networks):
    image = picture(8, 8)
    whole = plainly(networks["generator"], image)
    torch.testing.assert_close(made(networks, image, Started, strength=0.5), 0.5 * whole, atol=0.01, rtol=0)


def test_bf16_is_inside_the_networks_alone(networks):
    class Twice(Plain):
        def translator(self, networks, options):
            network = networks["generator"]

            def function(image):
                seen.append(network(image).dtype)
                seen.append((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
                return network(image)

            return function, network.geometry

    seen, image = [], picture(16, 16)
    both = {**networks, "same": networks["generator"]}
    rough = made(both, image, Twice, precision="bf16")
    assert seen[1] == torch.float32
    assert not torch.is_autocast_enabled("cpu")
    assert rough.dtype == torch.float32
    exact = made(both, image, Twice)
    assert 0 < (rough - exact).abs().max() < 0.05
    assert seen[2] == torch.float32


def save(path, height, width, mode="RGB", seed=0):
    shape = (height, width, len(mode)) if len(mode) > 1 else (height, width)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(path)
    return path


def through(networks, path, out, **values):
    """What `Run.convert` does with one file."""
    own = recipe()
    pieces = stream_samples(own, networks, DOMAIN.read(path, own.info), 0, options(**values), domain=DOMAIN)
    DOMAIN.write_file(pieces, out)
    with Image.open(out) as found:
        return np.asarray(found).astype(int)


@pytest.mark.parametrize("network", [Enlarger(1), Enlarger(2), Enlarger(4), Hourglass(), Hourglass(norm=True)])
def test_bands_from_file_to_file_are_the_whole_picture(network, few, tmp_path):
    source = save(tmp_path / "a.png", 53, 41)
    with Image.open(source) as opened:
        image = torch.from_numpy(np.array(opened)).permute(2, 0, 1)[None] / 127.5 - 1
    found = through({"generator": network.eval()}, source, tmp_path / "out.png")
    whole = (plainly(network, image)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert found.shape == whole.shape
    assert np.abs(found - whole).max() <= 0.501


def test_bands_are_read_made_and_joined(networks, few, tmp_path):
    own, source = recipe(), save(tmp_path / "a.png", 53, 41)
    assert isinstance(own, HasStream)
    read = list(DOMAIN.read(source, own.info))
    assert [piece.extra["rows"] for piece in read] == [(top, 53) for top in range(0, 53, 10)]
    whole = DOMAIN.join(read)
    assert whole.data.shape == (1, 3, 53, 41)
    assert whole.names == ["a"] or whole.names == ("a",)
    assert "rows" not in whole.extra
    bands_made = list(stream_samples(own, networks, read, domain=DOMAIN))
    assert max(piece.data.shape[2] for piece in bands_made) <= 10
    assert {piece.extra["rows"][1] for piece in bands_made} == {106}
    expected = make_samples(own, networks, 1, given=whole, domain=DOMAIN)
    assert (DOMAIN.join(bands_made).data - expected.data).abs().max() < 1e-6
    small = list(DOMAIN.read(source, {**own.info, "keeps_size": False}))
    assert [piece.data.shape[2:] for piece in small] == [(16, 16)]


def test_a_file_of_several_pictures_stays_in_order(networks, few):
    large, small = picture(40, 40, seed=1), picture(8, 8, seed=2)
    given = [Samples(small, names=("first",))]
    given += [
        Samples(part, names=("large",), extra={"rows": (t, 40), "header": 7})
        for t, part in zip((0, 30), large.split(30, 2), strict=True)
    ]
    given += [Samples(small, names=("last",))]
    pieces = list(stream_samples(recipe(), networks, given, domain=DOMAIN))
    names = [piece.names[0] for piece in pieces]
    assert list(dict.fromkeys(names)) == ["first", "large", "last"]
    assert names.count("large") > 4
    assert pieces[3].extra["header"] == 7
    assert torch.equal(pieces[-1].data, plainly(networks["generator"], small))


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif"])
def test_other_formats_are_written_too(networks, few, tmp_path, suffix):
    source = save(tmp_path / "a.png", 53, 41)
    exact = through(networks, source, tmp_path / "out.png")
    found = through(networks, source, tmp_path / f"out.{suffix}")
    assert np.abs(found - exact).mean() < (30 if suffix == "jpg" else 1e-9)


def test_a_format_that_is_too_small_names_png(networks, few, tmp_path, monkeypatch):
    monkeypatch.setitem(bands._SIDES, ".webp", 100)
    source = save(tmp_path / "a.png", 53, 41)
    with pytest.raises(DataError, match=r"out\.webp: 82x106 pixels are too large for a \.webp file.* --format png"):
        through(networks, source, tmp_path / "out.webp")
    assert not (tmp_path / "out.webp").exists()


def test_deep_grey_comes_back_band_by_band(few, tmp_path):
    values = np.random.default_rng(0).integers(0, 2**16, (50, 40), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")

    class Copy(Plain):
        def translator(self, networks, options):
            return (lambda image: image), networks["generator"].geometry

    own = recipe(Copy, channels=1, dtype="uint16", window=[0, 65535])
    networks = {"generator": Enlarger(1, 1)}
    pieces = list(stream_samples(own, networks, DOMAIN.read(tmp_path / "a.png", own.info), domain=DOMAIN))
    assert len(pieces) > 4
    DOMAIN.write_file(iter(pieces), tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as found:
        assert np.array_equal(np.asarray(found), values)
    with pytest.raises(ConfigError, match="--format"):
        DOMAIN.write_file(iter(pieces), tmp_path / "b.jpg")


@pytest.mark.parametrize(
    ("name", "info", "suffix"),
    [
        ("a.JPG", {}, ".jpg"),
        ("a.webp", {}, ".webp"),
        ("a.bmp", {}, ".png"),
        ("a.jpg", {"window": [0, 99]}, ".png"),
        ("a.jpg", {"window": [0, 999], "dtype": "uint16", "channels": 1}, ".png"),
        ("a.tif", {"window": [0, 999], "dtype": "uint16", "channels": 1}, ".tif"),
        ("a.png", {"dtype": "int16"}, ".npy"),
    ],
)
def test_what_is_made_keeps_the_format_that_holds_its_values(name, info, suffix):
    assert DOMAIN.made_suffix(Path(name), {"channels": 3, **info}) == suffix
