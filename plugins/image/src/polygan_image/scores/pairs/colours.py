"""Colours of made pictures against those of the truth: pixel by pixel, and as a distribution over all pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from polygan import DataError

from ...colour import delta_e, srgb_to_lab
from ..classifier import measured_rows
from .compared import Compared, compare

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Evaluation, Score

_BIN, _EDGE = 10, 110  # units of a and b; sRGB's colours lie within [-110, 110]
_SIDE = 2 * _EDGE // _BIN
_ROWS = 32


def difference(made: Tensor, truth: Tensor) -> float:
    """Mean CIEDE2000 over all pixels of colour pictures (n, 3, H, W) in [-1, 1]; about 1 is just seen."""
    pieces = zip(made.split(_ROWS), truth.split(_ROWS), strict=True)
    means = [delta_e(srgb_to_lab(a), srgb_to_lab(b)).double().mean() * len(a) for a, b in pieces]
    return float(sum(means)) / len(made)


def histogram(image: Tensor) -> Tensor:
    """(484,) shares of the pixels of colour pictures (n, 3, H, W) in bins of 10 x 10 units of a and b, from -110 to 110."""
    counts = torch.zeros(_SIDE**2, dtype=torch.float64)
    for piece in image.split(_ROWS):
        a, b = ((srgb_to_lab(piece)[:, 1:] + _EDGE) / _BIN).long().clamp(0, _SIDE - 1).unbind(1)
        counts += torch.bincount((a * _SIDE + b).flatten(), minlength=_SIDE**2)
    return counts / counts.sum()


def divergence(p: Tensor, q: Tensor) -> float:
    """Jensen-Shannon divergence of two distributions (k,) in bits, in [0, 1]: 0 for equal ones, 1 for disjoint ones."""
    middle = (p + q) / 2

    def to_middle(x: Tensor) -> Tensor:
        return torch.special.xlogy(x, torch.where(x > 0, x / middle, 1.0)).sum() / torch.log(torch.tensor(2.0))

    return float((to_middle(p) + to_middle(q)) / 2)


def colourfulness(image: Tensor) -> float:
    """Mean colourfulness of pictures (n, 3, H, W) in [-1, 1], Hasler and Süsstrunk 2003, in units of 255: 0 grey, 109 extreme."""
    red, green, blue = ((image.double() + 1) * 127.5).flatten(2).unbind(1)  # (n, H W) each
    first, second = red - green, (red + green) / 2 - blue
    deviation = torch.hypot(first.std(1, correction=0), second.std(1, correction=0))
    return float((deviation + 0.3 * torch.hypot(first.mean(1), second.mean(1))).mean())


def colour_difference(evaluation: Evaluation) -> list[Score]:
    """``image/colour-difference``: mean CIEDE2000 between the made and the true colour of each pixel."""
    _in_colour(evaluation)
    return [
        compare(
            evaluation,
            "image/colour-difference",
            lambda c, made: difference(made, c.truth),
            "CIEDE2000, mean over pixels",
        )
    ]


def colour_distribution(evaluation: Evaluation) -> list[Score]:
    """``image/colour-distribution``: `divergence` of the ab histogram of the made pictures from the truths'.

    The floor is the divergence of as many training pictures.
    """
    compared = _in_colour(evaluation)
    e, real = evaluation, histogram(compared.truth)
    rows = measured_rows(e.train)[: compared.n]
    floor = e.once(
        ("image/ab floor", compared.n), lambda: divergence(histogram(e.domain.real(e.train, rows).data.float()), real)
    )
    made, theirs = colourfulness(compared.made), colourfulness(compared.truth)
    what = (
        f"Jensen-Shannon divergence in bits of histograms of {_BIN} x {_BIN} units of a and b, floor {len(rows)} training pictures; "
        f"colourfulness {made:.3g} of {theirs:.3g}"
    )
    name = "image/colour-distribution"
    return [
        compare(
            e,
            name,
            lambda c, answer: divergence(histogram(answer), histogram(c.truth)),
            what,
            floor=floor,
            kind="distribution",
        )
    ]


def _in_colour(evaluation: Evaluation) -> Compared:
    compared = Compared.of(evaluation)
    if compared.truth.shape[1] != 3 or compared.window != (0, 255):
        raise DataError("the score compares colours, and these pictures are not red, green and blue from 0 to 255")
    return compared
