"""Evaluations of vocoders with known faults, on voices that are made up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from polygan import Evaluation, Samples, Sides
from polygan.game.recipe import NoOptions
from polygan_audio.networks.melspec import resolve

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

    def __init__(self, clips, rate=RATE, labels=None, **extra):
        self.clips, self.rate, self.extra, self.asked = clips, rate, extra, 0
        self.labels = None if labels is None else torch.tensor(labels)

    def real(self, split, rows):
        self.asked += len(rows)
        extra = {k: [v[r] for r in rows] for k, v in self.extra.items()}
        labels = None if self.labels is None else self.labels[torch.from_numpy(np.asarray(rows))]
        return Samples([self.clips[r] for r in rows], self, labels, extra={"sample_rate": self.rate, **extra})

    def complete(self, made, given, info):
        return made


class Vocoder:
    """A recipe that makes of recordings what ``fault`` makes of each; with the networks of the start, what ``start`` makes."""

    domain = given = "audio"
    invents = False
    Sampling = NoOptions
    start = None

    def sides(self, options):
        return None

    def __init__(self, fault, mel=SPEC):
        self.fault, self.mel, self.calls, self.info = fault, mel, 0, {}

    def generate(self, networks, request):
        self.calls += 1
        assert request.n == len(request.given)
        fault = self.start if "start" in networks else self.fault
        return Samples([fault(clip) for clip in request.given.data], extra=request.given.extra)


class Speaker(Vocoder):
    """A recipe whose clips need not keep the time, as speech from text."""

    keeps_time = False
    given = "sentence"


class Converter(Vocoder):
    """A recipe that makes the voice ``a`` into the voice ``b``."""

    keeps_time = False

    def sides(self, options):
        return Sides("a", "b")


def split(rows, store=None):
    """Rows of made-up clips, which come from files of their numbers."""
    return SimpleNamespace(rows=rows, store=store, origins=lambda some: [f"{row}.wav" for row in some])


def evaluation(
    fault=lambda clip: clip,
    clips=None,
    rate=RATE,
    mel=SPEC,
    samples=1000,
    rows=None,
    kept=None,
    recipe=Vocoder,
    **extra,
):
    clips = [voice(seed=i) for i in range(2)] if clips is None else clips
    begun = {"start": torch.nn.Linear(1, 1)} if recipe.start else None
    domain = Domain(clips, rate, **extra)
    rows = np.arange(len(clips)) if rows is None else rows
    held_out = split(rows)
    return Evaluation(
        domain=domain,
        info={},
        train=None,
        held_out=held_out,
        recipe=recipe(fault, mel),
        networks={},
        cache=Path(),
        device=torch.device("cpu"),
        samples=samples,
        start=lambda: begun,
        kept={} if kept is None else kept,
    )


def conversion(fault, clips, voices):
    """An evaluation of a `Converter`; ``voices`` has the letter a or b of each clip."""
    labels = torch.tensor(["ab".index(voice) for voice in voices])
    e = evaluation(fault, clips, recipe=Converter, labels=labels.tolist())
    store = SimpleNamespace(gather=lambda name, rows: labels[rows], info={"classes": ["a", "b"]})
    rows = np.arange(len(clips))
    e.splits = {"held_out": split(rows, store)}
    e.held_out = split(rows[labels.numpy() == 1], store)
    return e


def by_name(found):
    return {s.name: s for s in found}
