"""Features of real and generated pictures, for every score of an evaluation.

No score here is comparable with a FID, unless its note says so: a FID needs Inception's weights, and these features come from a
network of the data itself.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from tqdm import tqdm

from polygan import DataError, mix

from . import cache
from .classifier import blank, cache_file, extract, load, measured_rows, train_classifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from polygan import Evaluation, Samples, Split

    from .classifier import Classifier

_CHUNK = 32 * 2**20  # bytes of float pictures in memory at once


class Features(NamedTuple):
    """The facts of n pictures that scores need, on the CPU."""

    values: Tensor
    """(n, 96) features of the classifier."""
    predicted: Tensor
    """(n,) the class with the largest logit."""
    labels: Tensor | None
    """(n,) the class of a real picture, or the class asked for."""
    pixels: Tensor
    """(n, d) of `ImageDomain.features`: distances are root-mean-square differences of shrunk pictures, in [0, 2]."""


class ClassifierFeatures:
    """The classifier's features of an evaluation's real and generated pictures.

    ``train`` and ``held_out`` are features of at most 20,000 pictures each, in random order; ``accuracy`` is the share
    of held-out pictures that the network puts into their class. Raises `DataError` if the source has no labels or too
    few pictures.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = e = evaluation
        if len(e.info.get("classes") or ()) < 2 or "label" not in e.train.store.fields:
            raise DataError(
                "the scores need labels of two classes or more, which this source does not have; use a source with labels, a "
                "folder with a subfolder for each class and data.labels = folders, or another feature network (--features)"
            )
        self.check_counts()
        # A run evaluates again and again: the network and the real pictures stay the same.
        key = "image/classifier", cache_file(e), str(e.device), np.asarray(e.held_out.rows).tobytes()
        self.network, self.train, self.held_out = e.once(key, self._of_reals)

    def _of_reals(self) -> tuple[Classifier, Features, Features]:
        e, path = self.evaluation, cache_file(self.evaluation)
        network = load(path, blank(e.info).to(e.device))
        self.network = network or train_classifier(e)
        self.train, self.held_out = (self._of_split(split) for split in (e.train, e.held_out))
        if network is None:
            facts = {"held_out_accuracy": repr(self.accuracy)}
            cache.write(path, self.network.state_dict(), "the classifier is", facts)
        return self.network, self.train, self.held_out

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
        """The features of an evaluation, made once: several metrics use the same fakes."""
        latest: list[Self] = evaluation.once(
            ("image/features", cls), list
        )  # evaluations share the list; fakes belong to one evaluation
        if not latest or latest[0].evaluation is not evaluation:
            latest[:] = [cls(evaluation)]
        return latest[0]

    def look(self, data: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, d) and predicted classes (n,) of pictures (n, C, H, W) in [-1, 1], on the CPU."""
        return extract(self.network, data, self.evaluation.device)

    @property
    def fid(self) -> bool:
        """Whether distances between the features are FIDs."""
        return False

    def describe(self) -> str:
        """The network, for the reader of a score."""
        return f"classifier of this source, {self.accuracy:.1%} right on held-out pictures"

    @cached_property
    def accuracy(self) -> float:
        """Share of the held-out pictures that the network puts into their class."""
        assert self.held_out.labels is not None
        return float((self.held_out.predicted == self.held_out.labels).float().mean())

    @cached_property
    def fakes(self) -> Features:
        """Features of ``evaluation.samples`` generated pictures, drawn in pieces with different seeds."""
        e, k = self.evaluation, max(1, len(self.evaluation.info.get("classes") or ()))
        # A whole number of turns through the classes, so that each is asked for equally often.
        size = max(k, _chunk_rows(e.info) // k * k)
        counts = [min(size, e.samples - i) for i in range(0, e.samples, size)]
        return self._of(e.generate(n, mix(e.seed, i)) for i, n in enumerate(counts))

    def _of_split(self, split: Split) -> Features:
        rows, size = measured_rows(split), _chunk_rows(self.evaluation.info)
        starts = tqdm(range(0, len(rows), size), "features of real pictures", disable=None, leave=False)
        return self._of(self.evaluation.domain.real(split, rows[i : i + size]) for i in starts)

    def _of(self, pieces: Iterable[Samples]) -> Features:
        domain, parts = self.evaluation.domain, []
        for samples in pieces:
            # As pictures would be written: a diverged network gets a bad score, not a failing eigenvalue solver.
            samples = replace(samples, data=torch.nan_to_num(samples.data.float(), nan=0.0).clamp(-1, 1))
            values, predicted = self.look(samples.data)
            parts.append(Features(values, predicted, samples.labels, domain.features(samples).cpu()))
        labels = [p.labels for p in parts if p.labels is not None]
        return Features(
            torch.cat([p.values for p in parts]),
            torch.cat([p.predicted for p in parts]),
            torch.cat(labels).cpu() if len(labels) == len(parts) else None,
            torch.cat([p.pixels for p in parts]),
        )


def _chunk_rows(info: Mapping[str, Any]) -> int:
    return max(1, min(1000, _CHUNK // (4 * info["channels"] * info["height"] * info["width"])))
