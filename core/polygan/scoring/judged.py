"""The records of a run, and what their scores mean in words: against floors and trivial baselines, and which claims they carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Required, TypedDict, cast

from .sides import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    StoredScore = Mapping[str, object]
    """The fields of a `polygan.Score`, as a log holds them."""


class Record(TypedDict, total=False):
    """A line of the log as `polygan.record.log.read_log` returns it.

    ``step`` is always a finite int. The other values are what the file holds, so a reader checks their types.
    """

    step: Required[int]
    """Finished iterations."""
    event: object
    """started, resumed, logged, sampled, health, evaluated, saved, diverged or ended."""
    samples: object
    """Real samples that training has shown so far."""
    seconds: object
    """Seconds of training so far."""
    values: object
    """Of logged and health: numbers by name; null for a number that is not finite."""
    remarks: object
    """Of logged: sentences of the recipe about the values."""
    notes: object
    """Of started and resumed: sentences of the recipe."""
    scores: object
    """Of evaluated: the fields of each `polygan.Score`."""
    picking: object
    """Of evaluated: the id of the metric that picks the best checkpoint, where the first metric could not be computed."""
    paired: object
    """Of evaluated: true where each sample has a truth, so that scores of pairs can be had (`polygan.Evaluation.pairs`)."""
    plots: object
    """Of evaluated: the fields of each `polygan.Plot`."""
    changed: object
    """Of resumed: the settings that were changed by name, each with its value before and after."""
    message: object
    """Of diverged: what happened. Of resumed: what was changed."""
    status: object
    """Of ended: finished, preempted, interrupted or failed."""
    folder: object
    """Of sampled: the folder of the samples, within the run."""
    checkpoint: object
    """Of saved: the checkpoint's folder, within the run."""


NEAR = "near"
FAR = 10
"""A score that is this many times its floor is far from real. The best recipes reach 2 to 4 times the floor."""
FAR_TITLE = "The samples are far from real"
FAULTS_TITLE = "The scores find faults in the samples"
_PAIRS = "compare each sample with its own truth"
_DISTRIBUTION = "compare all samples with all real ones"


Level = Literal["good", "info", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """One or two sentences about a run."""

    level: Level
    title: str
    text: str


def stored_scores(record: Record) -> list[StoredScore]:
    """The scores in a record of the log."""
    found = record.get("scores")
    return [s for s in found if isinstance(s, dict)] if isinstance(found, list) else []


def newest_scores(records: Sequence[Record]) -> dict[str, tuple[int, StoredScore]]:
    """The newest step and values of each score by name."""
    newest: dict[str, tuple[int, StoredScore]] = {}
    for record in records:
        newest |= {str(s.get("name")): (record["step"], s) for s in stored_scores(record)}
    return newest


def baseline_of(score: StoredScore) -> tuple[float, str] | None:
    """The value and the name of a score's baseline. None where a log holds none: older ones never do."""
    found = score.get("baseline")
    if not isinstance(found, list | tuple) or len(found) != 2 or (value := number(found[0])) is None:
        return None
    return float(value), str(found[1])


def beats_baseline(score: StoredScore) -> bool | None:
    """Whether a score is better than its baseline; None for a score without a baseline, or without the floor to be near to."""
    value, baseline = number(score.get("value")), baseline_of(score)
    if value is None or baseline is None:
        return None
    floor = number(score.get("floor"))
    ours, theirs = (cost(x, score.get("better"), floor) for x in (value, baseline[0]))
    return None if ours is None or theirs is None else ours < theirs


def judged(records: Sequence[Record]) -> list[Finding]:
    """Findings about the newest scores."""
    return [*_faults(records), *_against_floors(records), *_against_baselines(records), *_claim(records)]


def _faults(records: Sequence[Record]) -> list[Finding]:
    """What the newest scores find wrong with the samples (`polygan.Score.trouble`)."""
    found = [(name, step, score.get("trouble")) for name, (step, score) in newest_scores(records).items()]
    said = [f"{_upper(name)} at step {step:,}: {trouble}." for name, step, trouble in found if trouble]
    return [Finding("warn", FAULTS_TITLE, " ".join(said))] if said else []


def _against_floors(records: Sequence[Record]) -> list[Finding]:
    """Whether the newest scores are far from their floors: the first score decides, or most of all scores."""
    newest: dict[str, tuple[float, str]] = {}
    for name, (step, score) in newest_scores(records).items():
        if (worse := _times_worse(score)) is not None:
            said = f"{name} at step {step:,} is {many(worse)} times its floor"
            if score.get("better") in ("higher", NEAR):
                value, floor = number(score.get("value")), number(score.get("floor"))
                said = f"{name} at step {step:,} is {value:.3g}, and its floor is {floor:.3g}"
            newest[name] = worse, said
    far = {name: said for name, (worse, said) in newest.items() if worse >= FAR}
    leading = next(iter(newest), "")
    if leading in far or 2 * len(far) > len(newest):
        said = "; ".join(list(far.values())[:3])
        text = f"{said[:1].upper()}{said[1:]}. The floor is the score of held-out real samples. The samples are not like the data yet."
        return [Finding("warn", FAR_TITLE, text)]
    if newest and 0.7 <= newest[leading][0] <= 2:
        said = newest[leading][1]
        text = f"{said[:1].upper()}{said[1:]}. The floor is the score of held-out real samples."
        return [Finding("good", "The samples are near real ones", text)]
    return []


def _times_worse(score: StoredScore) -> float | None:
    """How many times worse a score is than its floor; None where the ratio has no meaning."""
    value, floor = number(score.get("value")), number(score.get("floor"))
    if value is None or floor is None or floor <= 0 or value < 0:
        return None
    above = value / floor
    below = floor / value if value * 1e9 > floor else 1e9
    if score.get("better") == NEAR:
        return max(above, below)
    return below if score.get("better") == "higher" else above


def _against_baselines(records: Sequence[Record]) -> list[Finding]:
    """Which of the newest scores are no better than a trivial answer."""
    beaten: dict[str, bool] = {}
    said: dict[str, str] = {}
    for name, (step, score) in newest_scores(records).items():
        baseline, beats = baseline_of(score), beats_baseline(score)
        if baseline is not None and beats is not None:
            beaten[name] = beats
            value = number(score.get("value"))
            said[name] = f"{name} at step {step:,} is {value:.4g}, and {baseline[1]} has {baseline[0]:.4g}"
    lost = [name for name, beats in beaten.items() if not beats]
    if not beaten:
        return []
    if not lost:
        first = next(iter(said.values()))
        return [Finding("good", "The samples are better than a trivial answer", f"{_upper(first)}.")]
    text = f"{_upper('; '.join(said[name] for name in lost[:3]))}."
    if len(lost) == len(beaten):
        return [Finding("warn", "A trivial answer is as good as the samples", text)]
    title = f"A trivial answer is as good as the samples in {len(lost)} of {len(beaten)} scores"
    return [Finding("info", title, text)]


def claim(records: Sequence[Record]) -> str:
    """What the kinds of the newest scores allow to say of samples that have a truth each; empty for other runs."""
    newest = next((r for r in reversed(records) if stored_scores(r)), cast("Record", {"step": 0}))
    if newest.get("paired") is not True:
        return ""
    kinds: dict[str, list[str]] = {"pair": [], "distribution": []}
    for name, (_, score) in newest_scores(records).items():
        kinds.get(str(score.get("kind")), []).append(name)
    pairs, distributions = kinds["pair"], kinds["distribution"]
    if pairs and distributions:
        return (
            f"A claim needs a score of each kind. {_some(pairs)} {_PAIRS}. {_some(distributions)} {_DISTRIBUTION}. "
            "A blurred mean can win the first kind, and right samples for wrong inputs can win the second kind."
        )
    if pairs:
        return f"{_some(pairs)} {_PAIRS}: a blurred mean can win them. A claim needs a score of the distribution too, and none was computed."
    if distributions:
        return (
            f"{_some(distributions)} {_DISTRIBUTION}: right samples for wrong inputs can win them. A claim needs a score of pairs too, "
            "and none was computed."
        )
    return ""


def _claim(records: Sequence[Record]) -> list[Finding]:
    """A finding where the scores are of one kind only, so that they carry no claim."""
    said = claim(records)
    return [Finding("info", "The scores are of one kind", said)] if said.endswith("none was computed.") else []


def _some(names: Sequence[str]) -> str:
    """Up to three names; one name stands with words that fit the plural of the sentence."""
    few = list(names[:3])
    if len(names) > 3:
        return f"{', '.join(few)} and {len(names) - 3} more"
    return f"The values of {few[0]}" if len(few) == 1 else f"{', '.join(few[:-1])} and {few[-1]}"


def _upper(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def many(ratio: float) -> str:
    """A ratio in at most nine characters: ``1.2``, ``90``, ``12,000``, ``over a million``."""
    if ratio > 1e6:
        return "over a million"
    return f"{float(f'{ratio:.2g}'):,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def cost(value: float, better: object, floor: float | None) -> float | None:
    """A number that is lower for a better value. None for a score that is best near a floor, where the floor is not known."""
    if better == NEAR:
        return None if floor is None else abs(value - floor)
    return -value if better == "higher" else value


def wanted(better: object) -> str:
    """What is better in words: ``lower``, ``higher`` or ``near the floor``. Logs may hold anything, which counts as ``lower``."""
    return "near the floor" if better == NEAR else "higher" if better == "higher" else "lower"
