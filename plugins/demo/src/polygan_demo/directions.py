"""Directions along which samples change most: of the latents, or of the space between latents and samples."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

STEP = 0.5
"""How far a latent is moved to see what changes, in standard deviations of the latents."""
_PROBES = 128
"""The most directions that are tried from one latent."""

_FAINT = 0.005
"""A direction with less of the whole change than this is left out."""


class Directions(NamedTuple):
    """Orthonormal directions, the strongest first."""

    vectors: Tensor
    """(k, d)."""
    shares: Tensor | None
    """The share (k,) of the whole change that each direction makes; None where not all directions were tried."""
    deviations: Tensor | None = None
    """The standard deviations (k,) along the directions of the space between latents and samples; None: the directions are those of latents."""

    def move(self, moves: Tensor) -> Tensor:
        """(d,): the sum of the directions, each times its number of standard deviations in ``moves`` (m,), m <= k."""
        if self.deviations is not None:
            moves = moves * self.deviations[: len(moves)]
        return moves @ self.vectors[: len(moves)]


def principal_directions(
    features: Callable[[Tensor, int], Tensor], bases: Tensor, *, most: int = 8, seconds: float = 20.0
) -> Directions | None:
    """The first eigenvectors of the mean of J^T J over ``bases`` (b, d), where J is the Jacobian of ``features`` at a base.

    Wang and Ponce 2021 (arXiv:2101.06006), equation 1, with the distance of ``features``: (m, d) latents of the base with this
    number to (m, f) features. J is taken by differences of `STEP` along all axes, or along 128 random orthonormal directions of
    each base where d is larger: their mean has the same eigenvectors. Bases that come after ``seconds`` are left out. Faint directions are left out. None where nothing changes.
    """
    begin, d = time.monotonic(), bases.shape[1]
    metric = torch.zeros(d, d, dtype=torch.float64)
    for number, base in enumerate(bases):
        if number and time.monotonic() - begin > seconds:
            break
        probes = _probes(d, number)
        seen = features(torch.cat([base[None], base + STEP * probes]), number).double()  # (1 + m, f)
        moved = probes.double().T @ ((seen[1:] - seen[0]) / STEP)  # (d, f): J^T, seen along the probes
        metric += moved @ moved.T
    if not torch.isfinite(metric).all() or metric.trace() <= 0:
        return None
    values, vectors = torch.linalg.eigh(metric)
    order = values.argsort(descending=True)[:most]
    order = order[values[order] > _FAINT * values.sum()]
    found = vectors[:, order].T
    sign = found.gather(1, found.abs().argmax(1, keepdim=True)).sign()
    shares = values[order] / metric.trace() if d <= _PROBES else None
    return Directions((found * sign).float(), shares)


def principal_components(groups: Iterable[Tensor], *, most: int = 8) -> Directions | None:
    """The principal components of points (n, d), within each of the groups. None where no point differs from another.

    Härkönen et al. 2020 (GANSpace, arXiv:2004.02546): the components V of points w = M(z) of random latents z; a sample is moved by
    w' = w + V x. The groups are classes: their means are taken away, so that no direction leads from class to class.
    """
    centred = torch.cat([points.double() - points.double().mean(0) for points in groups])
    if not torch.isfinite(centred).all() or centred.square().mean() <= 1e-12:
        return None
    _, scales, vectors = torch.linalg.svd(centred, full_matrices=False)
    values = scales.square()
    kept = values[:most] > _FAINT * values.sum()
    found = vectors[:most][kept]
    sign = found.gather(1, found.abs().argmax(1, keepdim=True)).sign()
    deviations = scales[:most][kept] / max(1, len(centred) - 1) ** 0.5
    return Directions((found * sign).float(), (values[:most][kept] / values.sum()).float(), deviations.float())


def _probes(d: int, number: int) -> Tensor:
    """The axes (d, d), or 128 random orthonormal directions (128, d)."""
    if d <= _PROBES:
        return torch.eye(d)
    generator = torch.Generator().manual_seed(number)
    return torch.linalg.qr(torch.randn(d, _PROBES, generator=generator))[0].T


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """(n, d): the points at ``t`` (n,) of the arc from ``a`` to ``b`` (d,). White 2016 (arXiv:1609.04468).

    On a straight line the norm would drop below every norm in training.
    """
    angle = torch.cosine_similarity(a, b, dim=0).clamp(-1, 1).acos()
    t = t[:, None]
    if angle.sin() < 1e-4:
        return torch.lerp(a.expand(len(t), -1), b.expand(len(t), -1), t)
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()
