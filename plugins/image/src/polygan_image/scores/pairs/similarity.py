"""How near made pictures are to their truths: peak signal-to-noise ratio, structural similarity and mean difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from polygan import DataError

from .compared import Compared, compare

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from polygan import Evaluation, Score

_LUMA = (65.481, 128.553, 24.966)
"""Red, green and blue in the luma of ITU-R BT.601 from 16 to 235, by which super-resolution is measured."""
_MOST = 100.0  # decibels of equal pictures, whose ratio is infinite
_WINDOW, _SIGMA = 11, 1.5  # of Wang et al. 2004
_K1, _K2, _RANGE = 0.01, 0.03, 2.0
_ROWS = 16


def luma(image: Tensor) -> Tensor:
    """(n, 1, H, W): the luma of colour pictures (n, 3, H, W) in [-1, 1], where 16 and 235 of 255 are black and white."""
    weights = image.new_tensor(_LUMA)[:, None, None] / 255
    return ((image + 1) / 2 * weights).sum(1, keepdim=True) * 2 + 2 * 16 / 255 - 1


def psnr(made: Tensor, truth: Tensor) -> Tensor:
    """(n,) decibels of pictures (n, C, H, W) in [-1, 1]: 10 log10(peak^2 / mean squared difference), at most 100."""
    squares = (made.double() - truth.double()).square().flatten(1).mean(1)
    return (10 * torch.log10(_RANGE**2 / squares)).clamp(max=_MOST)


def ssim(made: Tensor, truth: Tensor) -> Tensor:
    """(n,) structural similarity of pictures (n, C, H, W) in [-1, 1], the mean over channels; 11 pixels a side or more.

    Wang et al. 2004, eq. 13, with their Gaussian window of 11 x 11 and sigma 1.5 inside the picture, K1 = .01 and K2 = .03.
    """
    x, y = made.double().flatten(0, 1)[:, None], truth.double().flatten(0, 1)[:, None]  # (n C, 1, H, W)
    mean_x, mean_y, xx, yy, xy = (_blurred(v) for v in (x, y, x * x, y * y, x * y))
    mean_x, mean_y = mean_x + 1, mean_y + 1  # the formula is of values from 0
    xx, yy, xy = (v + shift for v, shift in ((xx, 2 * mean_x - 1), (yy, 2 * mean_y - 1), (xy, mean_x + mean_y - 1)))
    c1, c2 = (_K1 * _RANGE) ** 2, (_K2 * _RANGE) ** 2
    alike = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    alike = alike * (2 * (xy - mean_x * mean_y) + c2) / (xx - mean_x**2 + yy - mean_y**2 + c2)
    return alike.flatten(1).mean(1).unflatten(0, tuple(made.shape[:2])).mean(1)


def _blurred(x: Tensor) -> Tensor:
    """(n, 1, H - 10, W - 10): Gaussian means of (n, 1, H, W)."""
    at = torch.arange(_WINDOW, dtype=x.dtype) - _WINDOW // 2
    line = torch.exp(-at.square() / (2 * _SIGMA**2))
    line = line / line.sum()
    return F.conv2d(F.conv2d(x, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))


def signal_to_noise(evaluation: Evaluation) -> list[Score]:
    """``image/psnr``, and ``image/psnr-luma`` unless luma was given: mean over pictures; of enlarged pictures the border is left out."""
    return _in_colour_and_luma(evaluation, "image/psnr", lambda a, b: float(psnr(a, b).mean()), "decibels")


def structure(evaluation: Evaluation) -> list[Score]:
    """``image/ssim``, and ``image/ssim-luma`` unless luma was given: mean over pictures; of enlarged pictures the border is left out."""
    compared = Compared.of(evaluation)
    height, width = (side - 2 * _border(compared) for side in compared.truth.shape[2:])
    if min(height, width) < _WINDOW:
        raise DataError(f"image/ssim needs {_WINDOW} pixels a side or more, and here are {width}x{height}")

    def mean(a: Tensor, b: Tensor) -> float:
        pieces = [ssim(x, y) for x, y in zip(a.split(_ROWS), b.split(_ROWS), strict=True)]
        return float(torch.cat(pieces).mean())

    return _in_colour_and_luma(evaluation, "image/ssim", mean, f"Gaussian window of {_WINDOW}")


def absolute(evaluation: Evaluation) -> list[Score]:
    """``image/mae``: the mean absolute difference in the data's own units."""
    low, high = Compared.of(evaluation).window
    units = f"in units of the data, from {low:g} to {high:g}"

    def measure(compared: Compared, made: Tensor) -> float:
        return float((made - compared.truth).abs().double().mean()) * (high - low) / 2

    return [compare(evaluation, "image/mae", measure, units)]


def _border(compared: Compared) -> int:
    """Pixels at each edge that are left out: enlarging has fewer given pixels there."""
    return compared.scale if compared.scale > 1 else 0


def _in_colour_and_luma(
    evaluation: Evaluation, name: str, mean: Callable[[Tensor, Tensor], float], what: str
) -> list[Score]:
    compared = Compared.of(evaluation)
    border = _border(compared)
    what += f", without a border of {border} pixels" if border else ""

    def cut(x: Tensor) -> Tensor:
        return x[..., border : x.shape[-2] - border, border : x.shape[-1] - border]

    scores = [compare(evaluation, name, lambda c, made: mean(cut(made), cut(c.truth)), what, better="higher")]
    if compared.truth.shape[1] == 3 and compared.derived != "grey":  # else luma is what was given
        of_luma = f"{what}, luma of BT.601"
        scores.append(
            compare(
                evaluation,
                f"{name}-luma",
                lambda c, made: mean(luma(cut(made)), luma(cut(c.truth))),
                of_luma,
                better="higher",
            )
        )
    return scores
