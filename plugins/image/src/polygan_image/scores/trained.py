"""Features of small networks that are trained on the source itself: the classifier, and the self-supervised network."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from polygan import DataError

from . import cache, classifier, self_supervised
from .features import Features, PictureFeatures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from polygan import Evaluation

    from .classifier import Classifier
    from .self_supervised import SelfSupervised

N = TypeVar("N", bound=nn.Module)


class TrainedFeatures(PictureFeatures, Generic[N]):
    """Features of a network that is trained once on the source's training pictures and kept in the cache."""

    what: ClassVar[str]
    network: N

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = e = evaluation
        self.check_source()
        self.check_counts()
        # A run evaluates again and again: the network and the real pictures stay the same.
        key = f"image/{self.what}", self.file(), str(e.device), np.asarray(e.held_out.rows).tobytes()
        self.network, self.train, self.held_out = self.once(key, self._of_reals)

    def check_source(self) -> None:
        """Refuse a source that the network cannot learn from."""

    @abstractmethod
    def file(self) -> Path:
        """The network's file in the cache."""

    @abstractmethod
    def blank(self) -> N:
        """The untrained network on the CPU."""

    @abstractmethod
    def learn(self) -> N:
        """The network after training, on the evaluation's device."""

    def facts(self) -> Mapping[str, str]:
        """What is written beside the network's weights."""
        return {}

    @property
    def name(self) -> str:
        """The network, for the reader of an error."""
        return f"the {self.what} of this source"

    def _of_reals(self) -> tuple[N, Features, Features]:
        e, path = self.evaluation, self.file()
        network = classifier.load(path, self.blank().to(e.device))
        self.network = network or self.learn()
        self.train, self.held_out = (
            self.checked(self.of_split(split), split, kind)
            for split, kind in ((e.train, "training"), (e.held_out, "held-out"))
        )
        if network is None:
            cache.write(path, self.network.state_dict(), f"the {self.what} is", self.facts())
        return self.network, self.train, self.held_out


class ClassifierFeatures(TrainedFeatures["Classifier"]):
    """The classifier's features; ``accuracy`` is the share of held-out pictures that the classifier puts into their class.

    Raises `DataError` for a source without labels.
    """

    what = "classifier"

    def check_source(self) -> None:
        """Refuse a source without labels."""
        if not has_labels(self.evaluation):
            raise DataError(
                "the score needs labels of two classes or more, which this source does not have; use a source with labels, or a "
                "folder with a subfolder for each class and --data.labels folders"
            )

    def file(self) -> Path:
        """The classifier's file in the cache."""
        return classifier.cache_file(self.evaluation)

    def blank(self) -> Classifier:
        """The untrained classifier."""
        return classifier.blank(self.evaluation.info)

    def learn(self) -> Classifier:
        """The classifier after training."""
        return classifier.train_classifier(self.evaluation)

    def facts(self) -> Mapping[str, str]:
        """The accuracy."""
        return {"held_out_accuracy": repr(self.accuracy)}

    def look(self, data: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, 96) and predicted classes (n,) of pictures (n, C, H, W) in [-1, 1], on the CPU."""
        return classifier.extract(self.network, data, self.evaluation.device)

    def describe(self) -> str:
        """The classifier and its accuracy, for the reader of a score."""
        return f"classifier of this source, {self.accuracy:.1%} right on held-out pictures"

    @cached_property
    def accuracy(self) -> float:
        """Share of the held-out pictures that the network puts into their class."""
        assert self.held_out.labels is not None
        return float((self.held_out.predicted == self.held_out.labels).float().mean())


class SelfSupervisedFeatures(TrainedFeatures["SelfSupervised"]):
    """Features of a network that learned from the pictures alone, for sources without labels."""

    what = "self-supervised network"

    def file(self) -> Path:
        """The network's file in the cache."""
        return classifier.cache_file(self.evaluation, "self-supervised", self_supervised.VERSION)

    def blank(self) -> SelfSupervised:
        """The untrained network."""
        return self_supervised.blank(self.evaluation.info)

    def learn(self) -> SelfSupervised:
        """The network after training."""
        return self_supervised.train(self.evaluation)

    def look(self, data: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, 96) of pictures (n, C, H, W) in [-1, 1], on the CPU, and no classes: -1."""
        return self_supervised.extract(self.network, data, self.evaluation.device), torch.full((len(data),), -1)

    def describe(self) -> str:
        """The network, for the reader of a score."""
        return "self-supervised network of this source"


def has_labels(evaluation: Evaluation) -> bool:
    """Whether the pictures that are compared have labels of two classes or more."""
    if evaluation.sides is not None:  # all of them are of the class that is made
        return False
    return len(evaluation.info.get("classes") or ()) >= 2 and "label" in evaluation.train.store.fields
