"""The numbers of samples for a script."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import polygan
from polygan.data.rows.arrays import as_numpy


def test_tensors_and_lists_of_one_shape_become_an_array():
    data = torch.arange(6.0).reshape(3, 2).requires_grad_()
    np.testing.assert_array_equal(as_numpy(data), np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(as_numpy(list(data)), as_numpy(data))
    assert as_numpy([]).shape == (0,)
    assert polygan.Samples(data).numpy().shape == (3, 2)


@pytest.mark.parametrize("data", [[torch.zeros(2), torch.zeros(3)], ["text", "more"]])
def test_texts_and_samples_of_several_shapes_are_no_array(data):
    with pytest.raises(polygan.ConfigError, match="no numbers of one shape; iterate over them"):
        as_numpy(data)


def test_samples_without_a_domain_or_without_pictures_are_no_pictures():
    with pytest.raises(polygan.ConfigError, match="belong to no domain"):
        polygan.Samples(torch.zeros(1, 2)).pil()
