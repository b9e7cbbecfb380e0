"""Trivial answers to given pictures, for baselines: copies, medians of the training pictures, and enlarging by formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from ...colour import lab_to_srgb, lightness, srgb_to_lab, within_gamut
from ...data.given import in_colour
from ..classifier import measured_rows

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Evaluation, Samples

_LIGHTNESSES = 50  # bins of 2 units of L
_TRAINING = 12 * 2**20  # most values of training pictures that medians are taken of
_ROWS = 32  # pictures whose colours are turned at once


def answers(evaluation: Evaluation, given: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Trivial answers (n, C, H, W) in [-1, 1] by name, for given pictures (n, K, h, w) whose truths have the shape of ``truth``."""
    facts, (channels, height, width) = evaluation.info.get("given", {}), truth.shape[1:]
    if "values" in facts:
        return {"median picture": _median_picture(evaluation, truth), "median by class": _by_class(evaluation, given)}
    if tuple(given.shape[2:]) != (height, width):
        if given.shape[1] != channels:
            return {}
        filters = {"bicubic": Image.Resampling.BICUBIC, "Lanczos": Image.Resampling.LANCZOS}
        return {name: enlarged(given, (height, width), filter) for name, filter in filters.items()}
    found = {}
    if given.shape[1] == 1 and channels == 3:
        found["grey copy"] = in_colour(given)
        if evaluation.info.get("pairs") == "grey":
            return {**found, "median colour by lightness": by_lightness(evaluation, given)}
    elif given.shape[1] == channels:
        found["copy of the given picture"] = given
    return {**found, "median picture": _median_picture(evaluation, truth)}


def enlarged(data: Tensor, size: tuple[int, int], filter: Image.Resampling) -> Tensor:
    """Pictures (n, C, H, W) in [-1, 1] resized to (height, width) by a filter of Pillow, and clipped."""
    planes = data.flatten(0, 1).float().cpu().numpy()  # (n C, h, w)
    made = [np.asarray(Image.fromarray(plane).resize((size[1], size[0]), filter)) for plane in planes]
    return torch.from_numpy(np.stack(made)).unflatten(0, tuple(data.shape[:2])).clamp(-1, 1)


def by_lightness(evaluation: Evaluation, given: Tensor) -> Tensor:
    """Grey pictures (n, 1, H, W) with the median a and b that training pictures have at each lightness, as far as sRGB has them."""
    grey, real = _training(evaluation)
    bins, lab = _bins(lightness(grey.data)), torch.cat([srgb_to_lab(x) for x in real.data.split(_ROWS)])
    table = medians(bins, lab[:, 1:], _LIGHTNESSES)  # (50, 2)

    def coloured(x: Tensor) -> Tensor:
        light = lightness(x)
        return lab_to_srgb(within_gamut(torch.cat([light, _looked_up(table, _bins(light))], 1)))

    return torch.cat([coloured(x) for x in given.split(_ROWS)])


def _by_class(evaluation: Evaluation, given: Tensor) -> Tensor:
    """One-hot label maps (n, K, H, W) with the median values that training pictures have at each class."""
    maps, real = _training(evaluation)
    table = medians(maps.data.argmax(1), real.data, given.shape[1])  # (K, C)
    return _looked_up(table, given.argmax(1))


def _median_picture(evaluation: Evaluation, truth: Tensor) -> Tensor:
    """The median of the training pictures at each pixel, repeated to the shape of ``truth`` (n, C, H, W)."""
    _, real = _training(evaluation)
    return real.data.float().median(0).values.expand(truth.shape)


def medians(keys: Tensor, values: Tensor, count: int) -> Tensor:
    """(count, C): the median of ``values`` (n, C, H, W) in each channel, over all pixels where ``keys`` (n, H, W) has each number.

    A number that occurs nowhere gets the medians of the nearest number that occurs.
    """
    flat, columns = keys.flatten(), values.transpose(0, 1).flatten(1)  # (p,), (C, p)
    order = flat.argsort()
    pieces = columns[:, order].split(torch.bincount(flat, minlength=count).tolist(), 1)
    there = [i for i, piece in enumerate(pieces) if piece.shape[1]]
    found = {i: pieces[i].median(1).values for i in there}
    return torch.stack([found[min(there, key=lambda j: abs(j - i))] for i in range(count)])


def _looked_up(table: Tensor, keys: Tensor) -> Tensor:
    """(n, C, H, W): the row of a table (count, C) for each key (n, H, W)."""
    return table[keys].permute(0, 3, 1, 2)


def _bins(light: Tensor) -> Tensor:
    """(n, H, W): the bin in [0, 50) of each lightness (n, 1, H, W) in [0, 100]."""
    return (light[:, 0] * (_LIGHTNESSES / 100)).long().clamp(0, _LIGHTNESSES - 1)


def _training(evaluation: Evaluation) -> tuple[Samples, Samples]:
    """Given and real training pictures: as many as the memory for medians holds, the same for each call."""
    e, info = evaluation, evaluation.info
    size = info["height"] * info["width"] * max(info["channels"], info.get("given", {}).get("channels", 1))
    rows = measured_rows(e.train)[: max(1, _TRAINING // size)]
    return e.domain.given(e.train, rows), e.domain.real(e.train, rows)
