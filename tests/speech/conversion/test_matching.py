"""Frames of other speakers that sound alike, on features that are known."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import batch, conversion, trainer

from polygan_speech.conversion.envelope import WARPS, Perturbation
from polygan_speech.conversion.frames import Windows, windows
from polygan_speech.conversion.matching import matched

LABELS = torch.tensor([0, 1, 0, 1])
COUNTS = torch.tensor([9, 6, 4, 10])


class Sounds(nn.Module):
    """A recogniser whose features say which of five sounds every second frame is."""

    def __init__(self, sounds):
        super().__init__()
        self.sounds = sounds  # (B, S) int64

    @staticmethod
    def steps(frames):
        return (frames + 1) // 2

    def forward(self, mel, frames):
        return torch.eye(5)[self.sounds] + 3, None  # the 3: what a speaker and a room add to all


def hearing(sounds) -> Any:
    return Sounds(sounds)


def cut_of(index):
    """Windows of frames ``index`` (B, W) of clips whose mel tells clip and frame."""
    clips = (100 * torch.arange(4.0)[:, None] + torch.arange(10.0))[:, None].expand(-1, 3, -1)
    mel = clips.gather(2, index[:, None].expand(-1, 3, -1))
    return Windows(mel, torch.zeros(index.shape), LABELS, index, clips, COUNTS)


def test_a_frame_is_replaced_by_the_same_sound_of_another_speaker_in_the_same_half():
    sounds = torch.tensor([[0, 1, 2, 3, 4], [4, 2, 0, 1, 1], [3, 1, 0, 0, 0], [1, 3, 1, 4, 0]])
    index = torch.tensor([[0, 1, 4, 5], [0, 1, 2, 3], [0, 1, 0, 1], [2, 3, 6, 7]])
    frames, able = matched(hearing(sounds), cut_of(index))
    assert able.all()
    # Clip 0 begins with sound 0 (in clip 1 at step 2, or in clip 3 at step 4), then has sound 2 (clip 1, step 1).
    assert frames[0, 0, 2:].tolist() == [102, 103]
    assert frames[0, 0, :2].tolist() in ([104, 105], [308, 309])
    assert frames[1, 0].tolist() == [
        8,
        8,
        4,
        5,
    ]  # clip 0 ends with frame 8: the second half of its last step is the first again
    assert frames[2, 0].tolist() == [302, 303, 302, 303]
    assert frames[3, 0, :2].tolist() in ([6, 7], [200, 201])


def test_what_lies_behind_the_end_of_a_clip_is_never_taken():
    sounds = torch.tensor([[0, 0, 0, 0, 0], [1, 1, 2, 0, 0], [0, 0, 0, 0, 0], [1, 3, 1, 4, 2]])
    frames, _ = matched(hearing(sounds), cut_of(torch.tensor([[0, 1]] * 4)))
    assert (frames[1] // 100 % 2 == 0).all()
    assert ((frames[0] - 100 < 6) | (frames[0] >= 300)).all()  # sound 0 of clip 1 lies behind its six frames


def test_one_speaker_alone_has_nobody_to_match():
    cut = cut_of(torch.zeros(4, 3, dtype=torch.long))._replace(label=torch.tensor([0, 0, 0, 0]))
    frames, able = matched(hearing(torch.zeros(4, 5, dtype=torch.long)), cut)
    assert not able.any()
    assert frames.isfinite().all()


def test_a_perturbation_is_taken_back_for_some_samples_only():
    change = Perturbation(torch.tensor([0, 3, 16]), torch.ones(3, 8))
    rows = torch.tensor([True, False, True])
    without = change.without(rows)
    assert without.warp.tolist() == [WARPS // 2, 3, WARPS // 2]
    assert without.shades[:, 0].tolist() == [0, 1, 0]


def test_the_identity_term_sees_frames_of_others_once_the_recogniser_has_learned():
    given = batch()

    def share(step, matched):
        recipe = conversion(mask=0.0, matched=matched)
        ctx = trainer(recipe, given).context
        ctx.step, others = step, 0
        for draw in range(20):
            ctx.noise.reset(draw)
            cut = windows(recipe.mel, given, 16, ctx.noise)
            mel = recipe._given(ctx, cut)[0]
            others += sum(not torch.equal(a, b) for a, b in zip(mel, cut.mel, strict=True))
        return others / 80

    assert share(2, 1.0) == 0
    assert share(3, 1.0) == 1
    assert share(3, 0.0) == 0
    assert 0.3 < share(3, 0.5) < 0.7
