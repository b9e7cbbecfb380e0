"""The classifier that scores measure with: a small network, trained once on the labelled source and cached."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from ..data.values.windows import seen_as
from . import cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from polygan import Evaluation, Split

N = TypeVar("N", bound=nn.Module)
VERSION = 1  # of the network and its training; part of the cache's key
_SIDE = 64  # larger pictures are shrunk to this before the network sees them
_MOST = 20_000  # most pictures of a split that are used
_SEEN = 45_000  # pictures shown in training at most, counting repeats


class Classifier(nn.Module):
    """A convolutional network of about 140,000 parameters: pictures (n, C, H, W) in [-1, 1] to logits (n, classes).

    `features` gives the 96 numbers before the last layer: averages over the picture, like the features of a FID. A further
    hidden layer would forget the variety within a class. Any size works: more than 64 pixels are
    shrunk (bilinear, antialiased), more than 32 halved by the first convolution.
    """

    num_features = 96

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()

        self.body = body(channels, side, self.num_features)
        self.head = nn.Linear(self.num_features, classes)

    def features(self, x: Tensor) -> Tensor:
        """(n, 96) of pictures (n, C, H, W) in [-1, 1]."""
        return self.body(shrink(x))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes)."""
        return self.head(self.features(x))


def body(channels: int, side: int, features: int) -> nn.Sequential:
    """Convolutions and an average over the picture: (n, C, H, W) of any size to (n, features). ``side`` is the longer side.

    Each feature varies by about 1 over the training pictures.
    """

    def block(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    def halve() -> nn.Module:
        return nn.MaxPool2d(2, ceil_mode=True)

    return nn.Sequential(
        *block(channels, 24, 1 if side <= 32 else 2, 5),
        halve(),
        *block(24, 48),
        halve(),
        *block(48, features),
        *block(features, features),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.BatchNorm1d(features, affine=False),
    )


def shrink(x: Tensor) -> Tensor:
    """Pictures (n, C, H, W) of more than 64 pixels a side, shrunk to 64 (bilinear, antialiased); smaller pictures stay unchanged."""
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
def repeatable() -> Iterator[None]:
    """Gradients in full precision and without timing-dependent kernels, whatever the caller's context."""
    with (
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        torch.autocast("cuda", enabled=False),
        torch.autocast("cpu", enabled=False),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        yield


def measured_rows(split: Split) -> np.ndarray:
    """At most 20,000 rows of a split, in a random order that is always the same."""
    return np.random.default_rng(0).permutation(np.asarray(split.rows))[:_MOST]


def train_classifier(evaluation: Evaluation) -> Classifier:
    """The network after training on ``evaluation.train``: cross-entropy, AdamW, one cycle of the learning rate, shifts.

    At most 20,000 pictures and 45,000 views of them, so its time is bounded. The same split, machine and number
    of threads give the same network.
    """
    e, device = evaluation, evaluation.device
    rows = measured_rows(e.train)
    most = max(1, min(max(e.info["height"], e.info["width"]), _SIDE) // 14)

    def loss(taken: np.ndarray, generator: torch.Generator) -> Tensor:
        samples = e.domain.real(e.train, taken)
        assert samples.labels is not None
        x = _shift(shrink(samples.data), most, generator)
        logits = network(x.to(device, memory_format=torch.channels_last))
        return F.cross_entropy(logits, samples.labels.to(device))

    with repeatable():
        network = blank(e.info).to(device).to(memory_format=torch.channels_last).train().requires_grad_(True)
        fit(list(network.parameters()), rows, training_steps(len(rows)), loss, "training the classifier that scores")
    return finished(network)


def fit(
    weights: list[nn.Parameter],
    rows: np.ndarray,
    batch_and_steps: tuple[int, int],
    loss: Callable[[np.ndarray, torch.Generator], Tensor],
    what: str,
) -> None:
    """Minimise ``loss(rows of a batch, generator)`` by AdamW with one cycle of the learning rate, each row as often as the others."""
    batch, steps = batch_and_steps
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(weights, weight_decay=0.05, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    order = torch.empty(0, dtype=torch.int64)
    for _ in tqdm(range(steps), what, disable=None, leave=False):
        if len(order) < batch:
            order = torch.cat([order, torch.randperm(len(rows), generator=generator)])
        taken, order = order[:batch], order[batch:]
        value = loss(rows[taken.numpy()], generator)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        schedule.step()


def finished(network: N) -> N:
    """A trained network in the layout of one read from the cache, so that the scores of both agree to the bit."""
    return network.eval().requires_grad_(False).to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]


@torch.no_grad()
def extract(network: Classifier, data: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Features (n, 96) and predicted classes (n,) of pictures (n, C, H, W) in [-1, 1], on the CPU."""
    values, predicted = [], []
    for piece in data.split(256):
        features = network.features(shrink(piece.to(device, torch.float32)))
        values.append(features.cpu())
        predicted.append(network.head(features).argmax(1).cpu())
    return torch.cat(values), torch.cat(predicted)


def blank(info: Mapping[str, Any]) -> Classifier:
    """The untrained network of the data, in evaluation mode; no generator is advanced."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        network = Classifier(info["channels"], max(info["height"], info["width"]), len(info["classes"]))
    return network.eval().requires_grad_(False)


def cache_file(evaluation: Evaluation, kind: str = "classifier", version: int = VERSION) -> Path:
    """The cache's file of a kind of network, named by its version, the stored data and the training rows."""
    train = evaluation.train
    digest = hashlib.blake2b(f"{version} {train.store.key} ".encode(), digest_size=10)
    digest.update(np.ascontiguousarray(train.rows, dtype="<i8").tobytes())
    digest.update(seen_as(evaluation.info).encode())
    return evaluation.cache / f"image-{kind}-{digest.hexdigest()}.safetensors"


def load(path: Path, network: N) -> N | None:
    """``network`` with the weights of a file; None if the file is absent, damaged, not finite or of another network."""
    state = cache.read(path)
    if state is None or not all(bool(v.isfinite().all()) for v in state.values()):
        return None
    try:
        network.load_state_dict(state)
    except RuntimeError:
        return None
    return network
