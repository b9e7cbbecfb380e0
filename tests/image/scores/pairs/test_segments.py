"""A small network finds again what label maps ask for, in real pictures and in made ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from scenes import DOMAIN, by, evaluation, truth_of

from polygan import DataError
from polygan.data import build_store, split_store
from polygan_image.domain import ImageSettings
from polygan_image.scores.pairs import segments
from polygan_image.scores.pairs.segments import (
    Segmenter,
    accuracy,
    blank,
    confusion,
    intersection,
    label_agreement,
    training_steps,
)

SIDE = 24
COLOURS = np.array([[30, 60, 200], [40, 160, 40], [200, 40, 40]])


def labelled(folder, n=60):
    """Label maps of three classes, and pictures in noisy colours of the classes."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    for side in ("given", "image"):
        (folder / side).mkdir()
    for i in range(n):
        labels = (y >= rng.integers(6, 18)).astype(np.uint8)
        labels[(y - rng.integers(5, 19)) ** 2 + (x - rng.integers(5, 19)) ** 2 < 25] = 2
        picture = COLOURS[labels] + rng.normal(0, 20, (SIDE, SIDE, 3))
        map_ = Image.fromarray(labels, "P")
        map_.putpalette([*range(9)])
        map_.save(folder / f"given/{i:02}.png")
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"image/{i:02}.png")
    settings = ImageSettings(source=str(folder), cache=str(folder / "cache"), pairs="folders")
    return split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0.3)


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    return labelled(tmp_path_factory.mktemp("maps"))


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(segments, "training_steps", lambda count, pixels: (16, 40))


def test_shares_of_pixels_by_hand():
    counts = torch.tensor([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    assert accuracy(counts) == 9 / 12
    assert intersection(counts) == pytest.approx((6 / 9 + 3 / 6) / 2)  # the third class occurs nowhere


def test_pixels_are_counted_by_true_class_and_named_class():
    always = blank(3, 2)
    torch.nn.init.zeros_(always.body[-1].weight)
    always.body[-1].bias.copy_(torch.tensor([0.0, 1.0]))
    maps = torch.zeros(2, 2, 4, 6)
    maps[:, 0, :, :2], maps[:, 1, :, 2:] = 1, 1
    assert confusion(always, torch.zeros(2, 3, 4, 6), maps).tolist() == [[0, 16], [0, 32]]


def test_real_pictures_reach_the_floor_and_others_do_not(maps, tmp_path):
    truth = truth_of(maps)
    right = by(label_agreement(evaluation(maps, lambda given: truth, cache=tmp_path)))
    assert set(right) == {"image/label-agreement", "image/label-iou"}
    for score in right.values():
        assert score.value == score.floor > 0.9
        assert score.better == "higher"
        assert score.baseline[1] == "median by class"
    wrong = by(label_agreement(evaluation(maps, lambda given: truth.roll(1, 0), cache=tmp_path)))
    noise = by(label_agreement(evaluation(maps, lambda given: torch.rand(truth.shape) * 2 - 1, cache=tmp_path)))
    for name, score in right.items():
        assert wrong[name].value < score.value - 0.1
        assert noise[name].value < score.value - 0.1


def test_the_network_is_kept_and_scores_agree_to_the_bit(maps, tmp_path, monkeypatch):
    truth = truth_of(maps)
    first = label_agreement(evaluation(maps, lambda given: truth, cache=tmp_path))
    monkeypatch.setattr(segments, "train", None)
    assert label_agreement(evaluation(maps, lambda given: truth, cache=tmp_path)) == first


def test_pictures_without_label_maps_are_refused(grey, tmp_path):
    with pytest.raises(DataError, match="classes of label maps"):
        label_agreement(evaluation(grey, lambda given: given.expand(-1, 3, -1, -1), cache=tmp_path))


@pytest.mark.parametrize(
    ("count", "side", "batch"), [(600, 64, 16), (5, 64, 5), (600, 512, 1), (600, 4096, 1), (20_000, 32, 16)]
)
def test_training_is_bounded(count, side, batch):
    found, steps = training_steps(count, side * side)
    assert found == batch
    assert steps >= 100
    assert steps == 100 or found * steps * side * side <= 50_000_000
    assert found * steps <= 6_000


def test_any_size_goes_in_and_comes_out():
    assert Segmenter(3, 5)(torch.zeros(1, 3, 7, 13)).shape == (1, 5, 7, 13)
