"""Scores of generated pictures, each with its floor: the score of held-out real pictures by the same rule.

A distance between samples depends on their number: the Frechet distance of real from real pictures falls about like
1/n. So fakes and held-out pictures are compared in draws of one size, n = the smaller of the number of held-out pictures
and of the pictures generated; the score is the mean over disjoint draws against the training pictures (at most 20,000),
and so is the floor. A score and its floor are comparable; two scores with different n are not.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

from polygan import DataError, Score

from .chosen import features_of
from .features import pixels_of
from .manifolds import density_coverage, precision_recall
from .pairs.distributions import beside
from .trained import ClassifierFeatures, has_labels

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Evaluation

    from .features import Features, PictureFeatures

_NO_FID = "; not a FID: compare it with scores of the same data and n only"
_SORTED = ", sorted into classes by the classifier"
_CLASS_MOST = 2000  # pictures of a class whose pairwise distances are averaged
_NEIGHBOURS = 3  # of Kynkaanniemi et al. 2019
_DENSITY_NEIGHBOURS = 5  # of Naeem et al. 2020
_MANIFOLD_MOST = 10_000  # pictures a side: time grows with their square
_SAME = 2 / 255  # one grey level, in the units of pictures in [-1, 1]


class _AsTheyAre(nn.Module):
    """A feature network for torchmetrics that returns ready features."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Frechet distance of two Gaussians with the mean and covariance of features (n, d) and (m, d), n, m >= 2.

    |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^1/2) in float64, eq. 6 of Heusel et al. 2017 (arXiv:1706.08500).
    """
    from torchmetrics.image.fid import FrechetInceptionDistance

    if not (a.isfinite().all() and b.isfinite().all()):
        raise DataError("a Frechet distance needs finite features")  # else LAPACK ends the process
    metric = FrechetInceptionDistance(feature=_AsTheyAre(a.shape[1]))
    metric.update(a.double(), real=True)
    metric.update(b.double(), real=False)
    return float(metric.compute())


def kernel_distance(a: Tensor, b: Tensor, size: int, subsets: int = 50) -> float:
    """Mean over random subsets of ``size`` of the unbiased squared maximum mean discrepancy of features (n, d), (m, d).

    Kernel (x.y / d + 1)^3, Binkowski et al. 2018 (arXiv:1801.01401), section 4, in float64. Can be below zero.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    with warnings.catch_warnings(), torch.random.fork_rng([]):
        warnings.simplefilter("ignore")  # that it keeps all features
        torch.default_generator.manual_seed(0)
        metric = KernelInceptionDistance(feature=_AsTheyAre(a.shape[1]), subsets=subsets, subset_size=size)
        metric.update(a.double(), real=True)
        metric.update(b.double(), real=False)
        return float(metric.compute()[0])


def spread(features: Tensor) -> float:
    """Mean Euclidean distance over all pairs of features (n, d), n >= 2; memory grows with n, not with n^2."""
    n = len(features)
    exact = "donot_use_mm_for_euclid_dist"  # the fast way is off by 1e-3 for equal rows
    total = sum(float(torch.cdist(rows, features, compute_mode=exact).sum()) for rows in features.split(500))
    return total / (n * (n - 1))


def duplicates(pixels: Tensor) -> float:
    """Share of n pictures that repeat an earlier picture: less than a grey level of 255 away, root-mean-square.

    ``pixels`` (n, d) are `ImageDomain.features`. 0: all differ; (n - 1) / n: all are the same picture.
    """
    x, found, start = pixels - pixels.mean(0), 0, 0
    squares = x.square().sum(1)
    for rows in x.split(500):
        stop = start + len(rows)
        gaps = squares[start:stop, None] + squares[None, :stop] - 2 * rows @ x[:stop].T
        near = (gaps < _SAME**2).tril(start - 1)  # column j of row i only for j < i
        found, start = found + int(near.any(1).sum()), stop
    return found / len(pixels)


def _draws(features: Tensor, n: int) -> list[Tensor]:
    """Disjoint pieces of exactly ``n`` rows."""
    return list(features[: len(features) // n * n].split(n))


def _note(seen: PictureFeatures, text: str, unlike: str = "") -> str:
    """The facts that a reader needs to compare scores."""
    info = seen.evaluation.info
    size = f"{info['width']}x{info['height']} {info.get('filter', '')}".strip()
    return f"{text}; {seen.describe()}, {size}{unlike}{_broken(seen.fakes.broken)}"


def _broken(count: int) -> str:
    return f"; {count} generated pictures had NaN or infinite pixels" if count else ""


def frechet(evaluation: Evaluation) -> list[Score]:
    """``image/frechet``: mean `frechet_distance` of draws of fakes, and, as the floor, of held-out pictures.

    With the feature network ``inception`` its name is ``image/fid``. Where pictures are made from given ones, the baseline is the
    best trivial answer to these.
    """
    seen = features_of(evaluation)
    train, real, fakes = seen.train.values, seen.held_out.values, seen.fakes.values
    n = min(len(real), len(fakes))

    def score(features: Tensor) -> float:
        values = [frechet_distance(train, draw) for draw in _draws(features, n)]
        return sum(values) / len(values)

    text = (
        f"{len(_draws(fakes, n))} x {n} generated, floor {len(_draws(real, n))} x {n} held-out, each against "
        f"{len(train)} training pictures"
    )
    value, floor = score(fakes), score(real)
    text += f", {value / floor:.3g} times the floor" if floor > 0 else ""
    text += f", fewer than the {train.shape[1]} features" if n < train.shape[1] else ""
    baseline, others = beside(seen, score, n)
    unlike = "" if seen.fid else _NO_FID
    return [
        Score(
            "image/fid" if seen.fid else "image/frechet",
            value,
            floor,
            note=_note(seen, text, unlike) + others,
            baseline=baseline,
            kind="distribution",
        )
    ]


def kid(evaluation: Evaluation) -> list[Score]:
    """``image/kid``: `kernel_distance` of fakes to training pictures, and, as the floor, of held-out pictures.

    The baseline is the best trivial answer, as in `frechet`.
    """
    seen = features_of(evaluation)
    train, real, fakes = seen.train.values, seen.held_out.values, seen.fakes.values
    n = min(len(train), len(real), len(fakes), 1000)

    def score(features: Tensor) -> float:
        return kernel_distance(train, features, n)

    baseline, others = beside(seen, score, n)
    text = f"50 subsets of {n} of {len(fakes)} generated, floor {len(real)} held-out, against {len(train)} training"
    note = _note(seen, text, _NO_FID) + others
    return [Score("image/kid", score(fakes), score(real), note=note, baseline=baseline, kind="distribution")]


def manifolds(evaluation: Evaluation) -> list[Score]:
    """``image/precision`` and ``image/recall``: `precision_recall` of fakes and training pictures, as many of each.

    Precision is quality, recall variety; the floors are the held-out pictures' scores. `DataError` for fewer than 4 of a kind.
    """
    seen = features_of(evaluation)
    train, real, fakes = _alike(seen, "image/precision-recall", _NEIGHBOURS)
    values, floors = precision_recall(train, fakes, _NEIGHBOURS), precision_recall(train, real, _NEIGHBOURS)
    names = "image/precision", "image/recall"
    return _pair(seen, names, values, floors, len(train), _NEIGHBOURS)


def density_and_coverage(evaluation: Evaluation) -> list[Score]:
    """``image/density`` and ``image/coverage``: `density_coverage` of fakes and training pictures, as many of each.

    Density is quality and outliers change it less than precision; coverage is variety. The floors are the held-out pictures'
    scores. `DataError` for fewer than 6 of a kind.
    """
    seen = features_of(evaluation)
    train, real, fakes = _alike(seen, "image/density-coverage", _DENSITY_NEIGHBOURS)
    values, floors = (density_coverage(train, side, _DENSITY_NEIGHBOURS) for side in (fakes, real))
    names = "image/density", "image/coverage"
    return _pair(seen, names, values, floors, len(train), _DENSITY_NEIGHBOURS)


def _alike(seen: PictureFeatures, name: str, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features of as many training, held-out and generated pictures, more than ``k`` of each."""
    sides = [f.values for f in (seen.train, seen.held_out, seen.fakes)]
    n = min(_MANIFOLD_MOST, *map(len, sides))
    if n <= k:
        raise DataError(
            f"{name} needs {k + 1} pictures or more of each kind; here are {len(sides[0])} for training, "
            f"{len(sides[1])} held out (data.held_out) and {len(sides[2])} generated (--samples)"
        )
    train, real, fakes = (side[:n] for side in sides)
    return train, real, fakes


def _pair(
    seen: PictureFeatures,
    names: tuple[str, str],
    values: tuple[float, float],
    floors: tuple[float, float],
    n: int,
    k: int,
) -> list[Score]:
    note = _note(seen, f"{n} generated, floor {n} held-out, against {n} training pictures, {k} neighbours")
    return [Score(m, v, f, "higher", note, kind="distribution") for m, v, f in zip(names, values, floors, strict=True)]


def _spreads(values: Tensor, labels: Tensor, classes: int) -> list[float | None]:
    """`spread` of each class; None for a class with fewer than two pictures."""
    members = [values[labels == c][:_CLASS_MOST] for c in range(classes)]
    return [spread(m) if len(m) > 1 else None for m in members]


def diversity(evaluation: Evaluation) -> list[Score]:
    """``image/diversity`` and ``-worst-class``: `spread` within each class against the training pictures'.

    Mean and minimum of the ratio over the classes; 1 is as varied as the real pictures. Samples without labels are sorted
    into classes by the classifier, on both sides; a class with fewer than two samples counts as 0. A source without labels is one
    class, and has no worst one.
    """
    if not has_labels(evaluation):
        return _diversity_without_classes(evaluation)
    seen = ClassifierFeatures.of(evaluation)
    train, real, fakes = seen.train, seen.held_out, seen.fakes
    asked = fakes.labels is not None
    classes = len(evaluation.info["classes"])

    def spreads(of: Features) -> list[float | None]:
        return _spreads(of.values, of.labels if asked and of.labels is not None else of.predicted, classes)

    theirs = spreads(train)

    def ratios(of: Features) -> list[float]:
        return [(a or 0.0) / b for a, b in zip(spreads(of), theirs, strict=True) if b and not (asked and a is None)]

    got, floor = ratios(fakes), ratios(real)
    if not (got and floor):
        raise DataError(
            f"{len(fakes.values)} generated and {len(real.values)} held-out pictures are too few for distances within "
            f"{classes} classes; evaluate more pictures or raise --data.held_out"
        )
    note = _note(seen, f"{len(fakes.values)} generated, {len(got)} of {classes} classes" + ("" if asked else _SORTED))
    means = [sum(x) / len(x) for x in (got, floor)]
    return [
        Score("image/diversity", means[0], means[1], "higher", note),
        Score("image/diversity-worst-class", min(got), min(floor), "higher", note),
    ]


def _diversity_without_classes(evaluation: Evaluation) -> list[Score]:
    seen = features_of(evaluation)
    theirs, got, floor = (spread(f.values[:_CLASS_MOST]) for f in (seen.train, seen.fakes, seen.held_out))
    note = _note(seen, f"{len(seen.fakes.values)} generated, no classes")
    return [Score("image/diversity", got / theirs, floor / theirs, "higher", note)]


def repeated(evaluation: Evaluation) -> list[Score]:
    """``image/duplicates``: `duplicates` among the fakes, the floor among as many training pictures. No network is asked."""
    fakes, train, broken = pixels_of(evaluation)
    text = f"share of {len(fakes)} pictures that repeat an earlier one to less than a grey level, floor {len(train)} training ones"
    return [Score("image/duplicates", duplicates(fakes), duplicates(train), note=text + _broken(broken))]


def recognised(evaluation: Evaluation) -> list[Score]:
    """``image/recognised``: share of class-conditional samples that the classifier takes for the class asked for.

    The floor is its accuracy on held-out pictures. `DataError` for samples without labels.
    """
    seen = ClassifierFeatures.of(evaluation)
    fakes = seen.fakes
    if fakes.labels is None:
        raise DataError("image/recognised needs a class-conditional model; this model is unconditional")
    share = float((fakes.predicted == fakes.labels).float().mean())
    note = _note(seen, f"{len(fakes.labels)} generated, floor {len(seen.held_out.values)} held-out")
    return [Score("image/recognised", share, seen.accuracy, "higher", note)]
