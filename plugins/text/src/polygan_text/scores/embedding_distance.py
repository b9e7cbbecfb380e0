"""The Frechet distance of sentence embeddings: how far all generated texts are from all real ones.

A distance depends on the number of texts: the distance of real from real texts falls about like 1/n. So generated and held-out
texts are compared in draws of one size, n = the smaller of the number of held-out texts and of texts generated. The score is
the mean over disjoint draws against the training texts (at most 5,000), and so is the floor. Two scores with another embedder,
other data or another n are not comparable.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from polygan import DataError, Score

from ..data.facts import TEXTS
from ..likelihoods import score_name, texts_made
from .embedders import Embedder, load_embedder
from .errors import jackknife

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from polygan import Evaluation, Samples, Split

MOST = 5_000
"""Real texts of a split that are embedded."""


class Gaussian(NamedTuple):
    """A mean (d,), a covariance (d, d) and the root of the covariance, in float64."""

    mean: Tensor
    covariance: Tensor
    root: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Gaussian:
        """The Gaussian with the moments of embeddings (n, d), n >= 2."""
        mean, covariance = moments(values)
        eigenvalues, vectors = torch.linalg.eigh(covariance)
        return cls(mean, covariance, (vectors * eigenvalues.clamp(min=0).sqrt()) @ vectors.T)


def moments(values: Tensor) -> tuple[Tensor, Tensor]:
    """The mean (d,) and the covariance (d, d) of embeddings (n, d), n >= 2, in float64. DataError unless they are finite."""
    if not values.isfinite().all():
        raise DataError("a sentence embedder gave numbers that are not finite; name another one (--features)")
    x = values.double()
    return x.mean(0), torch.atleast_2d(x.T.cov())


def frechet_distance(real: Gaussian, values: Tensor) -> float:
    """Squared Frechet distance of a Gaussian from the Gaussian with the moments of embeddings (n, d), n >= 2.

    |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1^1/2 C_2 C_1^1/2)^1/2), Dowson and Landau 1982. Heusel et al. 2017 (arXiv:1706.08500) use
    the same for pictures. 0 for equal moments, up to rounding.
    """
    mean, covariance = moments(values)
    between = real.root @ covariance @ real.root
    overlap = torch.linalg.eigvalsh((between + between.T) / 2).clamp(min=0).sqrt().sum()
    distance = (real.mean - mean).square().sum() + real.covariance.trace() + covariance.trace() - 2 * overlap
    return max(0.0, float(distance))


class Real(NamedTuple):
    """What an evaluation needs of real texts, made once a run."""

    embedder: Embedder
    train: Gaussian
    texts: int
    """Training texts behind ``train``."""
    held_out: Tensor
    """(m, d) embeddings."""


def embedding_distance(evaluation: Evaluation) -> list[Score]:
    """``text/embedding-distance``: mean `frechet_distance` of draws of generated texts, and, as the floor, of held-out texts.

    The maximum-likelihood start of a recipe that keeps one is scored too. The standard error leaves out a tenth of the generated texts in
    turn. Raises DataError for fewer than two texts of a kind, and where there is no embedder of the name.
    """
    e = evaluation
    counts = len(e.train), len(e.held_out), e.samples
    if min(counts) < 2:
        raise DataError(
            f"text/embedding-distance needs two texts or more of each kind; here are {counts[0]} for training, {counts[1]} held out "
            f"(--data.held_out) and {counts[2]} to generate (--samples)"
        )
    seen = e.once(("text/embedded", e.features), lambda: _real(e))
    return [_score(seen, name, samples) for name, samples in texts_made(e, e.samples)]


def _real(evaluation: Evaluation) -> Real:
    train = _texts(evaluation, evaluation.train)
    embedder = load_embedder(evaluation.features, evaluation.device, lambda: train)
    known = Gaussian.of(embedder(train))
    return Real(embedder, known, len(train), embedder(_texts(evaluation, evaluation.held_out)))


def _texts(evaluation: Evaluation, split: Split) -> list[str]:
    """At most `MOST` texts of a split, in a random order that is always the same."""
    rows = np.random.default_rng(0).permutation(np.asarray(split.rows))[:MOST]
    found: dict[int, str] = {}
    for begin in range(0, len(rows), TEXTS):
        piece = np.sort(rows[begin : begin + TEXTS])  # a store reads rows in their order
        found |= zip(piece.tolist(), evaluation.domain.real(split, piece).data, strict=True)
    return [found[row] for row in rows.tolist()]


def _score(seen: Real, name: str, samples: Samples) -> Score:
    made = seen.embedder(samples.data)
    n = min(len(seen.held_out), len(made))
    draws, floors = ([*x[: len(x) // n * n].split(n)] for x in (made, seen.held_out))
    value, floor = (sum(frechet_distance(seen.train, x) for x in side) / len(side) for side in (draws, floors))
    note = (
        f"{len(draws)} x {n} generated, floor {len(floors)} x {n} held-out, each against {seen.texts} training texts; embedder "
        f"{seen.embedder.name}"
    )
    note += f", fewer texts than the {made.shape[1]} numbers of an embedding" if n < made.shape[1] else ""
    return Score(
        score_name("text/embedding-distance", name),
        value,
        floor,
        note=f"{note}; compare with scores of the same embedder, data and n only",
        kind="distribution",
        error=_error(seen.train, draws),
    )


def _error(real: Gaussian, draws: Sequence[Tensor]) -> float | None:
    """The standard error of the mean over draws, from the jackknife of the first draw."""
    (error,) = jackknife(list(draws[0]), lambda rows: [frechet_distance(real, torch.stack(rows))])
    return None if error is None else error / math.sqrt(len(draws))
