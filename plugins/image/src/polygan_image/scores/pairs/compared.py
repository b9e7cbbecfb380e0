"""Made pictures next to their truths, and a score of them next to the scores of trivial answers and of a run's own start."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch

from polygan import DataError, Score

from ...data.values.windows import has_window, window_of
from .trivial import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from polygan import Evaluation, Pairs

    Measure = Callable[["Compared", Tensor], float]
    """A score of answers (n, C, H, W) to the given pictures of a comparison."""

_MOST = 32 * 2**20  # values of the pictures of a side; a float has 4 bytes


class Compared:
    """Held-out pictures of an evaluation: ``given``, ``made`` and ``truth``, (n, C, H, W) in [-1, 1] on the CPU, in one order.

    What is made is rounded to the levels of a file, as is every answer that `rounded` gets. Raises DataError where there are no pairs.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = e = evaluation
        info = e.info
        self.n = min(e.samples, max(1, _MOST // (info["channels"] * info["height"] * info["width"])))
        pairs = e.pairs(self.n)
        self.given, self.truth = _floats(pairs.given.data), _floats(pairs.truth.data)
        self.n = len(self.truth)
        self.made, self.broken = self._of(pairs)

    @classmethod
    def of(cls, evaluation: Evaluation) -> Compared:
        """The comparison of an evaluation, made once: metrics share it."""
        latest: list[Compared] = evaluation.once("image/compared", list)
        if not latest or latest[0].evaluation is not evaluation:
            latest.clear()  # the memory of an earlier evaluation is free before another is made
            latest.append(cls(evaluation))
        return latest[0]

    @property
    def window(self) -> tuple[float, float]:
        """The values in the data's units that are -1 and 1."""
        return window_of(self.evaluation.info)

    @property
    def scale(self) -> int:
        """How many times larger a side of the truth is than of the given picture; 1: the given picture is not smaller."""
        return max(1, self.truth.shape[2] // self.given.shape[2])

    @property
    def derived(self) -> str:
        """How given pictures follow from their truths: ``"grey"``, ``"smaller"``; empty: they do not."""
        pairs = self.evaluation.info.get("pairs", "")
        return pairs if pairs in ("grey", "smaller") else ""

    @cached_property
    def trivial(self) -> Mapping[str, Tensor]:
        """Trivial answers by name."""
        found = answers(self.evaluation, self.given, self.truth)
        return {name: self.rounded(answer) for name, answer in found.items()}

    @cached_property
    def variants(self) -> Mapping[str, Tensor]:
        """The answers of the run's other networks by name, such as the start of its game."""
        e = self.evaluation
        return {name: self._of(e.pairs(self.n, name))[0] for name in e.recipe.variants}

    def rounded(self, data: Tensor) -> Tensor:
        """Pictures as they would be written: clipped, and for data of plain bytes rounded to the 256 levels."""
        data = data.clamp(-1, 1)
        if has_window(self.evaluation.info):
            return data
        return ((data + 1) * 127.5).round() / 127.5 - 1

    def _of(self, pairs: Pairs) -> tuple[Tensor, int]:
        """The made pictures, and how many had NaN or infinite pixels."""
        made = pairs.made.data.float().cpu()
        if made.shape != self.truth.shape:
            raise DataError(
                f"the recipe made pictures {tuple(made.shape)} of pairs whose truth is {tuple(self.truth.shape)}; they cannot be compared"
            )
        broken = int((~made.isfinite()).flatten(1).any(1).sum())
        return self.rounded(torch.nan_to_num(made, nan=0.0)), broken


def compare(
    evaluation: Evaluation,
    name: str,
    measure: Measure,
    what: str,
    *,
    better: str = "lower",
    kind: Literal["", "pair", "distribution"] = "pair",
    floor: float | None = None,
    key: str = "",
) -> Score:
    """The score ``name`` of the made pictures; its baseline is the best trivial answer, and its note names the others.

    ``what`` says what was measured. ``key`` tells measures apart that have one name (of different feature networks).
    """
    compared = Compared.of(evaluation)

    def of_trivial() -> dict[str, float]:
        return {label: measure(compared, answer) for label, answer in compared.trivial.items()}

    trivial = evaluation.once(("image/trivial", name, key, compared.n), of_trivial)
    best = (max if better == "higher" else min)(trivial, key=lambda label: trivial[label]) if trivial else None
    others = {label: value for label, value in trivial.items() if label != best}
    others |= {label: measure(compared, made) for label, made in compared.variants.items()}
    note = "; ".join(
        [f"{compared.n} held-out pairs", what, *(f"{label} {value:.4g}" for label, value in others.items())]
    )
    if compared.broken:
        note += f"; {compared.broken} made pictures had NaN or infinite pixels"
    baseline = None if best is None else (trivial[best], best)
    return Score(name, measure(compared, compared.made), floor, better, note, baseline, kind)


def _floats(data: Tensor) -> Tensor:
    return data.float().cpu()
