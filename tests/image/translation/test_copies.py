"""Colours of large grey pictures come from a smaller copy and end where the lightness has its edges."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from photograph import photograph

from polygan import Request, Samples, make_samples
from polygan_image.colorize import Colorize, Config
from polygan_image.colour import lightness, srgb_to_lab
from polygan_image.translation import copies
from polygan_image.translation.copies import Colouring, colours, followed, shrunk

INFO = {"channels": 3, "height": 16, "width": 24, "count": 9, "pairs": "grey", "given": {"channels": 1}}
SMALL = {"width": 2, "depth": 2, "discriminator_width": 2, "discriminator_layers": 1, "scales": 1}


@pytest.fixture
def recipe():
    return Colorize(Config(**SMALL), INFO)


def seen_sizes(networks):
    """The sizes of what the generator sees from now on."""
    found = []
    networks["generator"].register_forward_pre_hook(lambda module, inputs: found.append(tuple(inputs[0].shape[2:])))
    return found


def grey(height, width):
    return photograph(height, width)[:, :1].contiguous()


def coloured(recipe, networks, given, **options):
    return make_samples(recipe, networks, 0, options=Colouring(**options), given=given).data


def test_the_shorter_side_is_chosen_and_the_aspect_stays():
    assert shrunk(torch.zeros(1, 1, 300, 200), 20).shape == (1, 1, 30, 20)
    assert shrunk(torch.zeros(1, 1, 200, 2000), 1).shape == (1, 1, 1, 10)


def test_equal_colours_stay_equal_at_any_size():
    guide = followed(torch.rand(1, 1, 6, 5) * 100, torch.tensor([30.0, -20.0]).view(1, 2, 1, 1).expand(1, 2, 6, 5))
    found = colours(guide, torch.rand(1, 1, 7, 40) * 100, 0, 48)
    torch.testing.assert_close(found, torch.tensor([30.0, -20.0]).view(1, 2, 1, 1).expand_as(found), atol=1e-3, rtol=0)


def test_enlarged_colours_end_at_the_edge_of_the_lightness():
    """A red thing on the left in front of a white wall: the edge lies within a pixel of the copy."""
    light = torch.full((1, 1, 64, 64), 95.0)
    light[..., :30] = 40
    ab = torch.zeros(1, 2, 8, 8)
    ab[:, 0, :, :3], ab[:, 0, :, 3] = 60, 45  # the fourth column of the copy is three quarters thing
    found = colours(followed(shrunk(light, 8), ab), light, 0, 64)[0, 0]
    plain = torch.nn.functional.interpolate(ab, size=(64, 64), mode="bilinear")[0, 0]
    truth = torch.where(light[0, 0] < 60, 60.0, 0.0)
    assert (found - truth).abs().mean() < 0.5 * (plain - truth).abs().mean()
    assert float((found[:, 29] - found[:, 30]).mean()) > 30


def test_rows_are_those_of_the_whole_picture():
    guide = followed(torch.rand(2, 1, 6, 5) * 100, torch.rand(2, 2, 6, 5) * 80)
    light = torch.rand(2, 1, 48, 40) * 100
    whole = colours(guide, light, 0, 48)
    pieces = [colours(guide, light[:, :, top : top + 11], top, 48) for top in range(0, 48, 11)]
    torch.testing.assert_close(torch.cat(pieces, 2), whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        ((64, 80), {}, (16, 20)),
        ((64, 80), {"colour_side": 32}, (32, 40)),
        ((16, 24), {}, (16, 24)),
        ((64, 80), {"colour_side": 64}, (64, 80)),
        ((64, 80), {"colour_side": 5000}, (64, 80)),
    ],
)
def test_the_network_sees_a_copy_of_the_size_of_the_training(recipe, size, options, expected):
    networks = recipe.networks()
    found = seen_sizes(networks)
    given = grey(*size)
    made = coloured(recipe, networks, Samples(given), **options)
    assert found == [expected]
    assert made.shape == (1, 3, *size)
    written = ((made + 1) * 127.5).round() / 127.5 - 1
    assert float((srgb_to_lab(written)[:, :1] - lightness(given)).abs().max()) < 0.35  # the lightness keeps its detail


def test_a_recipe_that_saw_squares_of_pictures_sees_the_picture_itself():
    recipe = Colorize(Config(**SMALL), {**INFO, "crop": 16})
    networks = recipe.networks()
    found = seen_sizes(networks)
    coloured(recipe, networks, Samples(grey(40, 48)))
    assert found == [(40, 48)]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("transparent", [False, True])
def test_bands_and_alpha_go_in_and_out(recipe, monkeypatch, large, transparent):
    monkeypatch.setattr(copies, "BAND", 7)
    monkeypatch.setattr(copies, "is_large", lambda height, width: large)
    networks, given = recipe.networks(), grey(40, 48)
    extra = {"alpha": torch.rand(1, 1, 40, 48)} if transparent else {}
    pieces = [
        Samples(
            given[:, :, top : top + 16],
            extra={"rows": (top, 40), **{k: v[:, :, top : top + 16] for k, v in extra.items()}},
        )
        for top in (0, 16, 32)
    ]
    request = Request(0, None, Colouring(), torch.device("cpu"), None)
    bands = list(recipe.stream(networks, iter(pieces), request))
    whole = coloured(recipe, networks, Samples(given, extra=extra))
    assert len(bands) == (6 if large else 1)
    assert whole.shape[1] == (4 if transparent else 3)
    torch.testing.assert_close(torch.cat([band.data for band in bands], 2), whole, atol=1e-5, rtol=0)
