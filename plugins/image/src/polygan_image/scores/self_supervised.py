"""A feature network for pictures without labels: a small network that learns to find a picture again in two different crops.

SimCLR: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations" (arXiv:2002.05709). Pictures are
neither mirrored, blurred nor made grey, and colours change little: a network forgets what its views differ in, and a score must
see these faults. A network of the data's own domain sees more there than one of photographs (Naeem et al. 2020, section 5).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from .classifier import body, finished, fit, measured_rows, repeatable, shrink

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from torch import Tensor

    from polygan import Evaluation

VERSION = 1  # of the network and its training; part of the cache's key
_TEMPERATURE = 0.2
_SMALLEST = 0.5  # least share of a picture's area in a crop
_SETTLED = 2048  # pictures that give the final statistics of the normalisations
_JITTER = 0.1  # most change of contrast, brightness and of a channel's brightness, in the units of pictures in [-1, 1]


class SelfSupervised(nn.Module):
    """The classifier's body without classes: pictures (n, C, H, W) of any size in [-1, 1] to 96 features."""

    num_features = 96

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.body = body(channels, side, self.num_features)

    def features(self, x: Tensor) -> Tensor:
        """(n, 96) of pictures (n, C, H, W) in [-1, 1]."""
        return self.body(shrink(x))

    forward = features


def training_steps(count: int) -> tuple[int, int]:
    """(batch size, steps) for ``count`` pictures: 3 epochs, but between 3,000 and 12,000 pictures seen, in at most 400 steps."""
    batch = min(128, count)
    return batch, min(400, -(-min(max(3 * count, 3_000), 12_000) // batch))


def view(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture (n, C, H, W) as a random crop of at least half its area, resized to the whole, with slightly other colours."""

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(*shape, generator=generator) - 1

    n, channels = x.shape[:2]
    area = 1 - (1 - _SMALLEST) * (uniform(n) + 1) / 2
    aspect = torch.exp(uniform(n) * math.log(4 / 3) / 2)
    width, height = (area.sqrt() * aspect).clamp(max=1), (area.sqrt() / aspect).clamp(max=1)
    across, down, zero = uniform(n) * (1 - width), uniform(n) * (1 - height), torch.zeros(n)
    rows = [torch.stack([width, zero, across], 1), torch.stack([zero, height, down], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [*x.shape], align_corners=False)
    cropped = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    contrast = 1 + _JITTER * (uniform(n, 1, 1, 1) + uniform(n, channels, 1, 1) / 2)
    return cropped * contrast + _JITTER * (uniform(n, 1, 1, 1) + uniform(n, channels, 1, 1) / 2)


def contrast_loss(a: Tensor, b: Tensor) -> Tensor:
    """Mean cross-entropy of finding a picture's other view among all views of a batch (Chen et al. 2020, eq. 1).

    ``a`` and ``b`` (n, d) are two views of the same n pictures, in the same order. Their lengths do not matter.
    """
    n, z = len(a), F.normalize(torch.cat([a, b]), dim=1)
    likeness = (z @ z.T / _TEMPERATURE).fill_diagonal_(-math.inf)  # (2n, 2n); no view is its own other view
    return F.cross_entropy(likeness, (torch.arange(2 * n, device=z.device) + n) % (2 * n))


def train(evaluation: Evaluation) -> SelfSupervised:
    """The network after training on ``evaluation.train``: contrastive loss of two views, AdamW, one cycle of the learning rate.

    At most 12,000 pictures are shown twice, so training takes about half a minute of one core at 64 pixels. The same split,
    machine and number of threads give the same network.
    """
    e, device = evaluation, evaluation.device
    rows = measured_rows(e.train)

    def loss(taken: np.ndarray, generator: torch.Generator) -> Tensor:
        x = shrink(e.domain.real(e.train, taken).data.float())
        views = torch.cat([view(x, generator), view(x, generator)])
        projected = head(network(views.to(device, memory_format=torch.channels_last)))
        return contrast_loss(*projected.chunk(2))

    with repeatable():
        network = blank(e.info).to(device).to(memory_format=torch.channels_last).train().requires_grad_(True)
        head = _head().to(device)
        weights = [*network.parameters(), *head.parameters()]
        fit(weights, rows, training_steps(len(rows)), loss, "training the feature network that scores")
        _settle(network, e, rows)
    return finished(network)


@torch.no_grad()
def _settle(network: SelfSupervised, e: Evaluation, rows: np.ndarray) -> None:
    """Take the statistics of the normalisations from whole pictures: so far they come from crops and from earlier weights."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean over batches
    for start in range(0, min(len(rows), _SETTLED), 256):
        taken = rows[start : start + 256]
        if len(taken) >= min(len(rows), 32):  # a small remainder would count as much as a whole batch
            network(e.domain.real(e.train, taken).data.to(e.device, torch.float32))


@torch.no_grad()
def extract(network: SelfSupervised, data: Tensor, device: torch.device) -> Tensor:
    """Features (n, 96) of pictures (n, C, H, W) in [-1, 1], on the CPU."""
    return torch.cat([network.features(shrink(p.to(device, torch.float32))).cpu() for p in data.split(256)])


def blank(info: Mapping[str, Any]) -> SelfSupervised:
    """The untrained network of the data, in evaluation mode; no generator is advanced."""
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(0)
        network = SelfSupervised(info["channels"], max(info["height"], info["width"]))
    return network.eval().requires_grad_(False)


def _head() -> nn.Module:
    """The projection that only training needs: features before the head keep more of the picture (section 4.2)."""
    width = SelfSupervised.num_features
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(1)
        return nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, 64))
