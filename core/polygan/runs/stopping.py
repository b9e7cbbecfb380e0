"""Requests to stop from outside: SIGTERM, SIGUSR1 and Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..messages import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from ..training.trainer import Trainer


@contextmanager
def stop_signals(trainer: Trainer) -> Iterator[list[int]]:
    """Let SIGTERM, SIGUSR1 and the first Ctrl-C ask the trainer to save and stop; a second Ctrl-C stops at once.

    Yields the list of the signals that came. In another thread than the main thread, signals are left alone.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        # Under torchrun each process gets two signals for one Ctrl-C: the terminal's and torchrun's own.
        if number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            if number in came:
                raise KeyboardInterrupt
            say("stopping after this iteration; Ctrl-C again stops at once")
        came.append(number)
        trainer.request_stop()

    wanted = [getattr(signal, n) for n in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, n)]
    before = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
