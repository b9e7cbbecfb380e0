"""Pictures of any values and any number of channels as pictures for the eye."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .windows import has_window, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


def shown(data: Tensor, extra: Mapping[str, Any]) -> Tensor:
    """(n, 1, 3 or 4, H, W) of pictures (n, C, H, W) in [-1, 1]: the first channel of 2, the first three of more than 3.

    Only 4 channels of 8 bits are colour and alpha.
    """
    channels = data.shape[1]
    if channels == 2:
        return data[:, :1]
    whole = channels in (1, 3) or (channels == 4 and extra.get("dtype", "uint8") == "uint8")
    return data if whole else data[:, :3]


def caption(channels: int, extra: Mapping[str, Any]) -> str:
    """What a reader of `shown` pictures has to know: the values of black and white, and which channels are shown."""
    text = ""
    if has_window(extra):
        low, high = window_of(extra)
        text = f", black is {low:g} and white {high:g}"
    if channels == 2 or channels > 4 or (channels == 4 and extra.get("dtype", "uint8") != "uint8"):
        text += f", the first {'channel' if channels == 2 else '3'} of {channels}{'' if channels == 2 else ' channels'}"
    return text
