"""What metrics compare: made once an evaluation, bounded, and refused where there is none."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_evaluations import SPEC, by_name, evaluation, noisy, voice

from polygan import ConfigError, DataError
from polygan_audio.scores import metrics, resynthesis


def test_a_resynthesis_is_made_once_and_recordings_once_a_run(monkeypatch):
    count = []
    monkeypatch.setattr(
        resynthesis, "griffin_lim", lambda spec, mel, length: count.append(length) or torch.zeros(length)
    )
    e = evaluation()
    metrics.mel_distance(e)
    metrics.stft_distance(e)
    assert (e.recipe.calls, e.domain.asked, len(count)) == (1, 2, 2)
    later = evaluation(lambda c: noisy(c, 0.1), clips=e.domain.clips, kept=e.kept)  # the next evaluation of the run
    assert by_name(metrics.mel_distance(later))["audio/mel-distance"].value > 0.1
    assert (later.recipe.calls, later.domain.asked, len(count)) == (1, 0, 2)
    changed = evaluation(mel=replace(SPEC, fmax=4000.0), kept=e.kept)
    metrics.mel_distance(changed)
    assert (changed.domain.asked, len(count)) == (2, 4)


def test_recordings_are_bounded_and_short_ones_are_left_out(monkeypatch):
    clips = [voice(0.05), *(voice(0.5, seed=i) for i in range(5))]
    monkeypatch.setattr(resynthesis, "MOST_SECONDS", 1.2)
    found = resynthesis.recordings_of(evaluation(clips=clips, rows=np.array([3, 0, 1, 2, 4, 5])), SPEC)
    assert found.short == 1
    assert [c is clips[i] for c, i in zip(found.clips, (3, 1), strict=True)] == [True, True]
    assert len(resynthesis.recordings_of(evaluation(clips=clips, samples=1, rows=np.array([3, 1])), SPEC).clips) == 1
    monkeypatch.setattr(resynthesis, "MOST_SECONDS", 0.1)
    assert len(resynthesis.recordings_of(evaluation(clips=clips), SPEC).clips) == 1
    with pytest.raises(DataError, match="of 1 held-out clips none has the 2048 samples"):
        metrics.mel_distance(evaluation(clips=clips[:1]))
    with pytest.raises(DataError, match="of 0 held-out clips"):
        metrics.mel_distance(evaluation(clips=[]))


def test_recipes_that_are_no_vocoders_or_break_the_protocol_are_told():
    e = evaluation()
    e.recipe = SimpleNamespace(domain="audio", given=None, mel=SPEC)
    with pytest.raises(DataError, match="for vocoders"):
        metrics.mel_distance(e)
    e.recipe = SimpleNamespace(domain="audio", given="audio")
    with pytest.raises(DataError, match="for vocoders"):
        metrics.mcd(e)
    with pytest.raises(ConfigError, match="keep the order, the number and the lengths"):
        metrics.mel_distance(evaluation(lambda clip: clip[:-1]))
