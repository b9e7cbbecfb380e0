"""Features of real and generated pictures, for every score of an evaluation.

No score here is comparable with a FID, unless its note says so: a FID needs Inception's weights, and these features come from a
network of the data itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from polygan import DataError, mix

from .classifier import measured_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from torch import Tensor

    from polygan import Evaluation, Samples, Split

_CHUNK = 32 * 2**20  # bytes of float pictures in memory at once
_LARGEST = 1e15  # of a feature: squares of larger numbers soon leave the range of float32
T = TypeVar("T")


class Features(NamedTuple):
    """The facts of n pictures that scores need, on the CPU."""

    values: Tensor
    """(n, d) features of the network, finite."""
    predicted: Tensor
    """(n,) the class with the largest logit; -1 where the network knows no classes."""
    labels: Tensor | None
    """(n,) the class of a real picture, or the class asked for."""
    pixels: Tensor
    """(n, d) of `ImageDomain.features`: distances are root-mean-square differences of shrunk pictures, in [0, 2]."""
    broken: int = 0
    """Pictures that had NaN or infinite pixels, which count as grey, black or white."""


class PictureFeatures(ABC):
    """A network's features of an evaluation's real and generated pictures.

    ``train`` and ``held_out`` are features of at most 20,000 pictures each, in random order. Raises `DataError` if there are too
    few pictures, or features that are not finite.
    """

    evaluation: Evaluation
    train: Features
    held_out: Features

    @property
    @abstractmethod
    def name(self) -> str:
        """The network, for the reader of an error."""

    @abstractmethod
    def look(self, data: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, d) and predicted classes (n,) of pictures (n, C, H, W) in [-1, 1], on the CPU."""

    @abstractmethod
    def describe(self) -> str:
        """The network, for the reader of a score."""

    @property
    def fid(self) -> bool:
        """Whether distances between the features are FIDs."""
        return False

    def check_counts(self) -> None:
        """Refuse an evaluation with fewer than two pictures of a kind."""
        e = self.evaluation
        if min(len(e.train), len(e.held_out), e.samples) < 2:
            raise DataError(
                f"the scores need two pictures or more of each kind; here are {len(e.train)} for training, "
                f"{len(e.held_out)} held out (data.held_out) and {e.samples} to generate"
            )

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        """The features of an evaluation, made once: several metrics use the same fakes. What fails once fails for all of them."""
        latest: list[tuple[Evaluation, Self | str]] = evaluation.once(
            ("image/features", cls), list
        )  # evaluations share the list; fakes belong to one evaluation
        if not latest or latest[0][0] is not evaluation:
            latest.clear()  # the memory of an earlier evaluation is free before another is made
            latest.append((evaluation, _attempt(lambda: cls(evaluation))))  # pyright: ignore[reportCallIssue]
        return _made(latest[0][1])

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """``make()``, kept for all evaluations of a run; a `DataError` is kept too, so that a run fails once and not each time."""
        return _made(self.evaluation.once(key, lambda: _attempt(make)))

    @property
    def fakes(self) -> Features:
        """Features of ``evaluation.samples`` generated pictures, drawn in pieces with different seeds."""
        return _made(self._fakes)

    @cached_property
    def _fakes(self) -> Features | str:
        e = self.evaluation
        found = self.gather(generated(e))
        _kept_pixels(e)[:] = [(e, found.pixels, found.broken)]
        return _attempt(lambda: check_values(found, self.name, "generated", np.arange(e.samples)))

    def of_split(self, split: Split) -> Features:
        """Features of the pictures of a split, not checked yet."""
        rows, size = measured_rows(split), _chunk_rows(self.evaluation.info)
        starts = tqdm(range(0, len(rows), size), "features of real pictures", disable=None, leave=False)
        return self.gather(self.evaluation.domain.real(split, rows[i : i + size]) for i in starts)

    def checked(self, features: Features, split: Split, kind: str) -> Features:
        """The features of a split. `DataError` if scores cannot be computed with them; ``kind`` names the split."""
        return check_values(features, self.name, kind, measured_rows(split))

    def gather(self, pieces: Iterable[Samples]) -> Features:
        """The features of pictures that come in pieces."""
        domain, parts = self.evaluation.domain, []
        for found in pieces:
            samples, broken = _mended(found)
            values, predicted = self.look(samples.data)
            parts.append(Features(values, predicted, samples.labels, domain.features(samples).cpu(), broken))
        labels = [p.labels for p in parts if p.labels is not None]
        return Features(
            torch.cat([p.values for p in parts]),
            torch.cat([p.predicted for p in parts]),
            torch.cat(labels).cpu() if len(labels) == len(parts) else None,
            torch.cat([p.pixels for p in parts]),
            sum(p.broken for p in parts),
        )


def check_values(features: Features, network: str, kind: str, rows: np.ndarray) -> Features:
    """The features. `DataError` unless scores can be computed with all of them; ``rows`` (n,) are the pictures' numbers.

    NaN in a covariance ends the process inside LAPACK, and elsewhere becomes a precision of 0, so every metric asks here first.
    """
    values, remedy = features.values, "choose another network with --features"
    for wrong, what in (
        (~values.isfinite(), "numbers that are not finite"),
        (values.abs() > _LARGEST, f"numbers above {_LARGEST:g}, whose squares overflow,"),
    ):
        bad = wrong.any(1).nonzero()[:, 0]
        if len(bad):
            named = ", ".join(str(rows[i]) for i in bad[:3].tolist()) + (", ..." if len(bad) > 3 else "")
            raise DataError(
                f"{network} gives {what} for {len(bad)} of {len(values)} {kind} pictures (rows {named}); {remedy}"
            )
    if kind == "training" and bool((values == values[0]).all()):
        raise DataError(f"{network} gives the same numbers for all {len(values)} training pictures; {remedy}")
    return features


def generated(evaluation: Evaluation) -> Iterable[Samples]:
    """``evaluation.samples`` generated pictures in pieces with different seeds; at most one for each picture that can be given."""
    if evaluation.given(1) is not None:
        return _from_given(evaluation)
    e, k = evaluation, max(1, len(evaluation.info.get("classes") or ()))
    # A whole number of turns through the classes, so that each is asked for equally often.
    size = max(k, _chunk_rows(e.info) // k * k)
    counts = [min(size, e.samples - i) for i in range(0, e.samples, size)]
    return (e.generate(n, mix(e.seed, i)) for i, n in enumerate(counts))


def _from_given(e: Evaluation) -> Iterable[Samples]:
    """The pictures made from all given pictures, or from the first ``e.samples`` of them."""
    size, start = _chunk_rows(e.info), 0
    while (given := e.given(min(size, e.samples - start), start)) is not None:
        yield e.generate(len(given), mix(e.seed, start // size), given=given)
        start += len(given)


def pixels_of(evaluation: Evaluation) -> tuple[Tensor, Tensor, int]:
    """Pixels of n fakes and of n training pictures, both (n, d) of `ImageDomain.features`, and the number of broken fakes.

    No network is asked, so these are there for any data. n is the smaller of the numbers of fakes and of training pictures.
    """
    e, kept = evaluation, _kept_pixels(evaluation)
    if not kept or kept[0][0] is not e:
        mended = [_mended(samples) for samples in generated(e)]
        pixels = torch.cat([e.domain.features(samples).cpu() for samples, _ in mended])
        kept[:] = [(e, pixels, sum(broken for _, broken in mended))]
    _, fakes, broken = kept[0]
    rows, size = measured_rows(e.train)[: len(fakes)], _chunk_rows(e.info)

    def real() -> Tensor:
        pieces = (e.domain.real(e.train, rows[i : i + size]) for i in range(0, len(rows), size))
        return torch.cat([e.domain.features(samples).cpu() for samples in pieces])

    return fakes[: len(rows)], e.once(("image/pixels of training", len(rows)), real), broken


def _kept_pixels(evaluation: Evaluation) -> list[tuple[Evaluation, Tensor, int]]:
    """The pixels of the newest fakes: a list of one evaluation, or of none."""
    return evaluation.once("image/pixels", list)


def _mended(samples: Samples) -> tuple[Samples, int]:
    """The pictures as they would be written, and how many had NaN or infinite pixels.

    A diverged network gets a bad score, not a failing eigenvalue solver.
    """
    data = samples.data.float()
    broken = int((~data.isfinite()).flatten(1).any(1).sum())
    return replace(samples, data=torch.nan_to_num(data, nan=0.0).clamp(-1, 1)), broken


def _chunk_rows(info: Mapping[str, Any]) -> int:
    return max(1, min(1000, _CHUNK // (4 * info["channels"] * info["height"] * info["width"])))


def _attempt(make: Callable[[], T]) -> T | str:
    """What ``make`` gives, or the message of its `DataError`. The error itself would keep the memory of its frames."""
    try:
        return make()
    except DataError as error:
        return str(error)


def _made(found: T | str) -> T:
    if isinstance(found, str):
        raise DataError(found)
    return found
