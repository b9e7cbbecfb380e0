"""Features of the network that an evaluation asks for, or of the network that fits the source."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..data.values.windows import seen_as
from . import cache
from .feature_networks import RESIZE, load_network
from .features import Features, PictureFeatures
from .trained import ClassifierFeatures, SelfSupervisedFeatures, has_labels

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from polygan import Evaluation, Split

_ROWS = 64
_TRAINED = {"classifier": ClassifierFeatures, "self-supervised": SelfSupervisedFeatures}


class ChosenFeatures(PictureFeatures):
    """A chosen network's features of the real and the generated pictures; the features of real pictures stay on disk.

    Raises `DataError` if there are too few pictures, or the network is missing or makes no vectors.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = e = evaluation
        self.check_counts()
        self.seeing = load_network(e.features, e.device, allow_code=e.allow_code)
        path = self.seeing.path
        files = [path, path.with_name(f"{path.name}.data")]  # ONNX may keep weights beside the graph
        self.digest = hashlib.sha256(b"".join(f.read_bytes() for f in files if f.is_file())).hexdigest()[:16]
        self.train, self.held_out = (
            self._of_real(split, kind) for split, kind in ((e.train, "training"), (e.held_out, "held-out"))
        )

    @property
    def name(self) -> str:
        """The network, for the reader of an error."""
        return f"feature network {self.seeing.name}"

    def look(self, data: Tensor) -> tuple[Tensor, Tensor]:
        """Features (n, d), and no classes: -1."""
        values = torch.cat([self.seeing(piece) for piece in data.split(_ROWS)])
        return values, torch.full((len(data),), -1)

    def describe(self) -> str:
        """The network, and how pictures get its size."""
        side = f", resized to {self.seeing.side}x{self.seeing.side} ({RESIZE})" if self.seeing.side else ""
        return f"network {self.seeing.name} (sha256 {self.digest}){side}"

    @property
    def fid(self) -> bool:
        """Whether distances between the features are FIDs."""
        return self.seeing.fid

    def _of_real(self, split: Split, kind: str) -> Features:
        rows = np.ascontiguousarray(split.rows, dtype="<i8").tobytes()
        key = hashlib.blake2b(
            f"{self.evaluation.features} {self.digest} {split.store.key} ".encode() + rows, digest_size=10
        )
        key.update(seen_as(self.evaluation.info).encode())
        path = self.evaluation.cache / f"image-features-{key.hexdigest()}.safetensors"
        return self.once(("image/features", path.name), lambda: self._kept(path, split, kind))

    def _kept(self, path: Path, split: Split, kind: str) -> Features:
        """The features in a file of the cache; a missing file is written."""
        if (found := _read(path)) is not None:
            return self.checked(found, split, kind)
        made = self.checked(self.of_split(split), split, kind)
        tensors = {k: v for k, v in made._asdict().items() if isinstance(v, torch.Tensor)}
        cache.write(path, tensors, "features of real pictures are")
        return made


def _read(path: Path) -> Features | None:
    tensors = cache.read(path)
    if tensors is None:
        return None
    return Features(tensors["values"], tensors["predicted"], tensors.get("labels"), tensors["pixels"])


def features_of(evaluation: Evaluation) -> PictureFeatures:
    """The features that an evaluation asks for, made once: several metrics use the same fakes.

    Without a name: of the classifier where the source has labels, else of the self-supervised network.
    """
    name = evaluation.features or ("classifier" if has_labels(evaluation) else "self-supervised")
    kind: type[PictureFeatures] = _TRAINED.get(name, ChosenFeatures)
    return kind.of(evaluation)
