"""Options of generated pictures: classes by name, grids with a row per class, walks between latents."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from polygan import Checked, ConfigError, class_index, ranged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from polygan import Noise


@dataclass(frozen=True, kw_only=True)
class Sampling(Checked):
    """Options of generation."""

    label: str | int | None = None
    """Name or number of the class to draw; None: each class as often as in the data, and in rows all classes in turn."""
    grid: bool = False
    """One row per class (a square without classes or with ``label``): classes then depend on the number of pictures."""
    interpolate: int = ranged(0, "0 or [2, inf)")
    """Pictures in a row that walks from one latent vector to the next; 0: no walks."""
    walk: int = ranged(0, "0 or [2, inf)")
    """Pictures from one latent vector to the next of one closed walk; approximate, because all are spread evenly. Write them as
    an animation (.webp, .gif); 0: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.interpolate and self.grid:
            raise ConfigError("grid and interpolate both put the pictures into rows; use one of them")
        if self.walk and (self.interpolate or self.grid):
            raise ConfigError("a walk has an order of its own; leave grid and interpolate out")


class Arrangement(NamedTuple):
    """Labels (n,) or None, and the ``kind`` and ``columns`` of `polygan.Samples`."""

    labels: Tensor | None
    kind: str
    columns: int


def arrange(options: Sampling, n: int, classes: Sequence[str], counts: Sequence[int] | None = None) -> Arrangement:
    """The class of each of ``n`` pictures, and the rows.

    Without ``label`` the classes are as often as ``counts``, or equally often; in a grid and in walks a row has one class.
    Raises `ConfigError` for an unknown class, or a grid whose ``n`` is no multiple of the classes.
    """
    label = class_index(options.label, classes)
    kind, columns = "set", 0
    if options.interpolate:
        kind, columns = "walk", options.interpolate
    elif options.walk:
        kind = "frames"
    elif options.grid and classes and label is None:
        kind, columns = "grid", n // len(classes)
        if n % len(classes):
            raise ConfigError(
                f"a grid of {n} pictures has no full row for each of {len(classes)} classes: "
                f"ask for {len(classes) * (columns + 1)}"
            )
    elif options.grid:
        kind, columns = "grid", math.isqrt(max(n - 1, 0)) + 1
    if not classes:
        return Arrangement(None, kind, columns)
    if label is not None:
        return Arrangement(torch.full((n,), label), kind, columns)
    if kind == "set":
        return Arrangement(apportion(n, counts or [1] * len(classes)), kind, columns)
    row = places(n, keys_of_walk(options, n))[0] if options.walk else torch.arange(n) // columns
    return Arrangement(row % len(classes), kind, columns)


def apportion(n: int, counts: Sequence[int]) -> Tensor:
    """Classes (n,), each as often as its share of ``counts`` (classes,), of which at least one is above 0, as nearly as possible.

    Each beginning follows Webster's method: the j-th picture of a class comes at (2 j - 1) / count. With equal counts, picture i
    has class i modulo the number of classes.
    """
    share = torch.tensor(counts, dtype=torch.float64)
    candidates = (
        share * (n + len(share)) / share.sum() + 0.5
    ).long()  # at least n: each class is less than 1/2 below its quota
    label = torch.arange(len(share)).repeat_interleave(candidates)
    place = torch.arange(len(label)) - (candidates.cumsum(0) - candidates)[label]
    return label[((2 * place + 1) / share[label]).argsort(stable=True)[:n]]


def latents(options: Sampling, n: int, dim: int, noise: Noise) -> Tensor:
    """Latents (n, dim): standard normal, or on arcs between normal vectors. Vector i is the same for all ``n``, except in a closed walk."""
    if options.walk:
        keys = noise.normal(keys_of_walk(options, n), dim)
        at, t = places(n, len(keys))
        return slerp(keys[at], keys[(at + 1) % len(keys)], t.to(keys.device))
    k = options.interpolate
    return slerp_rows(noise.normal(-(-n // k) + 1, dim), k)[:n] if k else noise.normal(n, dim)


def keys_of_walk(options: Sampling, n: int) -> int:
    """How many latents a closed walk of ``n`` pictures passes. `ConfigError` for fewer than two."""
    if n <= options.walk:
        raise ConfigError(
            f"{n} pictures with walk = {options.walk} stay at one latent vector: ask for -n {2 * options.walk} or more"
        )
    return max(2, round(n / options.walk))


def places(n: int, keys: int) -> tuple[Tensor, Tensor]:
    """Places of ``n`` points, spread evenly over a closed way past ``keys`` stations: the last station (n,) that each point has
    passed, and its share (n, 1) of the way to the next station."""
    whole = torch.arange(n) * keys
    return whole // n, ((whole % n) / n)[:, None]


def slerp_rows(latent: Tensor, k: int) -> Tensor:
    """(rows * k, dim): k points on each arc between neighbours of ``latent`` (rows + 1, dim), with both ends."""
    t = torch.linspace(0, 1, k, device=latent.device).view(1, k, 1)
    return slerp(latent[:-1, None], latent[1:, None], t).flatten(0, 1)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """(..., dim): the point at ``t`` (..., 1) of the arc from ``a`` to ``b`` (..., dim).

    White 2016 (arXiv:1609.04468): on a straight line the norm would drop below every norm in training.
    """
    angle = F.cosine_similarity(a, b, dim=-1).clamp(-1, 1).acos()[..., None]
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()
    return torch.where(angle.sin() < 1e-4, torch.lerp(a, b, t), arc)
