"""The measured halo of a network is the halo that its geometry says."""

import sys
from pathlib import Path

import pytest
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from small_networks import Enlarger, Hourglass

from polygan_image.geometry import Geometry
from polygan_image.translation.reach import measured_halo


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_three_convolutions_reach_three_pixels(scale):
    network = Enlarger(scale)
    assert measured_halo(network, network.geometry, 3) == 3


def test_a_claim_that_is_too_small_is_found():
    network = Enlarger(2)
    assert measured_halo(network, network.geometry._replace(halo=1), 3) == 3


def test_an_hourglass_reaches_no_further_than_its_claim():
    network = Hourglass()
    found = measured_halo(network, network.geometry, 3)
    assert found is not None
    assert 8 <= found <= network.geometry.halo


def test_layers_that_start_at_zero_are_measured():
    network = Enlarger(2)
    for layer in network.layers:
        nn.init.zeros_(layer.weight)
    assert measured_halo(network, network.geometry, 3) == 3
    assert not network.layers[0].weight.any()


def test_both_directions_are_measured():
    assert measured_halo(nn.Conv2d(1, 1, (9, 3), padding=(4, 1)), Geometry(), 1) == 4
    assert measured_halo(nn.Conv2d(1, 1, (3, 7), padding=(1, 3)), Geometry(), 1) == 3


def test_instance_norm_has_no_halo():
    network = Hourglass(norm=True)
    assert measured_halo(network, network.geometry, 3) is None
