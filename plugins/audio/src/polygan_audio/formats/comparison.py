"""What every export is checked by: the same mels go through torch and through what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan.graphs import agree as agree_within

from ..networks.convolutions import fold

if TYPE_CHECKING:
    from pathlib import Path

    from ..networks.melspec import MelSpec

EXTRA = "polygan-audio[onnx]"
"""What brings the packages of ONNX."""
TOLERANCE = 1e-5
"""Largest difference of a sample between torch and what was written, relative to the loudest beyond full scale."""
ROUGH = 0.01
"""Largest root mean square of differences after Griffin and Lim's iterations, relative to that of the sound."""
_SIZES = (2, 30), (1, 11)  # batch and frames that are compared


def folded(generator: nn.Module) -> Any:
    """A copy on the CPU, in float32 and evaluation mode, without weight norm."""
    folded: Any = fold(generator).cpu().float().eval()
    folded.planar = False
    return folded


def trial_mels(spec: MelSpec) -> list[Tensor]:
    """Log-mels of noise, a batch of two and a batch of one; bands vary as those of sound do."""
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(batch, spec.n_mels, frames, generator=draw) for batch, frames in _SIZES]


def agree(ours: Tensor, theirs: Tensor, path: Path, *, iterations: int = 0) -> None:
    """CheckpointError where samples differ by more than `TOLERANCE`.

    Through Griffin and Lim's iterations a difference in the last digit grows a few times in each: after them the root mean
    square of all differences counts, and may be `ROUGH` of that of the sound.
    """
    most = TOLERANCE * max(1.0, float(ours.abs().max()))
    if iterations and ours.shape == theirs.shape:
        most = ROUGH * float(ours.square().mean().sqrt())
        ours, theirs = (ours - theirs).square().mean().sqrt(), ours.new_zeros(())
    agree_within(ours, theirs, path, "samples", most)
