"""Sounds that a recipe made from noise, beside those it was trained on, those held out, and the trivial answer."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
import torch
import torch.nn.functional as F

from polygan import DataError, mix

from ..data.facts import info_of
from ..networks.melspec import MelSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from polygan import Evaluation, Samples, Split

MOST_TRAINING = 1000
"""Training sounds that others are compared with, at most."""
TRIVIAL = "training sounds, moved and louder or quieter"
"""The name of the answer that needs no network: what a recipe gives that learned its sounds by heart."""
_GAIN, _SHIFT = 6.0, 1 / 32  # dB, and share of the length, at most
_FLOOR = 1e-3  # of mel magnitudes, 60 to 70 dB below a loud sound
_EDGES = (0.0, 1 / 16, 3 / 16, 7 / 16, 1.0)
_BEGINS = 0.1
_AT_ONCE = 64


@dataclass
class Sounds:
    """Sounds of one length."""

    waveforms: Tensor
    """(n, T) float32 in [-1, 1]."""
    labels: Tensor | None
    """Classes (n,)."""
    broken: int = 0
    """Sounds that had NaN or infinite samples, which are silence here."""

    def __len__(self) -> int:
        return len(self.waveforms)

    def of(self, rows: Tensor) -> Sounds:
        """The sounds of these rows, by number or by mask."""
        return Sounds(self.waveforms[rows], None if self.labels is None else self.labels[rows])


@dataclass
class Compared:
    """What every score of an evaluation looks at."""

    rate: int
    classes: Sequence[str]
    train: Sounds
    held_out: Sounds
    made: Sounds
    trivial: Sounds
    """As many as there are held-out sounds, of their classes."""

    def note(self, more: str = "") -> str:
        """What a reader must know to compare a score with another."""
        said = f"{len(self.made)} made, {len(self.held_out)} held-out and {len(self.train)} training sounds of "
        said += f"{self.made.waveforms.shape[1]} samples at {self.rate} Hz"
        broken = f"{self.made.broken} made sounds had NaN or infinite samples" if self.made.broken else ""
        return "; ".join(filter(None, (said, more, broken)))


@dataclass
class _Newest:
    """What the newest evaluation of a run compares; the networks learn between evaluations."""

    found: Compared | None = None
    evaluation: ref[Evaluation] | None = None


def compared(evaluation: Evaluation) -> Compared:
    """The sounds of an evaluation, made once. DataError for a recipe that makes sound from something, and without held-out sounds."""
    if evaluation.recipe.given is not None:
        raise DataError("the score is for recipes that make sounds from noise (audio/wavegan)")
    newest = evaluation.once("audio/made-sounds", _Newest)
    if newest.found is None or newest.evaluation is None or newest.evaluation() is not evaluation:
        newest.found = None  # the memory of an earlier evaluation is free before another is made
        newest.found, newest.evaluation = _compare(evaluation), ref(evaluation)
    return newest.found


def _compare(evaluation: Evaluation) -> Compared:
    info = info_of(evaluation.info)
    rate = info["sample_rate"]
    length = info["segment"] or rate

    def real(split: Split, most: int) -> Sounds:
        return evaluation.once(("audio/real-sounds", split.name), lambda: _real(evaluation, split, most, length))

    if len(evaluation.held_out) < 2:
        raise DataError("the score needs two held-out sounds or more; raise --data.held_out")
    train, held_out = real(evaluation.train, MOST_TRAINING), real(evaluation.held_out, evaluation.samples)
    made = _made(evaluation, held_out, length)
    train, held_out = (_of_classes(sounds, made.labels) for sounds in (train, held_out))
    if len(held_out) < 2 or not len(train):
        raise DataError("the score needs two held-out sounds of the class or more; raise --data.held_out")
    classes = tuple(evaluation.info.get("classes", ()))
    return Compared(rate, classes, train, held_out, made, trivial(train, held_out, evaluation.seed))


def _of_classes(sounds: Sounds, labels: Tensor | None) -> Sounds:
    """The sounds whose class is among ``labels``: options of generation may name one class. Without labels: all."""
    if labels is None or sounds.labels is None:
        return sounds
    return sounds.of(torch.isin(sounds.labels, labels))


def _real(evaluation: Evaluation, split: Split, most: int, length: int) -> Sounds:
    parts = [
        _sounds(evaluation.domain.real(split, split.rows[start : min(start + _AT_ONCE, most)]), length)
        for start in range(0, min(most, len(split)), _AT_ONCE)
    ]
    return _joined(parts)


def _made(evaluation: Evaluation, held_out: Sounds, length: int) -> Sounds:
    """As many sounds as are held out, each class as often as there, unless the options name a class."""
    kind, options = evaluation.recipe.Sampling, evaluation.options
    chooses = "label" in {f.name for f in fields(kind)} and bool(getattr(evaluation.recipe, "classes", ()))
    chosen = options is not None and any(getattr(options, name, None) is not None for name in ("label", "pitch"))
    if not chooses or chosen or held_out.labels is None:
        return _sounds(evaluation.generate(len(held_out), evaluation.seed), length)
    counts = torch.bincount(held_out.labels).tolist()
    parts = []
    for label, count in enumerate(counts):
        if count:
            asked = replace(options if options is not None else kind(), label=label)
            parts.append(_sounds(evaluation.generate(count, evaluation.seed + label, asked), length))
    return _joined(parts)


def _sounds(samples: Samples, length: int) -> Sounds:
    """Samples cut, or with silence behind them, to one length."""
    clips = [clip.detach().cpu().float()[:length] for clip in samples.data]
    whole = torch.stack([F.pad(clip, (0, length - len(clip))) for clip in clips])
    broken = int((~whole.isfinite()).any(1).sum())
    labels = None if samples.labels is None else samples.labels.cpu()
    return Sounds(whole.nan_to_num(0, 0, 0).clamp(-1, 1), labels, broken)


def _joined(parts: Sequence[Sounds]) -> Sounds:
    labels = [part.labels for part in parts if part.labels is not None]
    whole = torch.cat([part.waveforms for part in parts])
    return Sounds(whole, torch.cat(labels) if len(labels) == len(parts) else None, sum(p.broken for p in parts))


def trivial(train: Sounds, wanted: Sounds, seed: int) -> Sounds:
    """For each sound of ``wanted`` a random training sound of its class, up to 6 dB louder or quieter and moved by up to 1/32."""
    rng = np.random.Generator(np.random.Philox(key=mix(seed, 5)))
    every, length = np.arange(len(train)), train.waveforms.shape[1]
    found, labels = [], []
    for i in range(len(wanted)):
        rows = every
        if wanted.labels is not None and train.labels is not None:
            same = np.flatnonzero((train.labels == wanted.labels[i]).numpy())
            rows = same if len(same) else every
        row, gain = int(rng.choice(rows)), 10 ** (rng.uniform(-_GAIN, _GAIN) / 20)
        shift = int(rng.integers(-round(_SHIFT * length), round(_SHIFT * length) + 1))
        sound = train.waveforms[row]
        moved = F.pad(sound, (shift, 0))[:length] if shift >= 0 else F.pad(sound, (0, -shift))[-length:]
        found.append((moved * gain).clamp(-1, 1))
        labels.append(0 if train.labels is None else int(train.labels[row]))
    return Sounds(torch.stack(found), None if train.labels is None else torch.tensor(labels))


def log_mels(sounds: Sounds, rate: int, bands: int, *, hop: int = 256) -> Tensor:
    """Natural log-mels (n, bands, T / hop) with a floor about 65 dB below full scale."""
    spec = MelSpec(sample_rate=rate, n_mels=bands, hop_length=hop, floor=_FLOOR)
    return torch.cat([spec(part) for part in sounds.waveforms.split(_AT_ONCE)])


def aligned(sounds: Sounds) -> Sounds:
    """Each sound at a peak of 1, moved so that its first sample above a tenth of the peak is the first of all.

    A copy that is louder or later is the same sound then.
    """
    x = sounds.waveforms / sounds.waveforms.abs().amax(1, keepdim=True).clamp(min=1e-4)
    first = (x.abs() > _BEGINS).int().argmax(1, keepdim=True)  # 0 where there is none
    place = torch.arange(x.shape[1]) + first
    return Sounds(torch.where(place < x.shape[1], x.gather(1, place.clamp(max=x.shape[1] - 1)), 0.0), sounds.labels)


def features(sounds: Sounds, rate: int, bands: int = 12) -> Tensor:
    """(n, 4 bands): means of log-mel bands over four stretches of time, each about twice as long as the one before."""
    mels = log_mels(sounds, rate, bands)
    frames = mels.shape[2]
    edges = [max(i, round(edge * frames)) for i, edge in enumerate(_EDGES)]
    return torch.cat([mels[..., a:b].mean(2) for a, b in pairwise(edges)], 1)
