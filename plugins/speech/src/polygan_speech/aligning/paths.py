"""The best monotonic alignment, in numpy: one loop over frames for the whole batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from polygan_audio.networks.convolutions import wide


def best_paths(log_p: Tensor, frames: Tensor, tokens: Tensor) -> Tensor:
    """(B, F) int64: the symbol of each frame on the best alignment (Kim et al. 2020, "Glow-TTS", algorithm 1).

    ``log_p`` (B, F, S), ``frames`` and ``tokens`` (B,) as in `forward_sum`. Frames from ``frames`` on have the last symbol. This is
    the one place of a step that reads values; on the device ``meta`` there are none, and the result has the right shape.
    """
    if log_p.is_meta:
        return torch.empty(log_p.shape[:2], dtype=torch.int64, device=log_p.device)
    found = search(*(x.detach().cpu().numpy() for x in (wide(log_p), frames, tokens)))
    return torch.from_numpy(found).to(log_p.device)


def search(log_p: np.ndarray, frames: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """`best_paths` of arrays. Of alignments that are as good as each other, the one that stays longer on later symbols."""
    count, length, size = log_p.shape
    steps = np.ascontiguousarray(log_p.transpose(1, 0, 2))  # (F, B, S)
    moved = np.zeros((length, count, size), bool)  # whether the best way to a symbol comes from the symbol before
    best = np.full((count, size + 1), -np.inf, steps.dtype)
    best[:, 1] = steps[0, :, 0]
    stay, move = best[:, 1:], best[:, :-1]
    for t in range(1, length):
        np.greater(move, stay, out=moved[t])
        best[:, 1:] = np.maximum(stay, move) + steps[t]
    path = np.empty((length, count), np.int64)
    symbol = np.maximum(tokens.astype(np.int64) - 1, 0)
    rows = np.arange(count)
    for t in range(length - 1, -1, -1):
        path[t] = symbol
        symbol = symbol - (moved[t, rows, symbol] & (t < frames))
    return np.ascontiguousarray(path.T)


def spread(path: Tensor, frames: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """(B, F, S): 1 where a frame says a symbol; frames from ``frames`` (B,) on are 0. Its sum over frames is the durations."""
    said = path[:, :, None] == torch.arange(size, device=path.device)
    inside = torch.arange(path.shape[1], device=path.device) < frames[:, None]
    return (said & inside[:, :, None]).to(dtype)
