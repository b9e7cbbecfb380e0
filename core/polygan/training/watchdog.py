"""A watchdog that ends a process that hangs."""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import threading
import time
from typing import TYPE_CHECKING

from ..messages import fail

if TYPE_CHECKING:
    from collections.abc import Iterator


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
