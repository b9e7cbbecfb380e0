"""Trivial answers: copies, medians of the training pictures, enlarging by formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import DOMAIN, evaluation, splits_of

from polygan.data import build_store, split_store
from polygan_image.colour import lightness, srgb_to_lab
from polygan_image.domain import ImageSettings
from polygan_image.scores.pairs.trivial import answers, enlarged, medians


def trivial(splits):
    own, rows = evaluation(splits, lambda given: given), splits["held_out"].rows
    given, truth = (f(splits["held_out"], rows).data for f in (DOMAIN.given, DOMAIN.real))
    return answers(own, given, truth), given, truth


def test_enlarging_is_pillows():
    data = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    made = enlarged(data, (10, 8), Image.Resampling.LANCZOS)
    one = np.asarray(Image.fromarray(data[1, 2].numpy()).resize((8, 10), Image.Resampling.LANCZOS))
    assert made.shape == (2, 3, 10, 8)
    assert torch.equal(made[1, 2], torch.from_numpy(one).clamp(-1, 1))
    flat = enlarged(torch.full((1, 1, 4, 4), 0.25), (8, 8), Image.Resampling.BICUBIC)
    assert torch.allclose(flat, torch.tensor(0.25), atol=1e-6)


def test_medians_are_of_each_key_and_of_the_nearest_key_where_one_is_missing():
    keys = torch.tensor([[[0, 0, 0, 3]]])
    values = torch.tensor([[[[1.0, 9, 2, 5]], [[-1, -9, -2, -5]]]])  # (1, 2, 1, 4)
    assert medians(keys, values, 5).tolist() == [[2, -2], [2, -2], [5, -5], [5, -5], [5, -5]]


def test_grey_pictures_are_copied_or_get_the_usual_colour_of_their_lightness(grey):
    found, given, truth = trivial(grey)
    assert list(found) == ["grey copy", "median colour by lightness"]
    assert torch.equal(found["grey copy"], given.expand(-1, 3, -1, -1))
    coloured = found["median colour by lightness"]
    assert coloured.shape == truth.shape
    lab = srgb_to_lab(coloured)
    assert torch.allclose(lab[:, :1], lightness(given), atol=0.5)
    assert lab[:, 1:].abs().max() > 1
    bins = (lab[:, 0] / 2).long()
    for own in bins.unique()[:5]:  # one colour for each lightness, up to what sRGB has of it
        assert lab[:, 1][bins == own].std() < 3


def test_the_median_colour_is_that_of_the_data(tmp_path):
    """Pictures of one blue at many lightnesses: the median finds the blue again."""
    levels = np.random.default_rng(0).integers(40, 250, (30, 12, 12, 1))
    images = (levels * np.array([0.3, 0.5, 1.0])).astype(np.uint8)
    found, _, truth = trivial(splits_of(tmp_path, images, pairs="grey"))
    a, b = (srgb_to_lab(x)[:, 1:] for x in (found["median colour by lightness"], truth))
    assert (a - b).abs().mean() < 4
    assert (srgb_to_lab(found["grey copy"])[:, 1:] - b).abs().mean() > 10


def test_smaller_pictures_are_enlarged(smaller):
    found, given, truth = trivial(smaller)
    assert list(found) == ["bicubic", "Lanczos"]
    assert given.shape[2:] == (12, 12)
    for made in found.values():
        assert (made - truth).abs().mean() < 0.1


@pytest.fixture
def folders(tmp_path):
    def make(given, count=12, **settings):
        rng = np.random.default_rng(0)
        for i in range(count):
            for side, picture in (
                ("image", Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))),
                ("given", given(i)),
            ):
                (tmp_path / side).mkdir(exist_ok=True)
                picture.save(tmp_path / side / f"{i}.png")
        settings = ImageSettings(source=str(tmp_path), pairs="folders", cache=str(tmp_path / "cache"), **settings)
        return split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0.3)

    return make


def test_stored_pairs_have_the_copy_and_the_median_picture(folders):
    splits = folders(lambda i: Image.fromarray(np.full((8, 8, 3), 10 * i, np.uint8)))
    found, given, _ = trivial(splits)
    assert list(found) == ["copy of the given picture", "median picture"]
    assert torch.equal(found["copy of the given picture"], given)
    real = DOMAIN.real(splits["train"], splits["train"].rows).data
    assert torch.allclose(found["median picture"][0], real.median(0).values)


def test_label_maps_have_the_median_of_each_class(folders):
    def halves(i):
        values = np.zeros((8, 8), np.uint8)
        values[:, 4:] = 7
        return Image.fromarray(values)

    splits = folders(halves, given_labels=True)
    found, _, _ = trivial(splits)
    assert list(found) == ["median picture", "median by class"]
    real = DOMAIN.real(splits["train"], splits["train"].rows).data
    for columns in (slice(0, 4), slice(4, 8)):
        wanted = real[..., columns].transpose(0, 1).flatten(1).median(1).values
        made = found["median by class"][0, :, :, columns].flatten(1)
        assert torch.allclose(made, wanted[:, None].expand_as(made))
