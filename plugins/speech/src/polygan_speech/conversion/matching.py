"""Frames of other speakers that sound alike: pairs for training, found without parallel recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from polygan_audio.networks.convolutions import wide

if TYPE_CHECKING:
    from .frames import Windows
    from .recogniser import Recogniser


@torch.no_grad()
def matched(recogniser: Recogniser, cut: Windows) -> tuple[Tensor, Tensor]:
    """For each frame of the windows the most similar frame of the batch's other speakers, (B, n_mels, W), and whether there are any, (B,).

    Similar is what the recogniser's features say by their cosine, each channel less its mean over the clip, which tells the speaker and the
    room. A network that makes the real windows from these frames learns from pairs that it will meet again: another's voice in, its own
    voice out (the nearest neighbours of INCA, Erro et al. 2010, section III, in the direction of the training).
    """
    steps = recogniser.steps(cut.counts)
    features = wide(recogniser(cut.clips, cut.counts)[0])  # (B, S, C)
    inside = torch.arange(features.shape[1], device=steps.device) < steps[:, None]  # (B, S)
    mean = (features * inside[..., None]).sum(1, keepdim=True) / steps[:, None, None]
    features = F.normalize(features - mean, dim=2)
    wanted = features.gather(1, (cut.frames // 2)[..., None].expand(-1, -1, features.shape[2]))  # (B, W, C)
    near = wanted @ features.flatten(0, 1).T  # (B, W, B * S)
    others = (cut.label[:, None] != cut.label)[..., None] & inside  # (B, B, S)
    best = near.masked_fill(~others.flatten(1)[:, None], -torch.inf).argmax(2)  # (B, W)
    clip, frame = best // features.shape[1], 2 * (best % features.shape[1]) + cut.frames % 2
    frame = torch.minimum(frame, cut.counts[clip] - 1)
    return cut.clips.transpose(1, 2)[clip, frame].transpose(1, 2), others.flatten(1).any(1)
