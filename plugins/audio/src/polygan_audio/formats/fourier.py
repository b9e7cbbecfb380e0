"""The Fourier transform as products of small matrices, for files that know neither complex numbers nor an inverse of real ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..networks.stft import Frames

if TYPE_CHECKING:
    from ..networks.melspec import MelSpec


class Bases(nn.Module):
    """The matrices of the Fourier transform of ``n`` real samples and its inverse, in two stages (Cooley and Tukey 1965).

    With n = a b, samples t = b i + j and bins k = k1 + a k2, exp(2 pi i k t / n) is a product of exp(2 pi i k1 i / a) and of
    exp(2 pi i j (k1 / n + k2 / b)): sums of a and of b terms in place of sums of n. For n = 1024 that is a tenth of the work.

    `rows` and `samples` keep spectra of N frames as the matrices make them, so that nothing is moved: (a / 2 + 1, N, 2 b), for each k1 up to
    a / 2 the real parts of all k2 and then the imaginary parts. These bins are as good as those up to n / 2: of each bin k they hold k or n - k.
    """

    places: Tensor
    bins: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.a = min((d for d in range(1, n + 1) if n % d == 0), key=lambda a: a + 2 * n // a)  # the least work
        self.b = n // self.a
        self.some = self.a // 2 + 1  # of k1
        some, a, b = (torch.arange(float(count), dtype=torch.float64) for count in (self.some, self.a, self.b))
        outer = _turns(torch.outer(some, a) / self.a)  # (k1, i, 2)
        inner = _turns(b[:, None] * (some[:, None, None] / n + b / self.b))  # (k1, j, k2, 2)
        alone = (some == 0) | (2 * some == self.a)  # k1 of which both k and n - k are there
        weight = (2.0 - alone.double()) / n
        self.first = nn.Buffer(_conjugate(outer).transpose(1, 2).flatten(0, 1).contiguous())  # (k1 2, i)
        self.second = nn.Buffer(_complex(_conjugate(inner)))  # (k1, 2 j, 2 k2)
        self.last = nn.Buffer(_complex((inner * weight[:, None, None, None]).transpose(1, 2)))  # (k1, 2 k2, 2 j)
        self.real = nn.Buffer(_conjugate(outer).permute(1, 0, 2).flatten(1).contiguous())  # (i, k1 2)
        k = torch.arange(self.some)[:, None] + self.a * torch.arange(self.b)  # (k1, k2)
        self.bins, self.upper = nn.Buffer(torch.minimum(k, n - k).flatten()), nn.Buffer(_parts(k.flatten() <= n // 2))
        k = torch.arange(n // 2 + 1)
        here = k % self.a < self.some
        k = torch.where(here, k, n - k)
        self.places, self.kept = nn.Buffer(k % self.a * self.b + k // self.a), nn.Buffer(_parts(here))

    def rows(self, frames: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Frames (N, n), by the matrices ``first`` and ``second``, to (a / 2 + 1, N, 2 b)."""
        x = first @ frames.reshape(-1, self.a, self.b)  # (N, k1 2, j)
        return x.reshape(-1, self.some, 2 * self.b).transpose(0, 1) @ second

    def samples(self, rows: Tensor, last: Tensor, real: Tensor) -> Tensor:
        """The inverse of `rows`, by ``last`` and ``real``."""
        x = (rows @ last).transpose(0, 1).reshape(-1, 2 * self.some, self.b)  # (N, k1 2, j)
        return (real @ x).reshape(-1, self.n)

    def to_spectra(self, frames: Tensor) -> Tensor:
        """(B, F, n) to (B, F, n / 2 + 1, 2)."""
        first, second = self.first.to(frames.dtype), self.second.to(frames.dtype)
        spectra = self.ordered(self.rows(frames.flatten(0, 1), first, second))
        return spectra.reshape(*frames.shape[:2], self.n // 2 + 1, 2)

    def to_samples(self, spectra: Tensor) -> Tensor:
        """(B, F, n / 2 + 1, 2) to (B, F, n)."""
        last, real = self.last.to(spectra.dtype), self.real.to(spectra.dtype)
        samples = self.samples(self.grouped(spectra.flatten(0, 1)), last, real)
        return samples.reshape(*spectra.shape[:2], self.n)

    def grouped(self, spectra: Tensor) -> Tensor:
        """Spectra (N, n / 2 + 1, 2) as `rows` gives them."""
        x = spectra.index_select(1, self.bins) * self.upper.to(spectra.dtype)
        return x.reshape(-1, self.some, self.b, 2).permute(1, 0, 3, 2).reshape(self.some, -1, 2 * self.b)

    def ordered(self, rows: Tensor) -> Tensor:
        """The inverse of `grouped`."""
        x = rows.reshape(self.some, -1, 2, self.b).permute(1, 0, 3, 2).reshape(-1, self.some * self.b, 2)
        return x.index_select(1, self.places) * self.kept.to(rows.dtype)


def _parts(own: Tensor) -> Tensor:
    """Factors (..., 2) of real and imaginary parts: 1 and, for bins that are conjugates, -1."""
    return torch.stack([torch.ones_like(own, dtype=torch.float64), own.double() * 2 - 1], -1)


def _turns(parts: Tensor) -> Tensor:
    """exp(2 pi i x) of parts of a turn, as (..., 2)."""
    return torch.stack([(2 * math.pi * parts).cos(), (2 * math.pi * parts).sin()], -1)


def _conjugate(numbers: Tensor) -> Tensor:
    return numbers * numbers.new_tensor([1.0, -1.0])


def _complex(factors: Tensor) -> Tensor:
    """Complex matrices (..., m, n, 2) as real ones (..., 2m, 2n), for rows that hold real parts and then imaginary parts."""
    x, y = factors.unbind(-1)
    return torch.cat([torch.cat([x, y], -1), torch.cat([-y, x], -1)], -2).contiguous()


class Matrices(Frames):
    """`Frames` that synthesises by `Bases`."""

    def __init__(self, mel: MelSpec, like: Tensor, bases: Bases) -> None:
        super().__init__(mel, like)
        self.bases = bases

    def to_samples(self, spectra: Tensor) -> Tensor:
        last, real = self.bases.last.to(spectra.dtype), self.bases.real.to(spectra.dtype)
        samples = self.bases.samples(self.bases.grouped(spectra.flatten(0, 1)), last, real)
        return samples.unflatten(
            0, (-1, self.count)
        )  # what the exporter takes for the shape of spectra after a loop is that of the trial
