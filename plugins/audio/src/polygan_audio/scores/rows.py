"""Rows of a table of scores: the made clips, and beside them Griffin-Lim and the untrained networks."""

from __future__ import annotations

from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from polygan import DataError, Score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from .resynthesis import Resynthesis

    Judge = Callable[[Sequence[Tensor]], Sequence[float | None]]
    """From clips to a value for each; None where a clip cannot be judged."""

T = TypeVar("T")


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


def broken(resynthesis: Resynthesis) -> str:
    """How many made clips were broken, to stand behind a note."""
    return f"; {resynthesis.broken} made clips had NaN or infinite samples" if resynthesis.broken else ""


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


def table(
    resynthesis: Resynthesis,
    name: str,
    judge: Judge,
    floor: float | None,
    better: str = "lower",
    more: str = "",
    baseline: tuple[float, str] | None = None,
) -> list[Score]:
    """The means of ``judge`` as scores: the networks' first. Of the others, what cannot be judged is left out."""
    scores = []
    for kind, values in judged(resynthesis, name, judge).items():
        refused = sum(v is None or not isfinite(v) for v in values)
        if kind and refused == len(values):
            continue
        said = note(resynthesis, refused, more) + ("" if kind else broken(resynthesis))
        value, title = mean(name, values), f"{name}-of-{kind}" if kind else name
        scores.append(Score(title, value, floor, better, said, None if kind else baseline))
    return scores
