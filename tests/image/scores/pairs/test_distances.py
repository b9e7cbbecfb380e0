"""The distances between all pictures, for recipes that are given pictures, at any number of channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scenes import DOMAIN, evaluation, truth_of

from polygan import DataError
from polygan.data import build_store, split_store
from polygan_image.data.given import in_colour
from polygan_image.domain import ImageSettings
from polygan_image.scores import features, self_supervised, trained
from polygan_image.scores.feature_networks import Network
from polygan_image.scores.metrics import frechet, kid, repeated


@pytest.fixture(autouse=True)
def _untrained(monkeypatch):
    """The run's own network without training."""

    def blank(evaluation):
        torch.manual_seed(0)
        return self_supervised.blank(evaluation.info)

    monkeypatch.setattr(trained.self_supervised, "train", blank)


def test_pieces_take_each_held_out_picture_once(grey, monkeypatch):
    monkeypatch.setattr(features, "_chunk_rows", lambda info: 5)
    own = evaluation(grey, in_colour)
    made = torch.cat([samples.data for samples in features.generated(own)])
    given = DOMAIN.given(grey["held_out"], grey["held_out"].rows).data
    assert torch.equal(made, in_colour(given))
    own = evaluation(grey, in_colour, samples=7)
    assert [len(samples) for samples in features.generated(own)] == [5, 2]


def test_pictures_of_given_ones_are_no_duplicates_of_each_other(grey, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_chunk_rows", lambda info: 5)
    (score,) = repeated(evaluation(grey, lambda given: in_colour(given), tmp_path))
    assert score.value == 0


def test_the_truth_is_at_the_floor(grey, tmp_path):
    truth = {
        x.mean().item(): y
        for x, y in zip(DOMAIN.given(grey["held_out"], grey["held_out"].rows).data, truth_of(grey), strict=True)
    }
    own = evaluation(grey, lambda given: torch.stack([truth[x.mean().item()] for x in given]), tmp_path)
    (score,) = frechet(own)
    assert score.value == pytest.approx(score.floor, rel=1e-3)
    assert score.kind == "distribution"
    (copies,) = frechet(evaluation(grey, in_colour, tmp_path))
    assert copies.value > score.value


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_channels_has_distances_by_the_runs_own_network(channels, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (24, 16, 16, channels), dtype=np.uint8)
    for i, image in enumerate(images):
        (tmp_path / "stacks").mkdir(exist_ok=True)
        np.save(tmp_path / "stacks" / f"{i:02}.npy", image[..., 0] if channels == 1 else image)
    settings = ImageSettings(source=str(tmp_path / "stacks"), pairs="smaller", cache=str(tmp_path / "cache"))
    splits = split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0.4)
    truth = truth_of(splits)
    own = evaluation(splits, lambda given: truth[: len(given)] * 0.9, tmp_path)
    assert own.info["channels"] == channels
    for metric in (frechet, kid):
        (score,) = metric(own)
        assert np.isfinite([score.value, score.floor]).all()


def test_a_network_of_colour_pictures_refuses_other_channels():
    network = Network("net.onnx", None, lambda x: x.mean((2, 3)), 0, torch.device("cpu"))
    assert network(torch.zeros(2, 4, 8, 8)).shape == (2, 3)
    with pytest.raises(
        DataError, match="takes colour pictures, and these have 5 channels; type --features self-supervised"
    ):
        network(torch.zeros(2, 5, 8, 8))
