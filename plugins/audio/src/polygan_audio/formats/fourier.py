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
    exp(2 pi i j (k1 / n + k2 / b)): sums of a and of b terms in place of sums of n. For n = 1024 that is an eighth of the work.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n, self.a = n, max(d for d in range(1, math.isqrt(n) + 1) if n % d == 0)
        self.b = n // self.a
        self.some = self.b // 2 + 1  # of k2: bins up to n / 2, and a few that are cut off
        a, b, some = (torch.arange(float(count), dtype=torch.float64) for count in (self.a, self.b, self.some))
        first = _turns(torch.outer(a, a) / self.a)  # (i, k1, 2)
        second = _turns(a[:, None, None] * b[:, None] / n + b[:, None] * some / self.b)  # (k1, j, k2, 2)
        self.first = nn.Buffer(_conjugate(first).flatten(1))  # (a, 2a)
        self.second = nn.Buffer(_complex(_conjugate(second)))  # (a, 2b, 2 some)
        bins = a[:, None] + self.a * some  # (k1, k2)
        twice = 2.0 - ((bins == 0) | (bins == n / 2)).double()  # all bins but these stand for two
        weight = twice * (bins <= n / 2) / n
        self.last = nn.Buffer(_complex((second * weight[:, None, :, None]).transpose(1, 2)))  # (a, 2 some, 2b)
        self.real = nn.Buffer(_conjugate(first).permute(1, 2, 0).flatten(0, 1).contiguous())  # (2a, a)

    def to_spectra(self, frames: Tensor) -> Tensor:
        """(B, F, n) to (B, F, n / 2 + 1, 2)."""
        x = frames.reshape(-1, self.a, self.b).transpose(1, 2)  # (BF, j, i)
        x = (x @ self.first.to(x.dtype)).unflatten(2, (self.a, 2))  # (BF, j, k1, 2)
        x = x.permute(2, 0, 1, 3).flatten(2) @ self.second.to(x.dtype)  # (k1, BF, 2 k2)
        x = x.unflatten(2, (self.some, 2)).permute(1, 2, 0, 3).flatten(1, 2)[:, : self.n // 2 + 1]
        return x.reshape(*frames.shape[:2], self.n // 2 + 1, 2)

    def to_samples(self, spectra: Tensor) -> Tensor:
        """(B, F, n / 2 + 1, 2) to (B, F, n)."""
        count = self.some * self.a
        x = nn.functional.pad(spectra.flatten(0, 1), (0, 0, 0, count - self.n // 2 - 1))
        x = x.unflatten(1, (self.some, self.a)).permute(2, 0, 1, 3).flatten(2)  # (k1, BF, 2 k2)
        x = (x @ self.last.to(x.dtype)).unflatten(2, (self.b, 2))  # (k1, BF, j, 2)
        x = x.permute(1, 2, 0, 3).flatten(2) @ self.real.to(x.dtype)  # (BF, j, i)
        return x.transpose(1, 2).reshape(*spectra.shape[:2], self.n)


def _turns(parts: Tensor) -> Tensor:
    """exp(2 pi i x) of parts of a turn, as (..., 2)."""
    return torch.stack([(2 * math.pi * parts).cos(), (2 * math.pi * parts).sin()], -1)


def _conjugate(numbers: Tensor) -> Tensor:
    return numbers * numbers.new_tensor([1.0, -1.0])


def _complex(factors: Tensor) -> Tensor:
    """Complex matrices (..., m, n, 2) as real ones (..., 2m, 2n), for rows that hold real and imaginary parts in turn."""
    x, y = factors.unbind(-1)
    rows = torch.stack([torch.stack([x, y], -1), torch.stack([-y, x], -1)], -3)  # (..., m, 2, n, 2)
    return rows.flatten(-4, -3).flatten(-2).contiguous()


class Matrices(Frames):
    """`Frames` by `Bases`."""

    def __init__(self, mel: MelSpec, like: Tensor, bases: Bases) -> None:
        super().__init__(mel, like)
        self.bases = bases

    def consistent(self, spectra: Tensor, out: Tensor) -> Tensor:
        return self.analyse(self.synthesise(spectra))

    def scale(self, spectra: Tensor, factor: Tensor) -> Tensor:
        return spectra * factor[..., None]

    def cut(self, sound: Tensor) -> Tensor:
        return torch.cat([sound[:, i : i + self.count] for i in range(self.pieces)], 2)[..., : self.n_fft]

    def to_samples(self, spectra: Tensor) -> Tensor:
        return self.bases.to_samples(spectra)

    def to_spectra(self, frames: Tensor) -> Tensor:
        return self.bases.to_spectra(frames)
