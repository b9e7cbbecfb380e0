"""Mels of padded clips, windows of their frames, and masks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import batch, conversion

from polygan import Noise
from polygan_speech.conversion.frames import frame_counts, kept_frames, log_mels, windows
from polygan_speech.conversion.pitch import pitch_of

SPEC = conversion().mel


def test_the_frames_of_a_clip_do_not_depend_on_the_clips_beside_it():
    together = batch()
    mels = log_mels(SPEC, together["waveform"])
    for i, length in enumerate(together["waveform_length"].tolist()):
        alone = log_mels(SPEC, together["waveform"][i : i + 1, :length])
        frames = length // SPEC.hop_length
        assert torch.allclose(mels[i, :, :frames], alone[0, :, :frames], atol=1e-5)


def test_windows_are_frames_of_their_clips_with_their_pitch():
    given = batch(lengths=(2000, 1500, 640, 2600))
    found = windows(SPEC, given, 12, Noise().reset(3))
    mels, counts = log_mels(SPEC, given["waveform"]), frame_counts(SPEC, given["waveform_length"])
    assert torch.equal(found.label, given["label"])
    starts = set()
    for i, count in enumerate(counts.tolist()):
        near = [(found.mel[i, :, 0] - mels[i, :, k]).abs().max() for k in range(count)]
        start = int(torch.stack(near).argmin())
        index = (start + torch.arange(12)) % count
        assert torch.equal(found.mel[i], mels[i][:, index])
        assert start + 12 <= count or count < 12
        assert torch.equal(found.pitch[i], pitch_of(given["waveform"][i : i + 1], SPEC, index[None])[0])
        starts.add(start)
    assert len(starts) > 1
    assert int(counts[2]) == 10, "the third clip is shorter than the window and is repeated"


def test_windows_reach_both_ends_of_a_clip():
    given = {k: v[:1] for k, v in batch().items()}
    mels, seen = log_mels(SPEC, given["waveform"]), set()
    for seed in range(60):
        cut = windows(SPEC, given, 28, Noise().reset(seed)).mel[0, :, 0]
        seen.add(int(torch.stack([(cut - mels[0, :, k]).abs().max() for k in range(31)]).argmin()))
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("most", [0.25, 0.5])
def test_masks_hide_one_stretch_of_at_most_the_share(most):
    frames = torch.full((200,), 40)
    kept = kept_frames(Noise().reset(1), frames, 50, most)
    hidden = (1 - kept).sum(1)
    assert hidden.max() <= most * 40
    assert hidden.max() > most * 40 - 3
    assert (kept[:, 40:] == 1).all()
    assert (kept.diff(dim=1).abs().sum(1) <= 2).all()
