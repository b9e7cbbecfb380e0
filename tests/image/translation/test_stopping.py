"""Held-out checks decide which network is kept, and when a game is over."""

from __future__ import annotations

import torch
from torch import nn

from polygan_image.translation.stopping import NEVER, Stop, replace, replace_where


def decided(stop, step, *errors, limit=1.0, patience=2):
    for error in errors:
        stop.look(torch.tensor(error), torch.tensor(limit))
    return bool(stop.decide(step, patience))


def test_a_decision_compares_the_sums_of_its_own_batches():
    stop = Stop()
    assert decided(stop, 0, 0.5, 1.4)  # 1.9 of 2
    assert not decided(stop, 10, 0.5, 1.6)
    assert decided(stop, 20, 0.9)  # nothing is left of the check before
    assert (float(stop.kept), float(stop.worse), float(stop.stopped)) == (20, 0, 0)


def test_an_error_that_is_not_finite_is_never_good():
    stop = Stop()
    assert not decided(stop, 0, float("nan"))
    assert (float(stop.kept), float(stop.worse)) == (NEVER, 1)
    assert decided(stop, 1, 0.5)  # the sums begin anew


def test_a_stop_is_final():
    stop = Stop()
    assert decided(stop, 0, 0.5)
    assert not decided(stop, 1, 2.0)
    assert float(stop.stopped) == 0
    assert not decided(stop, 2, 2.0)
    assert float(stop.stopped) == 1
    assert not decided(stop, 3, 0.5)
    assert (float(stop.kept), float(stop.stopped)) == (0, 1)


def test_an_improvement_is_a_smaller_share_of_what_is_allowed():
    stop, found = Stop(), []
    for error, limit in ((float("nan"), 1.0), (3.0, 2.0), (4.0, 2.0), (4.0, 4.0), (1.0, 1.0)):
        stop.look(torch.tensor(error), torch.tensor(limit))
        found.append(bool(stop.improve()))
    assert found == [False, True, False, True, False]
    assert (float(stop.best), float(stop.stopped), float(stop.made)) == (1, 0, 0)


def test_weights_and_buffers_are_replaced_where_the_condition_holds():
    network, other = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    with torch.no_grad():
        other.weight.fill_(3)
        other.running_mean.fill_(5)
        other.num_batches_tracked.fill_(7)
        replace_where(torch.tensor(False), network, other)
        assert network.weight.tolist() == [1, 1]
        replace_where(torch.tensor(True), network, other)
        assert network.weight.tolist() == [3, 3]
        assert network.running_mean.tolist() == [5, 5]
        assert int(network.num_batches_tracked) == 7
        replace(network, nn.BatchNorm1d(2))
    assert network.weight.tolist() == [1, 1]
