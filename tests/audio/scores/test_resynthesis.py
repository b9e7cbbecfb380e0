"""What metrics compare: made once an evaluation, bounded, and refused where there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from polygan import ConfigError, DataError, Evaluation, Samples
from polygan.game.recipe import NoOptions
from polygan_audio.networks.melspec import resolve
from polygan_audio.scores import metrics, resynthesis

RATE = 16_000
SPEC = resolve("hifigan", RATE)


def voice(seconds=1.5, seed=0, rate=RATE):
    """Something that measures of speech take for it: a buzz of gliding pitch through moving formants, in syllables."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    buzz = np.zeros_like(t)
    formant = 900 + 500 * np.sin(2 * np.pi * 2.3 * t + rng.uniform(0, 6))
    for k in range(1, 25):
        height = np.exp(-(((k * pitch - formant) / 400) ** 2)) + 0.3 * np.exp(-(((k * pitch - 2400) / 500) ** 2))
        buzz += height * np.sin(k * phase)
    envelope = np.clip(np.sin(2 * np.pi * 3.1 * t + rng.uniform(0, 6)), 0.0, 1) ** 0.5
    sound = buzz * envelope + 1e-3 * rng.normal(size=len(t))
    return torch.from_numpy(0.6 * sound / np.abs(sound).max()).float()


def noisy(clip, level, seed=0):
    return clip + level * torch.randn(len(clip), generator=torch.Generator().manual_seed(seed))


class Domain:
    """Hands out clips by row."""

    def __init__(self, clips, rate=RATE, **extra):
        self.clips, self.rate, self.extra, self.asked = clips, rate, extra, 0

    def real(self, split, rows):
        self.asked += len(rows)
        extra = {k: [v[r] for r in rows] for k, v in self.extra.items()}
        return Samples([self.clips[r] for r in rows], self, extra={"sample_rate": self.rate, **extra})


class Vocoder:
    """A recipe that makes of recordings what ``fault`` makes of each."""

    domain = given = "audio"
    invents = False
    Sampling = NoOptions

    def __init__(self, fault, mel=SPEC):
        self.fault, self.mel, self.calls = fault, mel, 0

    def generate(self, networks, request):
        self.calls += 1
        assert request.n == len(request.given)
        return Samples([self.fault(clip) for clip in request.given.data], extra=request.given.extra)


def evaluation(fault=lambda clip: clip, clips=None, rate=RATE, mel=SPEC, samples=1000, rows=None, kept=None, **extra):
    clips = [voice(seed=i) for i in range(2)] if clips is None else clips
    domain = Domain(clips, rate, **extra)
    rows = np.arange(len(clips)) if rows is None else rows
    held_out = SimpleNamespace(rows=rows)
    return Evaluation(
        domain=domain,
        info={},
        train=None,
        held_out=held_out,
        recipe=Vocoder(fault, mel),
        networks={},
        cache=Path(),
        device=torch.device("cpu"),
        samples=samples,
        kept={} if kept is None else kept,
    )


def by_name(found):
    return {s.name: s for s in found}


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
