"""The sum over all monotonic alignments of frames and symbols, with its gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor


def forward_sum(log_p: Tensor, frames: Tensor, tokens: Tensor) -> Tensor:
    """-ln of the sum over all alignments of the product of probabilities, (B,) in nats (Badlani et al. 2021, eq. 4).

    ``log_p`` (B, F, S): logarithm of the probability that a frame says a symbol. An alignment begins at the first symbol, ends
    at the last one, and stays or goes on by one from frame to frame. The paper sums with CTC, whose blanks are alignments too;
    here there are none. ``frames``, ``tokens`` (B,): how many count. A clip with more symbols than frames has no alignment: its
    value and gradient are 0.
    """
    return _ForwardSum.apply(log_p, frames, tokens)  # pyright: ignore[reportReturnType]


@torch.no_grad()
def posteriors(log_p: Tensor, frames: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """ln of the sum over all alignments (B,), and how much of the sum has frame f say symbol s (B, F, S): each frame's add up to 1.

    Shapes as in `forward_sum`. Both are 0 for a clip without an alignment, and the posteriors are 0 in padding.
    """
    count, length, size = log_p.shape
    log_p = log_p if log_p.dtype == torch.float64 else log_p.float()
    # The backward recursion is the forward one of the clip from its end to its beginning; they run side by side.
    back_f = (frames[:, None] - 1 - torch.arange(length, device=log_p.device)).clamp(min=0)
    back_s = (tokens[:, None] - 1 - torch.arange(size, device=log_p.device)).clamp(min=0)
    sums = _sums(torch.cat([log_p, _turned(log_p, back_f, back_s)]))  # (2 B, F, S)
    ahead, behind = sums[:count], _turned(sums[count:], back_f, back_s)
    last_f, last_s = ((n - 1).clamp(min=0) for n in (frames, tokens))
    rows = torch.arange(count, device=log_p.device)
    total = ahead[rows, last_f, last_s]
    possible = total.isfinite() & (frames > 0) & (tokens > 0)
    inside = torch.arange(length, device=log_p.device)[:, None] < frames[:, None, None]
    inside = inside & (torch.arange(size, device=log_p.device) < tokens[:, None, None])
    share = (ahead + behind - log_p - total[:, None, None]).exp()
    return torch.where(possible, total, 0.0), torch.where(inside & possible[:, None, None], share, 0.0)


class _ForwardSum(torch.autograd.Function):
    """The gradient is what frames say of symbols in all alignments."""

    @staticmethod
    def forward(ctx: Any, log_p: Tensor, frames: Tensor, tokens: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        total, share = posteriors(log_p, frames, tokens)
        ctx.save_for_backward(share)
        return -total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (share,) = ctx.saved_tensors
        return -share * grad[:, None, None], None, None


def _turned(values: Tensor, back_f: Tensor, back_s: Tensor) -> Tensor:
    """(B, F, S) with the frames and the symbols that count in reverse order."""
    rows = torch.arange(len(values), device=values.device)[:, None, None]
    return values[rows, back_f[:, :, None], back_s[:, None, :]]


def _sums(log_p: Tensor) -> Tensor:
    """ln of the sum over all beginnings of alignments that end at each frame and symbol, (B, F, S)."""
    steps = log_p.transpose(0, 1).contiguous()  # (F, B, S)
    length, count, size = steps.shape
    # A column in front of the first symbol, which no alignment comes from.
    sums = torch.full((length, count, size + 1), -math.inf, dtype=steps.dtype, device=steps.device)
    sums[0, :, 1] = steps[0, :, 0]
    rows, here = sums.unbind(), steps.unbind()
    for t in range(1, length):
        before = rows[t - 1]
        torch.add(torch.logaddexp(before[:, 1:], before[:, :-1]), here[t], out=rows[t][:, 1:])
    return sums[:, :, 1:].transpose(0, 1)
