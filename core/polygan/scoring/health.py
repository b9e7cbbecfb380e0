"""Signals of a run's health: how they are measured, and what they mean in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

Level = Literal["good", "info", "warn", "bad"]

R_T_TARGET = 0.6
"""The value of r_t that adaptive augmentation aims at (Karras et al. 2020, section 3): above it D overfits."""


@dataclass(frozen=True)
class Finding:
    """One sentence or two about a run."""

    level: Level
    title: str
    text: str


def collapse_signals(fake: Tensor, real: Tensor) -> dict[str, float]:
    """How different the samples are from each other, against real ones.

    ``fake`` and ``real`` are features (n, d) of equally many samples. ``nn_ratio``: the median distance from a fake to its
    nearest other fake over the same median of reals; about 1 is healthy, near 0 is collapse. ``duplicates``: share of
    fakes whose nearest other fake is at most 1 % of that median of reals away, in [0, 1]. Empty with fewer than 4 samples.
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
    """``held_out_gap``: where D puts held-out reals between training reals (0) and fakes (1), from logits (n,).

    r_v = (E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(fake)]) (Karras et al. 2020, eq. 1). Near 0 D judges what it
    has not seen as it judges what it has; towards 1 it has learned the training samples by heart. Empty while D does not
    tell training samples from fakes at all.
    """
    t, h, f = (x.float().mean().item() for x in (train, held_out, fake))
    spread = (train.float().std() + fake.float().std()).item() / 2
    if not t - f > 0.1 * spread:
        return {}
    return {"held_out_gap": (t - h) / (t - f)}


def describe(records: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What a run's log (the lines of log.jsonl) says of its health, worst first."""
    logged = [r["values"] for r in records if r.get("event") == "logged" and isinstance(r.get("values"), dict)]
    health = [r["values"] for r in records if r.get("event") == "health" and isinstance(r.get("values"), dict)]
    if not logged:
        return [Finding("info", "Nothing logged yet", "The run has not reached its first log line.")]
    findings = _numbers(records, logged)
    findings += _discriminator(logged[-max(1, len(logged) // 5) :])
    findings += _r1(logged[-max(1, len(logged) // 5) :])
    findings += _samples(health)
    if not any(f.level in ("warn", "bad") for f in findings):
        findings.append(Finding("good", "No sign of trouble", "No signal of collapse, overfitting or divergence."))
    for note in next((r["notes"] for r in reversed(records) if r.get("notes")), ()):
        findings.append(Finding("info", "Settled by the recipe", str(note)))
    order = {"bad": 0, "warn": 1, "good": 2, "info": 3}
    return sorted(findings, key=lambda f: order[f.level])


def _numbers(records: Sequence[Mapping[str, Any]], logged: Sequence[Mapping[str, Any]]) -> list[Finding]:
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
    skipped = {k.partition("/")[2]: v for k, v in logged[-1].items() if k.startswith("skipped/") and v}
    if skipped:
        who = ", ".join(f"{name} {int(n)}" for name, n in skipped.items())
        findings.append(
            Finding(
                "warn",
                "Steps were skipped",
                f"Gradients were not finite in some steps, which were left out ({who}). A few are normal for fp16; "
                "many call for a lower learning rate or gradient clipping.",
            )
        )
    return findings


def _discriminator(window: Sequence[Mapping[str, Any]]) -> list[Finding]:
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
                    f"r_t of turn {turn!r} is {value:.2f}; above {R_T_TARGET} it starts to overfit. More data, augmentation, a "
                    "gradient penalty or a smaller discriminator help.",
                )
            )
        elif signal == "accuracy" and value > 0.98:
            findings.append(
                Finding(
                    "warn",
                    "The discriminator wins almost always",
                    f"It tells {value:.1%} of real and generated samples apart in turn {turn!r}: saturated, the generator "
                    "learns slowly. A penalty, spectral norm or a smaller learning rate for it help.",
                )
            )
        elif signal == "accuracy":
            findings.append(
                Finding(
                    "good" if value > 0.5 else "info",
                    "The two sides are matched",
                    f"The discriminator tells {value:.1%} of samples apart in turn {turn!r} (50 % is a coin, 100 % saturation).",
                )
            )
    return findings


def _r1(window: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Whether R1's weight looks too small or too large, by how sure the discriminator is with it."""
    names = {k for values in window for k in values}
    if not any(name.endswith("/r1") or name.startswith("r1/") for name in names):
        return []
    signals = {
        s: [v for n in names if n.endswith(f"/{s}") and (v := _mean(window, n)) is not None]
        for s in ("r_t", "accuracy")
    }
    sure, told = max(signals["r_t"], default=0.0), max(signals["accuracy"], default=1.0)
    if sure > R_T_TARGET:
        advice = f"r_t is {sure:.2f} in spite of R1: a gamma 4 times as large is worth a try."
        return [Finding("info", "R1's weight may be too small", advice)]
    if told < 0.55:
        advice = (
            f"The discriminator tells {told:.1%} of samples apart: if samples stay blurred, try a quarter of gamma."
        )
        return [Finding("info", "R1's weight may be too large", advice)]
    return []


def _samples(health: Sequence[Mapping[str, Any]]) -> list[Finding]:
    if not health:
        return []
    findings = []
    last = health[-1]
    ratio, duplicates, gap = (last.get(k) for k in ("nn_ratio", "duplicates", "held_out_gap"))
    if ratio is not None and duplicates is not None:
        if ratio < 0.25 or duplicates > 0.1:
            findings.append(
                Finding(
                    "bad",
                    "Collapse: the samples are nearly the same",
                    f"The distance between nearest samples is {ratio:.0%} of the real one's, and {duplicates:.0%} of the samples have "
                    "a duplicate. The generator makes few samples of its own; scores of quality alone will not show it. A discriminator "
                    "that learns faster, or a term that keeps samples apart (mode_seeking, where a recipe has it), can help.",
                )
            )
        elif ratio < 0.6 or duplicates > 0.02:
            findings.append(
                Finding(
                    "warn",
                    "The samples are less varied than the data",
                    f"The distance between nearest samples is {ratio:.0%} of the real one's; duplicates: {duplicates:.0%}.",
                )
            )
        else:
            findings.append(
                Finding(
                    "good",
                    "The samples are varied",
                    f"The distance between nearest samples is {ratio:.0%} of the real one's; duplicates: {duplicates:.0%}.",
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


def _mean(window: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [v[name] for v in window if isinstance(v.get(name), (int, float)) and math.isfinite(v[name])]
    return sum(values) / len(values) if values else None
