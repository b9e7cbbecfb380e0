"""What watches training: means of logged values and the problems in them, and a watchdog that ends a process that hangs."""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import threading
import time
from typing import TYPE_CHECKING

import torch

from ..messages import fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from .actor import Actor
    from .distributed import World

_PATIENCE = 5
"""Seconds that writing the last message may take."""


class Watchdog:
    """Prints the stack of every thread and ends the process after ``timeout`` seconds without a `tick` (0: never).

    Python cannot interrupt a collective that hangs. After the process has ended, torchrun restarts the group, and the group
    resumes from the newest checkpoint.
    """

    EXIT_CODE = 70

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._last = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="polygan-watchdog", daemon=True)

    def __enter__(self) -> Watchdog:
        self.tick()
        if self.timeout > 0:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def tick(self) -> None:
        """Report progress."""
        self._last = time.monotonic()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Do not expect progress inside the block."""
        self._last = math.inf
        try:
            yield
        finally:
            self.tick()

    def _watch(self) -> None:
        while not self._done.wait(min(5.0, self.timeout / 4)):
            silence = time.monotonic() - self._last
            if silence > self.timeout:
                line = (
                    f"polygan: no iteration finished for {silence:.0f} s (hang_timeout = {self.timeout:g}); "
                    "the stacks of all threads follow, then the process ends so that a launcher can restart it"
                )
                teller = threading.Thread(target=fail, args=(line,), daemon=True)
                teller.start()  # in another thread, since the thread that hangs may hold the lock of a program's log
                teller.join(_PATIENCE)
                faulthandler.dump_traceback(all_threads=True)
                os._exit(self.EXIT_CODE)


class Meter:
    """Collects 0-d tensors by name. `add` launches no kernel, and `means` reads no value."""

    FOLD = 512  # tensors under one name before they are summed, so that a long log interval costs no memory

    def __init__(self) -> None:
        self._pending: dict[str, list[Tensor]] = {}
        self._folded: dict[str, tuple[Tensor, int]] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add a value to the mean of ``name``."""
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
        """The mean of each name, sorted by name, as 0-d float32 tensors on the values' device."""
        folded = ((name, *self._fold(name)) for name in sorted(self._pending))
        return {name: total / count for name, total, count in folded}

    def clear(self) -> None:
        """Forget all values."""
        self._pending.clear()
        self._folded.clear()


def read_values(
    meter: Meter, actors: Mapping[str, Actor], world: World, device: torch.device, most_skips: int
) -> tuple[dict[str, float], list[str]]:
    """The means since the last log, the actors' counters, and the problems found. The only synchronisation of training."""
    means = meter.means()
    names, numbers = list(means), list(means.values())
    numbers += [t for a in actors.values() for t in (a.skipped, a.streak, a.spoilt())]
    stacked = torch.stack([n.to(device, torch.float32) for n in numbers])
    world.average([stacked])
    read = stacked.tolist()
    values = dict(zip(names, read, strict=False))
    problems = []
    for k, (name, actor) in enumerate(actors.items()):
        skipped, streak, spoilt = read[len(names) + 3 * k : len(names) + 3 * k + 3]
        if streak >= most_skips:
            problems.append(f"the last {int(streak)} gradients of {name} were not finite")
        elif spoilt:
            problems.append(f"buffers of {name} hold NaN")
        if actor.optimizer is not None:
            values[f"skipped/{name}"] = skipped
            values[f"lr/{name}"] = float(actor.optimizer.param_groups[0]["lr"])
    return values, problems
