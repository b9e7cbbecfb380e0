"""Whether made pictures show what their label maps ask for: a small network names the class of each pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from polygan import DataError

from .. import cache
from ..classifier import cache_file, finished, fit, load, measured_rows, repeatable
from .compared import Compared, compare

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from polygan import Evaluation, Score

VERSION = 1  # of the network and its training; part of the cache's key
_WIDTH = 48
_PIXELS = 50_000_000  # most pixels that training sees
_ROWS = 16
_NAME = "image/label-agreement"


class Segmenter(nn.Module):
    """Pictures (n, C, H, W) in [-1, 1] to logits (n, classes, H, W), about 100,000 parameters; any size.

    Convolutions at half the size, whose dilation grows to 8: the class of a pixel depends on about 65 pixels a side.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()

        def block(inputs: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
            convolution = nn.Conv2d(inputs, _WIDTH, 3, stride, dilation, dilation, bias=False)
            return [convolution, nn.BatchNorm2d(_WIDTH), nn.ReLU(inplace=True)]

        dilated = [layer for dilation in (1, 2, 4, 8) for layer in block(_WIDTH, 1, dilation)]
        self.body = nn.Sequential(*block(channels, 2), *dilated, nn.Conv2d(_WIDTH, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes, H, W)."""
        return F.interpolate(self.body(x), size=x.shape[2:], mode="bilinear", align_corners=False)


def blank(channels: int, classes: int) -> Segmenter:
    """The untrained network in evaluation mode; no generator is advanced."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        network = Segmenter(channels, classes)
    return network.eval().requires_grad_(False)


def training_steps(count: int, pixels: int) -> tuple[int, int]:
    """(batch size, steps) for ``count`` pictures of so many pixels: about 6,000 pictures, 50 million pixels at most, 100 steps at least."""
    batch = max(1, min(16, count, _PIXELS // (100 * pixels)))
    return batch, max(100, min(6_000, _PIXELS // pixels) // batch)


def train(evaluation: Evaluation) -> Segmenter:
    """The network after training on real pictures and their label maps: cross-entropy over pixels, AdamW, half of the pictures mirrored."""
    e, info = evaluation, evaluation.info

    def loss(taken: np.ndarray, generator: torch.Generator) -> Tensor:
        x, maps = e.domain.real(e.train, taken).data.float(), e.domain.given(e.train, taken).data
        flipped = (torch.rand(len(x), generator=generator) < 0.5)[:, None, None, None]
        x, maps = (torch.where(flipped, values.flip(3), values).to(e.device) for values in (x, maps))
        return F.cross_entropy(network(x.contiguous(memory_format=torch.channels_last)), maps.argmax(1))

    rows = measured_rows(e.train)
    with repeatable():
        network = blank(info["channels"], info["given"]["channels"]).to(e.device)
        network = network.to(memory_format=torch.channels_last).train().requires_grad_(True)
        steps = training_steps(len(rows), info["height"] * info["width"])
        fit(list(network.parameters()), rows, steps, loss, "training the network that names the classes of pixels")
    return finished(network)


@torch.no_grad()
def confusion(network: Segmenter, images: Tensor, maps: Tensor) -> Tensor:
    """(classes, classes) int64: pixels of each true class (rows) that the network puts into each class (columns).

    ``images`` (n, C, H, W) in [-1, 1] lie on the CPU, as do the one-hot ``maps`` (n, classes, H, W).
    """
    classes = maps.shape[1]
    counts = torch.zeros(classes**2, dtype=torch.int64)
    device = next(network.parameters()).device
    for x, y in zip(images.split(_ROWS), maps.split(_ROWS), strict=True):
        named = network(x.to(device)).argmax(1).cpu()
        counts += torch.bincount((y.argmax(1) * classes + named).flatten(), minlength=classes**2)
    return counts.view(classes, classes)


def accuracy(counts: Tensor) -> float:
    """Share of the pixels in their own class."""
    return float(counts.diagonal().sum() / counts.sum())


def intersection(counts: Tensor) -> float:
    """Mean over the classes that occur of the pixels that are in the class and named so, of those that are in it or named so."""
    right, true, named = counts.diagonal(), counts.sum(1), counts.sum(0)
    return float((right / (true + named - right).clamp(min=1))[true > 0].double().mean())


def label_agreement(evaluation: Evaluation) -> list[Score]:
    """``image/label-agreement`` and ``image/label-iou``: pixels whose class a small network finds in the made picture.

    The network learns from the real training pictures; the floor is its result on the real held-out pictures. Isola et al. 2017
    (section 4, "FCN-score") ask a network that was trained elsewhere. DataError where label maps were not given.
    """
    e, compared = evaluation, Compared.of(evaluation)
    if "values" not in e.info.get("given", {}):
        raise DataError("the score asks for the classes of label maps, and the given pictures of this run are none")
    path = cache_file(e, "segmenter", VERSION)
    network = e.once(("image/segmenter", path, str(e.device)), lambda: _network(e, path))
    measures = (
        (_NAME, accuracy, "share of pixels in their class"),
        ("image/label-iou", intersection, "mean over classes of intersection over union"),
    )
    real = e.once(
        ("image/segments of real", path, compared.n), lambda: confusion(network, compared.truth, compared.given)
    )
    found: dict[int, Tensor] = {}

    def counted(answer: Tensor) -> Tensor:
        if id(answer) not in found:  # both scores look at the same answers
            found[id(answer)] = confusion(network, answer, compared.given)
        return found[id(answer)]

    what = "by a small network trained on real pictures"
    return [
        compare(e, name, lambda _, made, of=of: of(counted(made)), f"{text}, {what}", better="higher", floor=of(real))
        for name, of, text in measures
    ]


def _network(e: Evaluation, path: Path) -> Segmenter:
    known = load(path, blank(e.info["channels"], e.info["given"]["channels"]).to(e.device))
    if known is not None:
        return known
    network = train(e)
    cache.write(path, network.state_dict(), "the network that names the classes of pixels is")
    return network
