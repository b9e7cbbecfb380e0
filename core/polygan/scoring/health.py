"""Signals of a run's health: their measurement, and their meaning in words."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from .records import Record

    Values = Mapping[str, object]

Level = Literal["good", "info", "warn", "bad"]

R_T_TARGET = 0.6
"""The r_t that adaptive augmentation aims at (Karras et al. 2020, section 3); above this value the discriminator overfits."""


@dataclass(frozen=True)
class Finding:
    """One or two sentences about a run."""

    level: Level
    title: str
    text: str


def collapse_signals(fake: Tensor, real: Tensor) -> dict[str, float]:
    """How different the samples are from each other, compared with real samples.

    ``fake`` and ``real`` are features (n, d); both are cut to the smaller n. ``nn_ratio`` is the median distance from a
    generated sample to its nearest other generated sample, divided by the same median of real samples: about 1 is healthy,
    near 0 is collapse. ``duplicates``, in [0, 1], is the share of generated samples whose nearest other generated sample is at
    most 1 % of the real median away. The result is empty for fewer than 4 samples.
    """
    n = min(len(fake), len(real))
    if n < 4:
        return {}
    nearest_fake, nearest_real = _nearest(fake[:n].float()), _nearest(real[:n].float())
    usual = nearest_real.median().clamp(min=1e-12)
    return {
        "nn_ratio": (nearest_fake.median() / usual).item(),
        "duplicates": (nearest_fake <= 0.01 * usual).float().mean().item(),
    }


def _nearest(x: Tensor) -> Tensor:
    """(n,) distance of each row to its nearest other row."""
    import torch

    distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(math.inf)
    return distances.amin(1)


def overfitting_signal(train: Tensor, held_out: Tensor, fake: Tensor) -> dict[str, float]:
    """``held_out_gap``: where the discriminator puts held-out samples between training samples (0) and fakes (1), from logits (n,).

    r_v = (E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(fake)]) (Karras et al. 2020, eq. 1). Near 0 the discriminator
    treats unseen samples like training samples. Near 1 the discriminator has learned the training samples by heart. The result
    is empty while the discriminator cannot tell training samples from fakes.
    """
    t, h, f = (x.float().mean().item() for x in (train, held_out, fake))
    spread = (train.float().std() + fake.float().std()).item() / 2
    if not t - f > 0.1 * spread:
        return {}
    return {"held_out_gap": (t - h) / (t - f)}


def describe(records: Sequence[Record]) -> list[Finding]:
    """Findings about a run's health from its log (the lines of log.jsonl), worst first."""
    logged, health = _values_of(records, "logged"), _values_of(records, "health")
    if not logged:
        return [Finding("info", "Nothing logged yet", "The run has not reached its first log line.")]
    findings = _numbers(records, logged)
    findings += _discriminator(logged[-max(1, len(logged) // 5) :])
    findings += _r1(logged[-max(1, len(logged) // 5) :])
    findings += _samples(health)
    if not any(f.level in ("warn", "bad") for f in findings):
        findings.append(Finding("good", "No sign of trouble", "No signal of collapse, overfitting or divergence."))
    notes = next((notes for r in reversed(records) if (notes := r.get("notes"))), ())
    for note in notes if isinstance(notes, list | tuple) else (notes,):
        findings.append(Finding("info", "Settled by the recipe", str(note)))
    order = {"bad": 0, "warn": 1, "good": 2, "info": 3}
    return sorted(findings, key=lambda f: order[f.level])


def _values_of(records: Sequence[Record], event: str) -> list[Values]:
    found = [r.get("values") for r in records if r.get("event") == event]
    return [values for values in found if isinstance(values, dict)]


def _number(value: object) -> float | None:
    """A finite number; None for anything else."""
    return value if isinstance(value, int | float) and abs(value) <= sys.float_info.max else None


def _numbers(records: Sequence[Record], logged: Sequence[Values]) -> list[Finding]:
    findings = []
    rollbacks = [r for r in records if r.get("event") == "diverged"]
    if rollbacks:
        ended = records[-1].get("status") == "failed"
        findings.append(
            Finding(
                "bad" if ended else "warn",
                f"Diverged {len(rollbacks)} time(s)",
                f"Last: {rollbacks[-1].get('message', 'non-finite gradients')}.",
            )
        )
    skipped = {k.partition("/")[2]: n for k, v in logged[-1].items() if k.startswith("skipped/") and (n := _number(v))}
    if skipped:
        who = ", ".join(f"{name} {int(n)}" for name, n in skipped.items())
        findings.append(
            Finding(
                "warn",
                "Steps were skipped",
                f"Some steps had gradients that were not finite, and were left out ({who}). A few are normal for fp16. "
                "If there are many, lower the learning rate or clip gradients.",
            )
        )
    return findings


def _discriminator(window: Sequence[Values]) -> list[Finding]:
    findings = []
    for name in sorted({k for values in window for k in values if k.endswith(("/r_t", "/accuracy"))}):
        turn, _, signal = name.partition("/")
        value = _mean(window, name)
        if value is None:
            continue
        if signal == "r_t" and value > R_T_TARGET:
            level: Level = "bad" if value > 0.9 else "warn"
            findings.append(
                Finding(
                    level,
                    "The discriminator is too sure of the training samples",
                    f"r_t of turn {turn!r} is {value:.2f}; above {R_T_TARGET} the discriminator starts to overfit. More data, "
                    "augmentation, a gradient penalty or a smaller discriminator help.",
                )
            )
        elif signal == "accuracy" and value > 0.98:
            findings.append(
                Finding(
                    "warn",
                    "The discriminator wins almost always",
                    f"The discriminator tells {value:.1%} of real and generated samples apart in turn {turn!r}, so the generator "
                    "learns slowly. A penalty, spectral norm or a smaller learning rate for the discriminator help.",
                )
            )
        elif signal == "accuracy":
            findings.append(
                Finding(
                    "good" if value > 0.5 else "info",
                    "The two sides are matched",
                    f"The discriminator tells {value:.1%} of samples apart in turn {turn!r} (50 % is guessing, 100 % is certainty).",
                )
            )
    return findings


def _r1(window: Sequence[Values]) -> list[Finding]:
    """Whether R1's weight looks too small or too large, judged by how sure the discriminator is."""
    names = {k for values in window for k in values}
    if not any(name.endswith("/r1") or name.startswith("r1/") for name in names):
        return []
    signals = {
        s: [v for n in names if n.endswith(f"/{s}") and (v := _mean(window, n)) is not None]
        for s in ("r_t", "accuracy")
    }
    sure, told = max(signals["r_t"], default=0.0), max(signals["accuracy"], default=1.0)
    if sure > R_T_TARGET:
        advice = f"r_t is {sure:.2f} in spite of R1: try a gamma that is 4 times as large."
        return [Finding("info", "R1's weight may be too small", advice)]
    if told < 0.55:
        advice = (
            f"The discriminator tells {told:.1%} of samples apart: if samples stay blurred, try a quarter of gamma."
        )
        return [Finding("info", "R1's weight may be too large", advice)]
    return []


def _samples(health: Sequence[Values]) -> list[Finding]:
    if not health:
        return []
    findings = []
    last = health[-1]
    ratio, duplicates, gap = (_number(last.get(k)) for k in ("nn_ratio", "duplicates", "held_out_gap"))
    if ratio is not None and duplicates is not None:
        if ratio < 0.25 or duplicates > 0.1:
            findings.append(
                Finding(
                    "bad",
                    "Collapse: the samples are nearly the same",
                    f"The distance between nearest samples is {ratio:.0%} of the distance in the data, and {duplicates:.0%} of the "
                    "samples have a duplicate. Scores of quality alone do not show this. A discriminator that learns faster, or a "
                    "term that keeps samples apart (mode_seeking, where a recipe has it), can help.",
                )
            )
        elif ratio < 0.6 or duplicates > 0.02:
            findings.append(
                Finding(
                    "warn",
                    "The samples are less varied than the data",
                    f"The distance between nearest samples is {ratio:.0%} of the distance in the data; duplicates: {duplicates:.0%}.",
                )
            )
        else:
            findings.append(
                Finding(
                    "good",
                    "The samples are varied",
                    f"The distance between nearest samples is {ratio:.0%} of the distance in the data; duplicates: {duplicates:.0%}.",
                )
            )
    if gap is not None:
        if gap > 0.3:
            findings.append(
                Finding(
                    "bad" if gap > 0.7 else "warn",
                    "The discriminator learns the training samples by heart",
                    f"Held-out samples stand {gap:.0%} of the way from training samples to generated ones; 0 % is ideal.",
                )
            )
        else:
            findings.append(
                Finding(
                    "good",
                    "The discriminator generalises",
                    f"Held-out samples stand {max(gap, 0):.0%} of the way from training samples to generated ones; 0 % is ideal.",
                )
            )
    return findings


def _mean(window: Sequence[Values], name: str) -> float | None:
    values = [n for v in window if (n := _number(v.get(name))) is not None]
    return sum(values) / len(values) if values else None
