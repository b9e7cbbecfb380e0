"""Evaluations of recipes that make short sounds from noise, with known faults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from polygan import Evaluation, Samples
from polygan_audio.data.one_shots import one_shot

RATE, LENGTH = 8000, 4096
TIME = np.arange(LENGTH) / RATE


def shot(name, seed):
    """A made-up drum or note (LENGTH,)."""
    sound = one_shot(name, np.random.default_rng(seed), TIME, RATE)
    return torch.from_numpy(0.8 * sound / np.abs(sound).max()).float()


class Part:
    """A split by its name and rows."""

    def __init__(self, name, rows):
        self.name, self.rows = name, np.array(rows)

    def __len__(self):
        return len(self.rows)


class Domain:
    """Hands out clips and labels by row."""

    def __init__(self, clips, labels, classes):
        self.clips, self.labels, self.classes = clips, labels, classes

    def real(self, split, rows):
        labels = None if self.labels is None else torch.tensor([self.labels[r] for r in rows])
        data = [self.clips[r] for r in rows]
        return Samples(data, self, labels, self.classes, extra={"sample_rate": RATE})

    def complete(self, made, given, info):
        return made


@dataclass(frozen=True)
class Sampling:
    label: int | None = None


class Maker:
    """A recipe whose sounds are ``make(label, seed)``."""

    domain, given, invents, Sampling = "audio", None, False, Sampling

    def __init__(self, make, classes):
        self.make, self.classes, self.info, self.asked = make, classes, {}, []

    def preview(self):
        return 1, Sampling()

    def generate(self, networks, request):
        label = request.options.label
        self.asked.append((label, request.n))
        seed = int(request.noise.integers(10_000, 1)[0])
        labels = [i % max(1, len(self.classes)) if label is None else label for i in range(request.n)]
        data = [self.make(c, 100_000 + seed * 50 + i) for i, c in enumerate(labels)]
        return Samples(data, labels=torch.tensor(labels) if self.classes else None, classes=self.classes)


def evaluation(make, classes=("hat", "kick", "snare"), each=(12, 6), real=None, labelled=True, options=None, kept=None):
    """``each``: training and held-out sounds of each class; ``real(label, seed)`` makes them."""
    real = real or (lambda label, seed: shot(classes[label], seed))
    train, held_out = each
    labels = [c for c in range(max(1, len(classes))) for _ in range(train + held_out)]
    clips = [real(c, i) for i, c in enumerate(labels)]
    is_train = [i % (train + held_out) < train for i in range(len(labels))]
    rows = [[i for i, t in enumerate(is_train) if t == wanted] for wanted in (True, False)]
    return Evaluation(
        domain=Domain(clips, labels if labelled else None, classes),
        info={"sample_rate": RATE, "segment": LENGTH, "classes": list(classes)},
        train=Part("train", rows[0]),
        held_out=Part("held_out", rows[1]),
        recipe=Maker(make, classes if labelled else ()),
        networks={},
        cache=Path(),
        device=torch.device("cpu"),
        options=options,
        kept={} if kept is None else kept,
    )


def refused():
    """An evaluation of a recipe that makes sound from sound."""
    e = evaluation(lambda c, s: shot("kick", s))
    e.recipe = SimpleNamespace(given="audio", Sampling=Sampling)
    return e
