"""Adaptive augmentation: a probability that follows how sure a discriminator is of its training samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class AdaptiveAugmentation(nn.Module):
    """The state of adaptive augmentation: buffers, which are saved, resumed to the bit and equal on all processes.

    Karras et al. 2020, "Training generative adversarial networks with limited data" (arXiv:2006.06676), section 3.1. ``p`` is the
    probability of each transformation; ``signs`` and ``count`` gather r_t since ``p`` moved last. The transformations belong to the
    domain. A recipe keeps this module as a network without a player.
    """

    p: Tensor
    signs: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("p", "signs", "count"):
            self.register_buffer(name, torch.zeros(()))

    def record(self, real_logits: Tensor) -> None:
        """Count the signs of logits of real samples, of any shape; their mean is r_t (Karras et al. 2020, eq. 1)."""
        self.signs += real_logits.detach().sign().float().mean()
        self.count += 1

    def adapt(self, move: float, target: float, limit: float = 1.0) -> Tensor:
        """Move p by ``move`` within [0, limit] so that r_t nears its target, reset the counts, and return a copy of p."""
        r_t = self.signs / self.count.clamp(min=1)
        self.p.add_(move * (r_t - target).sign()).clamp_(0, limit)
        self.signs.zero_()
        self.count.zero_()
        return self.p.clone()
