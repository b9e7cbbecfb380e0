"""Means of values that stay on their device until they are logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Meter:
    """Collects 0-d tensors by name. Adding one launches nothing; `means` reads nothing either."""

    FOLD = 512  # tensors held a name before they are summed, so that a long log interval costs no memory

    def __init__(self) -> None:
        self._pending: dict[str, list[Tensor]] = {}
        self._folded: dict[str, tuple[Tensor, int]] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Count ``value`` in."""
        pending = self._pending.setdefault(name, [])
        pending.append(value.detach())
        if len(pending) >= self.FOLD:
            self._fold(name)

    def _fold(self, name: str) -> tuple[Tensor, int]:
        pending = self._pending.get(name, [])
        if pending:
            total, count = torch.stack([v.float() for v in pending]).sum(), len(pending)
            if name in self._folded:
                total, count = total + self._folded[name][0], count + self._folded[name][1]
            self._folded[name] = (total, count)
            pending.clear()
        return self._folded[name]

    def means(self) -> dict[str, Tensor]:
        """The mean of each name, sorted by name, as 0-d float32 tensors on their device."""
        folded = ((name, *self._fold(name)) for name in sorted(self._pending))
        return {name: total / count for name, total, count in folded}

    def clear(self) -> None:
        """Start anew."""
        self._pending.clear()
        self._folded.clear()
