"""A run's health: signals that are measured, and findings from the log in words, which never contradict each other."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ..messages import plural
from .judged import FAR_TITLE, FAULTS_TITLE, Finding, Level, judged, many
from .sides import GAP, R_T_TARGET, Side, number, sides_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from .judged import Record

    Values = Mapping[str, object]


def describe(records: Sequence[Record]) -> list[Finding]:
    """Findings about a run's health from its log (the lines of log.jsonl), worst first."""
    logged, health = _values_of(records, "logged"), _values_of(records, "health")
    if not logged:
        return [Finding("info", "Nothing logged yet", "The run has not reached its first log line.")]
    window, newest = logged[-max(1, len(logged) // 5) :], health[-1] if health else {}
    sides = sides_of(window)
    gap = number(newest.get("held_out_gap"))
    gap = None if any(side.blind or side.guesses for side in sides) else gap  # a gap between equal logits is noise
    findings = [
        *judged(records),
        *_numbers(records, logged),
        *_remarks(records),
        *(finding for side in sides for finding in _discriminator(side, gap, several=len(sides) > 1)),
        *_r1(window, sides, gap),
        *_samples(newest),
        *([] if gap is None else [_generalisation(gap)]),
    ]
    if any(f.title in (FAR_TITLE, FAULTS_TITLE) for f in findings):
        # What is in order does not make samples real: no tick stands beside a score that is far from its floor, or finds faults.
        findings = [replace(f, level="info") if f.level == "good" else f for f in findings]
    if not any(f.level in ("warn", "bad") for f in findings):
        findings.append(Finding("good", "No sign of trouble", "No signal of collapse, overfitting or divergence."))
    notes = next((notes for r in reversed(records) if (notes := r.get("notes"))), ())
    for note in notes if isinstance(notes, list | tuple) else (notes,):
        findings.append(Finding("info", "Settled by the recipe", str(note)))
    order = {"bad": 0, "warn": 1, "good": 2, "info": 3}
    return sorted(findings, key=lambda f: order[f.level])


# What the recipe says


def _remarks(records: Sequence[Record]) -> list[Finding]:
    """Each sentence that the recipe said about logged values, once."""
    found = [r.get("remarks") for r in records if r.get("event") == "logged"]
    said = dict.fromkeys(str(remark) for remarks in found if isinstance(remarks, list) for remark in remarks)
    return [Finding("warn", "The recipe noticed", f"{remark[:1].upper()}{remark[1:]}.") for remark in said]


def share(part: float) -> str:
    """A share in percent; a share of many times the whole is no percentage, but a number of times."""
    return f"{part:.0%}" if abs(part) < 10 else f"{many(abs(part))} times"


# The numbers


def _numbers(records: Sequence[Record], logged: Sequence[Values]) -> list[Finding]:
    findings = []
    rollbacks = [r for r in records if r.get("event") == "diverged"]
    if rollbacks:
        ended = records[-1].get("status") == "failed"
        findings.append(
            Finding(
                "bad" if ended else "warn",
                f"Diverged {plural(len(rollbacks), 'time')}",
                f"Last: {rollbacks[-1].get('message', 'non-finite gradients')}.",
            )
        )
    skipped = {k.partition("/")[2]: n for k, v in logged[-1].items() if k.startswith("skipped/") and (n := number(v))}
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


# The discriminator


def _discriminator(side: Side, gap: float | None, *, several: bool) -> list[Finding]:
    """One verdict about the discriminator of a turn, or two that say the same from two sides."""
    where = f" in turn {side.turn!r}" if several else ""
    told = (
        ""
        if side.accuracy is None
        else f"The discriminator tells {side.accuracy:.1%} of samples apart in turn {side.turn!r}"
    )
    if side.blind:
        right = f"r_t of turn {side.turn!r} is {side.r_t:.2f}, and {side.fakes_called_real:.0%} of generated samples get positive logits too"
        return [
            Finding(
                "warn",
                f"The discriminator calls everything {side.blind}{where}",
                f"{right}. This is not overfitting: the discriminator does not see the difference, so the generator learns nothing "
                "from it. A larger discriminator, a faster learning rate for it or a weaker penalty help.",
            )
        ]
    findings = []
    if side.sure(gap):
        findings.append(
            Finding(
                "bad" if side.r_t is not None and side.r_t > 0.9 else "warn",
                f"The discriminator is too sure of the training samples{where}",
                f"r_t of turn {side.turn!r} is {side.r_t:.2f}; above {R_T_TARGET} the discriminator starts to overfit. More data, "
                "augmentation, a gradient penalty or a smaller discriminator help.",
            )
        )
    if side.ahead(gap):
        told = told or f"r_t of turn {side.turn!r} is {side.r_t:.2f}"
        findings.append(
            Finding(
                "warn",
                f"The discriminator wins almost always{where}",
                f"{told}, so the generator learns slowly. A penalty, spectral norm or a smaller learning rate for the "
                "discriminator help.",
            )
        )
    elif not findings and side.accuracy is not None and (gap is None or gap <= GAP):
        level: Level = "info" if side.guesses else "good"
        title = "The discriminator guesses" if side.guesses else "The two sides are matched"
        findings.append(Finding(level, f"{title}{where}", f"{told} (50 % is guessing, 100 % is certainty)."))
    return findings


def _r1(window: Sequence[Values], sides: Sequence[Side], gap: float | None) -> list[Finding]:
    """Whether R1's weight looks too small or too large, judged by how sure the discriminator is."""
    names = {k for values in window for k in values}
    if not any(name.endswith("/r1") or name.startswith("r1/") for name in names):
        return []
    sure = [side.r_t for side in sides if side.sure(gap) and side.r_t is not None]
    if sure:
        advice = f"r_t is {max(sure):.2f} in spite of R1: try a gamma that is 4 times as large."
        return [Finding("info", "R1's weight may be too small", advice)]
    told = [side.accuracy for side in sides if side.accuracy is not None]
    if told and max(told) < 0.55:
        advice = f"The discriminator tells {max(told):.1%} of samples apart: if samples stay blurred, try a quarter of gamma."
        return [Finding("info", "R1's weight may be too large", advice)]
    return []


# The samples


def _samples(newest: Values) -> list[Finding]:
    """Whether the samples differ from each other as real samples do."""
    ratio, duplicates = number(newest.get("nn_ratio")), number(newest.get("duplicates"))
    if ratio is None or duplicates is None or ratio > 1e6:  # such a ratio is of data without a usual distance
        return []
    times = "" if ratio >= 10 else "of "
    distance = f"The distance between nearest samples is {share(ratio)} {times}the distance in the data"
    if ratio < 0.25 or duplicates > 0.1:
        return [
            Finding(
                "bad",
                "Collapse: the samples are nearly the same",
                f"{distance}, and {share(duplicates)} of the samples have a duplicate. Scores of quality alone do not show this. A "
                "discriminator that learns faster, or a term that keeps samples apart (mode_seeking, where a recipe has it), can help.",
            )
        ]
    said = f"{distance}; duplicates: {share(duplicates)}."
    if ratio < 0.6 or duplicates > 0.02:
        return [Finding("warn", "The samples are less varied than the data", said)]
    if ratio > 2:
        return [
            Finding("info", "The samples are further apart than the data", f"{said} Noise in samples looks like this.")
        ]
    return [Finding("good", "The samples are varied", said)]


def _generalisation(gap: float) -> Finding:
    """Whether the discriminator treats held-out samples like training samples."""
    way = (
        "as far from training samples as generated ones, or further"
        if gap >= 1
        else (f"{max(gap, 0):.0%} of the way from training samples to generated ones")
    )
    said = f"Held-out samples stand {way}; 0 % is ideal."
    if gap > GAP:
        level: Level = "bad" if gap > 0.7 else "warn"
        return Finding(level, "The discriminator learns the training samples by heart", said)
    return Finding("good", "The discriminator generalises", said)


# Reading the log


def _values_of(records: Sequence[Record], event: str) -> list[Values]:
    found = [r.get("values") for r in records if r.get("event") == event]
    return [values for values in found if isinstance(values, dict)]


def collapse_signals(fake: Tensor, real: Tensor) -> dict[str, float]:
    """How different the samples are from each other, compared with real samples.

    ``fake`` and ``real`` are features (n, d); both are cut to the smaller n. ``nn_ratio`` is the median distance from a
    generated sample to its nearest other generated sample, divided by the same median of real samples: about 1 is healthy,
    near 0 is collapse. ``duplicates``, in [0, 1], is the share of generated samples whose nearest other generated sample is at
    most 1 % of the real median away. The result is empty for fewer than 4 samples, and where half of the real samples repeat
    another: such data has no usual distance to compare with.
    """
    n = min(len(fake), len(real))
    if n < 4:
        return {}
    nearest_fake, nearest_real = _nearest(fake[:n].float()), _nearest(real[:n].float())
    usual = nearest_real.median()
    if not usual > 1e-12:
        return {}
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
