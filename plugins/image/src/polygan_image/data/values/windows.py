"""Windows: the values of the data that become -1 and 1, and the way back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from polygan import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

DTYPES = ("uint8", "uint16", "int16", "float32")
"""The types of values that a store holds."""
BY_DATA = ("full", "percentile")
"""Windows that the values of the data decide."""


def said(text: str, name: str = "window") -> tuple[float, float] | None:
    """(low, high) of a setting ``"LOW HIGH"``; None: the data decides. Raises ConfigError for other text, and for no width."""
    if not text or text in BY_DATA:
        return None
    words = text.replace(",", " ").split()
    try:
        low, high = map(float, words)
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ConfigError(
            f"data.{name} = {text!r} is no window; type two numbers such as --data.{name} '-1000 2000', or full, or percentile"
        )
    if low >= high:
        raise ConfigError(
            f"data.{name} = {text!r} has no width; the first number becomes black and has to be smaller than the second"
        )
    return low, high


def has_window(facts: Mapping[str, Any]) -> bool:
    """Whether values with these facts (`ImageInfo`, `Given`, `Samples.extra`) are other than plain bytes."""
    return "window" in facts or facts.get("dtype", "uint8") != "uint8"


def window_of(facts: Mapping[str, Any]) -> tuple[float, float]:
    """(low, high) of data with these facts."""
    low, high = facts.get("window", (0.0, 255.0))
    return float(low), float(high)


def to_unit(values: Tensor, facts: Mapping[str, Any]) -> Tensor:
    """float32 in [-1, 1] of stored values, on their device. Values outside the window become -1 and 1."""
    if "window" not in facts:
        return values.to(torch.float32).div(127.5).sub_(1)
    centre, half = _parts(*window_of(facts))
    return values.to(torch.float32).sub(centre).div_(half).clamp_(-1, 1)


def to_values(data: Tensor, facts: Mapping[str, Any]) -> np.ndarray:
    """Values of the data's type from floats in [-1, 1] of the same shape. NaN becomes the middle of the window."""
    centre, half = _parts(*window_of(facts))
    dtype = np.dtype(facts.get("dtype", "uint8"))
    unit = torch.nan_to_num(data.detach().to("cpu", torch.float64), nan=0.0).clamp_(-1, 1)
    values = unit.mul_(half).add_(centre).numpy()
    if dtype.kind == "f":
        return values.astype(dtype)
    bounds = np.iinfo(dtype)
    return values.round().clip(bounds.min, bounds.max).astype(dtype)


def _parts(low: float, high: float) -> tuple[float, float]:
    """The middle and half the width, as float32 holds them: both ways then use the same two numbers."""
    return float(np.float32((low + high) / 2)), float(np.float32(high / 2 - low / 2))


def extra_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What `Samples.extra` says of samples with these facts: ``window`` and ``dtype``, unless values are plain bytes."""
    if not has_window(facts):
        return {}
    return {"window": list(window_of(facts)), "dtype": facts.get("dtype", "uint8")}


def seen_as(facts: Mapping[str, Any]) -> str:
    """How stored pictures are seen, for keys of what is learned from them; empty: whole pictures of plain bytes."""
    seen = {name: facts[name] for name in ("crop", "window") if name in facts}
    return repr(seen) if seen else ""
