"""The LSTM of networks that run under autocast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class LSTM(nn.LSTM):
    """`torch.nn.LSTM` for inputs (n, L, D) that also runs under autocast to float16 on a processor, where torch has no kernel: in float32."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs (n, L, H), and the last hidden and cell states."""
        half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.float16
        if input.device.type != "cpu" or not half:
            return super().forward(input, hx)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float(), hx)
