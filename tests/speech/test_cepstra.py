"""Cepstra and their slopes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.fft import dct

from polygan_speech.cepstra import CEPSTRA, cepstra_of, size_of


def test_cepstra_are_the_first_of_an_orthonormal_dct():
    mel = torch.randn(2, 30, 7, dtype=torch.float64)
    wanted = dct(mel.numpy(), axis=1, norm="ortho")[:, :CEPSTRA]
    assert np.abs(cepstra_of(mel)[:, :CEPSTRA].numpy() - wanted).max() < 1e-12
    assert (size_of(30), size_of(6)) == (40, 12)


def test_a_slope_is_that_of_the_straight_line_through_five_frames():
    mel = torch.randn(1, 6, 9, dtype=torch.float64)
    found, slopes = cepstra_of(mel)[0].split(6)
    for t in range(2, 7):
        line = np.polyfit(range(5), found[:, t - 2 : t + 3].T.numpy(), 1)[0]
        assert slopes[:, t].tolist() == pytest.approx(line.tolist())
