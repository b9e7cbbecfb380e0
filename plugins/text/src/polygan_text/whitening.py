"""How large advantages are by and large: the scale of a policy gradient."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DECAY = 0.99


class Whitening(nn.Module):
    """A running mean square of advantages. A batch whose rewards say little is then quieter than other batches."""

    square: Tensor
    """Decaying sum of the mean squares of batches, times 1 - decay."""
    weight: Tensor
    """The same sum of ones, so that the mean is right from the first batch on (Kingma and Ba 2015, section 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("square", torch.zeros(()))
        self.register_buffer("weight", torch.zeros(()))

    @torch.no_grad()
    def follow(self, square: Tensor) -> Tensor:
        """The running mean after the mean square of one more batch; both are scalars."""
        self.square.lerp_(square, 1 - _DECAY)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - _DECAY)
        return self.square / self.weight
