"""Rows of a table of scores: the made clips, and beside them Griffin-Lim and the networks that the run began with."""

from __future__ import annotations

from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from polygan import DataError, Score

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from .resynthesis import Resynthesis

    Judge = Callable[[Sequence[Tensor]], Sequence[float | None]]
    """From clips to a value for each; None where a clip cannot be judged."""

T = TypeVar("T")

LEAST = 0.01
"""Share of a value by which another must be worse to be called so."""
_TOLD = {
    "griffin-lim": "Griffin-Lim from the same mels, which needs no training",
    "start": "the untrained networks",
}


def named(kind: str, started_from: str = "") -> str:
    """What stands beside made clips, in words; ``started_from`` is the ``init_from`` of the run (`Resynthesis.started_from`)."""
    if kind == "start" and started_from:
        return f"the networks of {started_from}, which the run began with"
    return _TOLD.get(kind, kind)


def counted(count: int, kind: str = "") -> str:
    """``1 clip``, ``27 held-out clips``."""
    return f"{count} {kind}clip{'' if count == 1 else 's'}"


def note(resynthesis: Resynthesis, refused: int = 0, more: str = "") -> str:
    """What a reader must know to compare a score with another."""
    r = resynthesis.recordings
    seconds = sum(map(len, r.clips)) / r.rate
    front = f"mel of {r.spec.n_mels} bands, {r.spec.n_fft}/{r.spec.hop_length}, padding {r.spec.padding}"
    parts = [f"{counted(len(r.clips), 'held-out ')}, {seconds:.0f} s at {r.rate} Hz", front, more]
    parts += [f"{counted(refused)} could not be judged"] if refused else []
    parts += [f"{counted(r.short)} {'was' if r.short == 1 else 'were'} too short"] if r.short else []
    parts += [f"{counted(r.untold)} had no transcript"] if r.untold else []
    return "; ".join(filter(None, parts))


def own(resynthesis: Resynthesis, kind: str = "") -> str:
    """The end of a note on one row: how many made clips were broken, or whose networks the start had."""
    if kind == "start" and resynthesis.started_from:
        return f"; {named(kind, resynthesis.started_from)}"
    return f"; {resynthesis.broken} made clips had NaN or infinite samples" if resynthesis.broken and not kind else ""


def judged(resynthesis: Resynthesis, name: str, judge: Callable[[Sequence[Tensor]], T]) -> dict[str, T]:
    """What ``judge`` says of the made clips (by the empty name), of ``griffin-lim`` and of ``start``, these two once a run."""
    found = {"": judge(resynthesis.fakes)}
    for kind, clips in resynthesis.others().items():
        found[kind] = resynthesis.recordings.once(f"{name} {kind}", partial(judge, clips))
    return found


def mean(name: str, values: Sequence[float | None]) -> float:
    """The mean of the finite values. DataError where there are none."""
    known = [v for v in values if v is not None and isfinite(v)]
    if not known:
        raise DataError(
            f"{name}: none of the {len(values)} clips could be judged: they are silent, or shorter than the measure needs"
        )
    return float(np.mean(known))


def behind(
    made: Sequence[float | None], others: Mapping[str, Sequence[float | None]], better: str, started_from: str = ""
) -> str:
    """Whether made clips are worse than ``griffin-lim`` and ``start`` (`named`), in words; empty: they are not.

    Worse means on average by more than `LEAST` of the other value and, where there are several clips, by more than twice the
    standard error of the mean difference between the same clips.
    """
    found = []
    for kind, values in others.items():
        both = [(a, b) for a, b in zip(made, values, strict=True) if a is not None and b is not None]
        known = np.array([pair for pair in both if isfinite(sum(pair))]).reshape(-1, 2)
        if not len(known):
            continue
        gap = (known[:, 0] - known[:, 1]) * (-1 if better == "higher" else 1)
        usual = known[:, 1].mean()
        error = gap.std(ddof=1) / len(gap) ** 0.5 if len(gap) > 1 else 0.0
        if gap.mean() > max(LEAST * abs(usual), 2 * error):
            found.append(f"than {named(kind, started_from)} ({usual:.3g})")
    value = np.mean([v for v in made if v is not None and isfinite(v)]) if found else 0.0
    return f"{value:.3g} is worse {' and '.join(found)}" if found else ""


def table(
    resynthesis: Resynthesis,
    name: str,
    judge: Judge,
    floor: float | None,
    better: str = "lower",
    more: str = "",
    baseline: tuple[float, str] | None = None,
    trouble: str | None = "",
) -> list[Score]:
    """The means of ``judge`` as scores: the networks' first. Of the others, what cannot be judged is left out.

    ``trouble``: what is wrong with the networks' clips (`polygan.Score.trouble`); None: for a vocoder what `behind` says.
    """
    scores, found = [], judged(resynthesis, name, judge)
    if trouble is None and resynthesis.vocoder:
        others = {kind: values for kind, values in found.items() if kind}
        trouble = behind(found[""], others, better, resynthesis.started_from)
    for kind, values in found.items():
        refused = sum(v is None or not isfinite(v) for v in values)
        if kind and refused == len(values):
            continue
        said = note(resynthesis, refused, more) + own(resynthesis, kind)
        value, title = mean(name, values), f"{name}-of-{kind}" if kind else name
        trivial, wrong = (None, "") if kind else (baseline, trouble or "")
        scores.append(Score(title, value, floor, better, said, trivial, trouble=wrong))
    return scores
