"""The Fourier transform in two stages of small matrices."""

from __future__ import annotations

import pytest
import torch

from polygan_audio.formats.fourier import Bases


@pytest.mark.parametrize("n", [14, 62, 512, 640, 1020, 1024])
def test_both_ways_are_those_of_torch(n):
    draw = torch.Generator().manual_seed(0)
    frames = torch.randn(6, n, dtype=torch.float64, generator=draw)
    spectra = torch.randn(6, n // 2 + 1, 2, dtype=torch.float64, generator=draw)
    bases = Bases(n)
    rows = bases.rows(frames, bases.first, bases.second)
    torch.testing.assert_close(torch.view_as_complex(bases.ordered(rows)), torch.fft.rfft(frames))
    torch.testing.assert_close(bases.ordered(bases.grouped(spectra)), spectra)
    samples = bases.samples(bases.grouped(spectra), bases.last, bases.real)
    torch.testing.assert_close(samples, torch.fft.irfft(torch.view_as_complex(spectra), n))
    by_frame = bases.to_spectra(frames.unflatten(0, (2, 3))), bases.to_samples(spectra.unflatten(0, (2, 3)))
    torch.testing.assert_close(by_frame[0].flatten(0, 1), bases.ordered(rows))
    torch.testing.assert_close(by_frame[1].flatten(0, 1), samples)


@pytest.mark.parametrize("n", [512, 1024, 2048])
def test_the_work_is_a_fraction_of_one_large_matrix(n):
    """Products of the two stages, a frame; the dense transform takes n (n + 2) each way."""
    bases = Bases(n)
    there = bases.b * bases.first.numel() + bases.second.numel()
    back = bases.last.numel() + bases.b * bases.real.numel()
    assert there + back < 2 * n * (n + 2) / 3.5
    assert sum(buffer.numel() for buffer in bases.buffers()) < n * (n + 2) / 3.5
