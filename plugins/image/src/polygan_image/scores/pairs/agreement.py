"""Whether made pictures agree with what was given: shrunk or without colours, on the way back, and from frame to frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from polygan import DataError, Score

from ...data import given as given_pictures
from ...data.values.windows import window_of
from .compared import Compared, compare

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Evaluation

_FRAMES = 64  # neighbouring frames that are compared
_LIKE, _STILL = (
    0.5,
    0.2,
)  # shares of the change to a distant picture, and to the same picture turned, that frames stay below
_WHAT = {"grey": "without their colours", "smaller": "shrunk"}


def consistency(evaluation: Evaluation) -> list[Score]:
    """``image/consistency``: how far made pictures, made grey or smaller as the data was, are from the given pictures.

    The mean absolute difference in the data's own units; 0 for the truth. DataError where given pictures do not follow from the truth.
    """
    compared = Compared.of(evaluation)
    if not compared.derived:
        raise DataError(
            "the score turns made pictures back into given ones, which only data.pairs = grey and smaller allow"
        )
    low, high = compared.window

    def measure(compared: Compared, made: Tensor) -> float:
        back = given_pictures.pair(made, evaluation.info)
        assert back is not None
        return float((back - compared.given).abs().double().mean()) * (high - low) / 2

    what = f"pictures {_WHAT[compared.derived]} against the given ones, in units from {low:g} to {high:g}"
    return [compare(evaluation, "image/consistency", measure, what, kind="")]


def change(earlier: Tensor, later: Tensor) -> float:
    """Mean absolute difference of pictures (n, C, H, W) in [-1, 1] from their neighbours, in levels of 255."""
    return float((later.float() - earlier.float()).abs().double().mean()) * 127.5


def flicker(evaluation: Evaluation) -> list[Score]:
    """``image/flicker``: how much more neighbouring made frames differ than their given frames, in levels of 255.

    Neighbours are held-out pictures and the next pictures of the data, in the order of their files. The floor is the same of the real
    frames. DataError where neighbours are not alike, so that the pictures are no frames.
    """
    e = evaluation
    if e.recipe.given is None:
        raise DataError("the score compares made frames with given frames, and this recipe makes pictures from noise")
    if not len(e.held_out):
        raise DataError("the score needs held-out frames, and none were kept; train with --data.held_out 0.1")
    rows = np.sort(np.asarray(e.held_out.rows))
    rows = rows[rows + 1 < len(e.held_out.store)][:: max(1, len(rows) // _FRAMES)][:_FRAMES]
    if len(rows) < 2:
        raise DataError(f"the score needs two held-out frames or more, and here are {len(rows)}")
    first, then = (e.domain.given(e.held_out, r) for r in (rows, rows + 1))
    given = change(first.data, then.data)
    distant, turned = then.data.roll(len(rows) // 2, 0), first.data.flip(2, 3)
    if given > max(_LIKE * change(first.data, distant), _STILL * change(first.data, turned)):
        raise DataError(
            "the score needs frames in the order of their files, and neighbouring pictures of this data are not alike"
        )
    made = [e.generate(len(rows), e.seed, given=samples).data.cpu().clamp(-1, 1) for samples in (first, then)]
    real = [e.domain.real(e.held_out, r).data for r in (rows, rows + 1)]
    floor = change(real[0], real[1]) - given if e.paired else None
    note = f"{len(rows)} pairs of neighbouring frames; the given frames change by {given:.3g} of 255"
    return [Score("image/flicker", change(made[0], made[1]) - given, floor, note=note)]


def cycle(evaluation: Evaluation) -> list[Score]:
    """``image/cycle``: how far pictures that went to the other side and back are from what they were, in the data's own units.

    The mean absolute difference. A recipe that changes nothing gets 0, so read it together with ``image/kid``. DataError for a recipe
    that does not make both sides.
    """
    e, sides = evaluation, evaluation.sides
    if sides is None or not hasattr(e.recipe.Sampling(), "to"):
        raise DataError("the score takes pictures to the other side and back, and this recipe does not make both sides")
    back = type(e.recipe.Sampling())(to=sides.given)
    given = e.given(e.samples)
    assert given is not None
    made = e.generate(len(given), e.seed, given=given)
    returned = e.generate(len(given), e.seed, back, given=made)
    low, high = window_of(e.info)
    scale = (high - low) / 2

    def away(data: Tensor) -> float:
        return float((data.float().cpu() - given.data.float().cpu()).abs().double().mean()) * scale

    note = f"{len(given)} held-out pictures of {sides.given}, in units from {low:g} to {high:g}; on the other side {away(made.data):.3g} away"
    return [Score("image/cycle", away(returned.data), note=note)]
