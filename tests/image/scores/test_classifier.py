"""The classifier: sizes, shifts, the length and the repeatability of its training."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from bars import good

from polygan_image.scores import classifier
from polygan_image.scores.classifier import Classifier


@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 1, 1), (3, 8, 8), (4, 28, 20), (1, 64, 64), (3, 200, 100)]
)
def test_classifier_takes_any_size(channels, height, width):
    network = Classifier(channels, max(height, width), 7).eval()
    x = torch.rand(2, channels, height, width)
    assert network.features(x).shape == (2, network.num_features)
    assert network(x).shape == (2, 7)
    assert 1e5 < sum(p.numel() for p in network.parameters()) < 2e5


def test_shifts_move_pictures_and_repeat_borders():
    x = torch.zeros(200, 1, 9, 9)
    x[:, :, 4, 4] = 1
    moved = classifier._shift(x, 2, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape
    assert (moved.sum((1, 2, 3)) == 1).all()
    assert len(moved.flatten(1).argmax(1).unique()) == 25
    assert (classifier._shift(torch.ones(5, 3, 4, 6), 2, torch.Generator()) == 1).all()


def test_training_time_is_bounded():
    for count in (2, 300, 4500, 20_000):
        batch, steps = classifier.training_steps(count)
        assert batch <= count
        assert 6_000 <= batch * steps < 45_064


def test_training_is_repeatable_and_disturbs_nothing(evaluate, monkeypatch):
    monkeypatch.setattr(classifier, "training_steps", lambda count: (16, 6))
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    with torch.inference_mode():  # where a run evaluates
        first = classifier.train_classifier(evaluate(good)).state_dict()
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(99)
    second = classifier.train_classifier(evaluate(good)).state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
