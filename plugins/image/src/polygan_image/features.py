"""The feature network of the scores: a small classifier, trained once on the labelled source and cached.

No score here is comparable with a FID: that is measured by Inception weights, this by a network of the data itself.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from polygan import DataError, mix

from . import keeping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from polygan import Evaluation, Samples, Split

VERSION = 1  # of the network and of how it is trained; part of the cache's key
_SIDE = 64  # larger pictures are shrunk to this before the network sees them
_MOST = 20_000  # pictures of a split that are looked at, at most
_SEEN = 45_000  # pictures shown in training at most, counting repeats
_CHUNK = 32 * 2**20  # bytes of float pictures in memory at once


class Classifier(nn.Module):
    """A convolutional network of about 140,000 parameters: pictures (n, C, H, W) in [-1, 1] to logits (n, classes).

    `features` gives the 96 numbers before the last layer, averages over the picture like those that a FID takes of
    Inception; a further hidden layer would forget what varies within a class. Any size works: more than 64 pixels are
    shrunk (bilinear, antialiased), more than 32 halved by the first convolution.
    """

    num_features = 96

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> list[nn.Module]:
            convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
            return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

        def halve() -> nn.Module:
            return nn.MaxPool2d(2, ceil_mode=True)

        self.body = nn.Sequential(
            *block(channels, 24, 1 if side <= 32 else 2, 5),
            halve(),
            *block(24, 48),
            halve(),
            *block(48, 96),
            *block(96, 96),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.BatchNorm1d(self.num_features, affine=False),  # each varies by about 1 over the training pictures
        )
        self.head = nn.Linear(self.num_features, classes)

    def features(self, x: Tensor) -> Tensor:
        """(n, 96) of pictures (n, C, H, W) in [-1, 1]."""
        return self.body(shrink(x))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))


def shrink(x: Tensor) -> Tensor:
    """Pictures (n, C, H, W) of more than 64 pixels a side, shrunk to 64 (bilinear, antialiased); others as they are."""
    longest = max(x.shape[2:])
    if longest <= _SIDE:
        return x
    size = [max(1, round(s * _SIDE / longest)) for s in x.shape[2:]]
    return F.interpolate(x, size=size, mode="bilinear", antialias=True)


def training_steps(count: int) -> tuple[int, int]:
    """(batch size, steps) for ``count`` pictures: 9 epochs, but between 6,000 and 45,000 pictures seen."""
    batch = min(64, count)
    return batch, -(-min(max(9 * count, 6_000), _SEEN) // batch)


def _shift(x: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each picture moved by up to ``most`` pixels down and across; the border is repeated."""
    n, _, height, width = x.shape
    padded = F.pad(x, (most,) * 4, mode="replicate").permute(0, 2, 3, 1)  # (n, H, W, C)
    y, z = (torch.randint(2 * most + 1, (n, 1), generator=generator) for _ in range(2))
    rows, columns = (y + torch.arange(height))[:, :, None], (z + torch.arange(width))[:, None, :]
    picked = padded[torch.arange(n)[:, None, None], rows, columns]  # (n, H, W, C)
    return picked.permute(0, 3, 1, 2)


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    """Gradients in full precision and without timing-dependent kernels, wherever the caller stands."""
    with (
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        torch.autocast("cuda", enabled=False),
        torch.autocast("cpu", enabled=False),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        yield


def _rows(split: Split) -> np.ndarray:
    """At most 20,000 rows of a split in an order that is random and always the same."""
    return np.random.default_rng(0).permutation(np.asarray(split.rows))[:_MOST]


def train_classifier(evaluation: Evaluation) -> Classifier:
    """The network after training on ``evaluation.train``: cross-entropy, AdamW, one cycle of the learning rate, shifts.

    At most 20,000 pictures and 45,000 views of them, so its time is bounded. The same split, machine and number
    of threads give the same network.
    """
    e, device = evaluation, evaluation.device
    rows = _rows(e.train)
    batch, steps = training_steps(len(rows))
    most = max(1, min(max(e.info["height"], e.info["width"]), _SIDE) // 14)
    generator = torch.Generator().manual_seed(0)
    with _repeatable():
        network = _blank(e.info).to(device).to(memory_format=torch.channels_last).train().requires_grad_(True)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
        order = torch.empty(0, dtype=torch.int64)
        for _ in tqdm(range(steps), "training the classifier that scores", disable=None, leave=False):
            if len(order) < batch:
                order = torch.cat([order, torch.randperm(len(rows), generator=generator)])
            taken, order = order[:batch], order[batch:]
            samples = e.domain.real(e.train, rows[taken.numpy()])
            assert samples.labels is not None
            x = _shift(shrink(samples.data), most, generator)
            logits = network(x.to(device, memory_format=torch.channels_last))
            loss = F.cross_entropy(logits, samples.labels.to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    # The layout of a network read from the cache, so that the scores of both agree to the bit.
    return network.eval().requires_grad_(False).to(memory_format=torch.contiguous_format)


class Features(NamedTuple):
    """What the scores keep of n pictures, on the CPU."""

    values: Tensor
    """(n, 96) features of the classifier."""
    predicted: Tensor
    """(n,) the class with the largest logit."""
    labels: Tensor | None
    """(n,) the class that a sample has or was asked for."""
    pixels: Tensor
    """(n, d) of `ImageDomain.features`: distances are root-mean-square differences of shrunk pictures, in [0, 2]."""


class Judge:
    """The trained `Classifier` of an evaluation's training split, with the features of the real and generated pictures.

    ``train`` and ``held_out`` are features of at most 20,000 pictures each, in random order; ``accuracy`` is the share
    of the held-out ones that the network puts into their class. Raises `DataError` when the source has no labels or too
    few pictures.
    """

    _last: ClassVar[tuple[object, Classifier, Features, Features] | None] = None

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = e = evaluation
        if len(e.info.get("classes") or ()) < 2 or "label" not in e.train.store.fields:
            raise DataError(
                "the scores need labels of two classes or more, which this source does not have; use one with "
                "labels, a folder with a subfolder for each class and data.labels = folders, or another network (--judge)"
            )
        self.check_counts()
        path = _cache_file(e)
        key = path, str(e.device), np.asarray(e.held_out.rows).tobytes()
        last = Judge._last
        if last is not None and last[0] == key:  # a run evaluates again and again: the real pictures stay the same
            _, self.network, self.train, self.held_out = last
            return
        network = _load(path, _blank(e.info).to(e.device))
        self.network = network or train_classifier(e)
        self.train, self.held_out = (self._of_split(split) for split in (e.train, e.held_out))
        if network is None:
            facts = {"held_out_accuracy": repr(self.accuracy)}
            keeping.write(path, self.network.state_dict(), "the classifier is", facts)
        Judge._last = key, self.network, self.train, self.held_out

    def check_counts(self) -> None:
        """Refuse an evaluation with fewer than two pictures of a kind."""
        e = self.evaluation
        if min(len(e.train), len(e.held_out), e.count) < 2:
            raise DataError(
                f"the scores need two pictures or more of each kind; here are {len(e.train)} for training, "
                f"{len(e.held_out)} held out (data.held_out) and {e.count} to generate"
            )

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        """The judge of an evaluation, made once: several metrics look at the same fakes."""
        shared = vars(evaluation).setdefault("_judges", {})
        if cls not in shared:
            shared[cls] = cls(evaluation)
        return shared[cls]

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
        """Of ``evaluation.count`` generated pictures, drawn in pieces with seeds that differ."""
        e, k = self.evaluation, max(1, len(self.evaluation.info.get("classes") or ()))
        # A whole number of turns through the classes, so that each is asked for equally often.
        size = max(k, _chunk_rows(e.info) // k * k)
        counts = [min(size, e.count - i) for i in range(0, e.count, size)]
        return self._of(e.generate(n, mix(e.seed, i)) for i, n in enumerate(counts))

    def _of_split(self, split: Split) -> Features:
        rows, size = _rows(split), _chunk_rows(self.evaluation.info)
        starts = tqdm(range(0, len(rows), size), "features of real pictures", disable=None, leave=False)
        return self._of(self.evaluation.domain.real(split, rows[i : i + size]) for i in starts)

    def _of(self, pieces: Iterable[Samples]) -> Features:
        domain, parts = self.evaluation.domain, []
        for samples in pieces:
            # As they would be written: a network that diverged gets a bad score, not a failing eigenvalue solver.
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


@torch.no_grad()
def extract(network: Classifier, data: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Features (n, 96) and predicted classes (n,) of pictures (n, C, H, W) in [-1, 1], on the CPU."""
    values, predicted = [], []
    for piece in data.split(256):
        features = network.features(shrink(piece.to(device, torch.float32)))
        values.append(features.cpu())
        predicted.append(network.head(features).argmax(1).cpu())
    return torch.cat(values), torch.cat(predicted)


def _blank(info: Mapping[str, Any]) -> Classifier:
    """The untrained network of the data, in evaluation mode; no generator is advanced."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        network = Classifier(info["channels"], max(info["height"], info["width"]), len(info["classes"]))
    return network.eval().requires_grad_(False)


def _cache_file(evaluation: Evaluation) -> Path:
    """Named by the version, the stored data and the rows that are trained on."""
    train = evaluation.train
    digest = hashlib.blake2b(f"{VERSION} {train.store.key} ".encode(), digest_size=10)
    digest.update(np.ascontiguousarray(train.rows, dtype="<i8").tobytes())
    return evaluation.cache / f"image-classifier-{digest.hexdigest()}.safetensors"


def _load(path: Path, network: Classifier) -> Classifier | None:
    """``network`` with the weights of a file; None when it is absent, damaged or of another network."""
    state = keeping.read(path)
    if state is None:
        return None
    try:
        network.load_state_dict(state)
    except RuntimeError:
        return None
    return network
