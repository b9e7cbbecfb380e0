"""Transparent pictures through networks that know no alpha: it is kept, and edges get no fringe."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from small_networks import Enlarger, options, picture, recipe

from polygan import Samples, make_samples
from polygan.game.sampling import stream_samples
from polygan_image.data.values import bands
from polygan_image.domain import ImageDomain
from polygan_image.geometry import Geometry, padded
from polygan_image.translation import tiles
from polygan_image.translation.transparency import with_alpha

DOMAIN = ImageDomain()


class Bicubic(torch.nn.Module):
    """Plain enlargement, with a parameter that does nothing."""

    def __init__(self, scale):
        super().__init__()
        self.geometry, self.nothing = Geometry(scale, 1, 2), torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        scale = self.geometry.scale
        return x if scale == 1 else torch.nn.functional.interpolate(x, scale_factor=scale, mode="bicubic")


@pytest.fixture(params=["whole", "bands"])
def size(request, monkeypatch):
    """Pictures are made whole, or in tiles and bands."""
    if request.param == "bands":
        monkeypatch.setattr(bands, "LARGE", 100)
        monkeypatch.setattr(bands, "BAND", 7)
        monkeypatch.setitem(tiles.ROOM, "cpu", 400)


def glass(path, height=30, width=24):
    """A file whose upper rows are clear, whose lower left is opaque, and whose lower right is anything between."""
    values = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    values[:8] = 0
    values[8:, : width // 2, 3] = 255
    Image.fromarray(values).save(path)
    return values


def through(network, path, out, **facts):
    """What `Run.convert` does with one file."""
    own = recipe(**facts)
    pieces = stream_samples(own, {"generator": network}, DOMAIN.read(path, own.info), 0, options(), domain=DOMAIN)
    DOMAIN.write_file(pieces, out)
    with Image.open(out) as found:
        return found.copy()


def laid_on_white(made):
    return Image.alpha_composite(Image.new("RGBA", made.size, "white"), made).convert("RGB")


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_made_png_is_transparent_where_the_given_picture_is(size, tmp_path, scale):
    values = glass(tmp_path / "a.png")
    laid_on_white(Image.fromarray(values)).save(tmp_path / "white.png")
    made = through(Bicubic(scale), tmp_path / "a.png", tmp_path / "out.png")
    opaque = through(Bicubic(scale), tmp_path / "white.png", tmp_path / "out-white.png")
    assert (made.mode, made.size) == ("RGBA", (24 * scale, 30 * scale))
    assert opaque.mode == "RGB"
    alpha = np.asarray(made)[..., 3]
    difference = np.abs(np.asarray(laid_on_white(made)).astype(int) - np.asarray(opaque))
    assert difference[alpha == 255].max() <= 1  # alpha of 254.6 is 255 in the file
    assert (alpha == 0).any()
    if scale == 1:
        assert np.array_equal(alpha, values[..., 3])
        assert difference.max() <= 1
    else:  # bicubic enlargement overshoots, and both alpha and colours end at 255
        assert np.percentile(difference, 90) <= 1


def test_a_clear_edge_gets_no_fringe():
    image, alpha = torch.full((1, 3, 8, 8), 1.0), torch.zeros(1, 1, 8, 8)  # clear pixels are white on white
    image[..., 4:], alpha[..., 4:] = -0.5, 1.0
    make, _ = with_alpha(Bicubic(4), Geometry(4, 1, 2))
    with torch.no_grad():
        made = make(torch.cat([image, alpha], 1))
    edge = (made[:, 3:] > -0.9) & (made[:, 3:] < 0.9)
    assert edge.any()
    assert (made[:, :3].masked_select(edge) + 0.5).abs().max() < 1e-3  # the colour of the opaque side


def test_alpha_in_tiles_is_that_of_the_whole_picture(size):
    torch.manual_seed(0)
    network, image, alpha = Enlarger(2).eval(), picture(40, 30), picture(40, 30, 1).abs()
    given = Samples(image, DOMAIN, extra={"alpha": alpha})
    made = make_samples(recipe(), {"generator": network}, 1, options=options(tile=8), given=given, domain=DOMAIN)
    make, geometry = with_alpha(lambda x: padded(network, x, network.geometry).clamp(-1, 1), network.geometry)
    with torch.no_grad():
        whole = make(torch.cat([image, alpha], 1))
    assert made.data.shape == (1, 4, 80, 60)
    assert geometry.halo == 3
    # Where a pixel is nearly clear, its colour is a quotient of two small numbers.
    seen = whole[:, 3:] > -0.9
    assert ((made.data - whole) * seen).abs().max() < 1e-4
    assert "alpha" not in made.extra


def test_a_grey_network_makes_colour_with_alpha(tmp_path):
    glass(tmp_path / "a.png")
    made = through(Bicubic(2), tmp_path / "a.png", tmp_path / "out.png", channels=1)
    assert made.mode == "RGBA"
    red, green, blue, _ = made.split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


def test_what_makes_no_picture_of_colours_has_no_alpha():
    make, _ = with_alpha(lambda x: x[:, :2], Geometry())
    assert make(torch.zeros(1, 4, 5, 5)).shape == (1, 2, 5, 5)


@pytest.mark.parametrize(("suffix", "mode"), [(".jpg", "RGB"), (".webp", "RGBA"), (".tif", "RGBA")])
def test_formats_with_alpha_keep_it_and_jpeg_lies_on_white(size, tmp_path, suffix, mode):
    glass(tmp_path / "a.png")
    made = through(Bicubic(2), tmp_path / "a.png", tmp_path / f"out{suffix}")
    assert made.mode == mode
    if mode == "RGB":
        assert np.asarray(made)[:10].min() > 250


def test_alpha_is_read_unless_the_run_has_its_own_or_names_a_background(size, tmp_path):
    values = glass(tmp_path / "a.png")
    info = recipe().info
    given = DOMAIN.join(DOMAIN.read(tmp_path / "a.png", info))
    assert given.data.shape == (1, 3, 30, 24)
    assert torch.allclose(given.extra["alpha"][0, 0], torch.from_numpy(values[..., 3] / 255).float())
    for other in ({"channels": 4}, {"background": "black"}, {"keeps_size": False}):
        assert all("alpha" not in piece.extra for piece in DOMAIN.read(tmp_path / "a.png", {**info, **other}))
    values[..., 3] = 255
    Image.fromarray(values).save(tmp_path / "opaque.png")
    assert all("alpha" not in piece.extra for piece in DOMAIN.read(tmp_path / "opaque.png", info))


def test_the_palette_of_a_gif_may_be_transparent(tmp_path):
    sheet = Image.new("P", (6, 5), 1)
    sheet.putpalette([255, 0, 0, 0, 255, 0])
    sheet.paste(0, (0, 0, 3, 5))
    sheet.save(tmp_path / "a.gif", transparency=1)
    made = through(Bicubic(1), tmp_path / "a.gif", tmp_path / "out.png")
    assert np.asarray(made)[0].tolist()[:1] == [[255, 0, 0, 255]]
    assert np.asarray(made)[0, -1, 3] == 0
