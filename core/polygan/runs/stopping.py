"""Requests to stop: SIGTERM, SIGUSR1 and Ctrl-C from outside, KeyboardInterrupt and StopTraining from one of several listeners."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import StopTraining
from ..messages import say
from ..training.trainer import Listener

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

    from ..training.trainer import Trainer

_ACTION = 512  # bytes, more than a struct sigaction of any system


class Listeners(Listener):
    """Tells several listeners about each event, in order. The first score that a listener returns counts.

    A KeyboardInterrupt of a listener stops training as Ctrl-C does: after saving. ``came`` is the list of signals of `stop_signals`;
    a second Ctrl-C still stops at once. ``stopped`` says why a listener raised StopTraining; None: no listener has.
    """

    stopped: str | None = None

    def __init__(self, listeners: Sequence[Listener], came: list[int] | None = None) -> None:
        self.listeners, self.came = listeners, [] if came is None else came

    def _tell(self, event: str, trainer: Trainer, *facts: object) -> list[float | None]:
        """What each listener returns; nothing where a listener stops training."""
        try:
            return [getattr(listener, event)(trainer, *facts) for listener in self.listeners]
        except StopTraining as stop:
            self.stopped = status_of(stop)
        except KeyboardInterrupt:
            if self.came.count(signal.SIGINT) > 1:
                raise
            self.came.append(signal.SIGINT)
        trainer.request_stop()
        return []

    def logged(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        """Tell all."""
        self._tell("logged", trainer, values)

    def sample(self, trainer: Trainer) -> None:
        """Tell all."""
        self._tell("sample", trainer)

    def evaluate(self, trainer: Trainer) -> float | None:
        """Ask all, tell all the first score, and return it."""
        score = next((score for score in self._tell("evaluate", trainer) if score is not None), None)
        if score is not None:
            self.evaluated(trainer, score)
        return score

    def evaluated(self, trainer: Trainer, score: float) -> None:
        """Tell all."""
        self._tell("evaluated", trainer, score)

    def saved(self, trainer: Trainer, path: Path) -> None:
        """Tell all."""
        self._tell("saved", trainer, path)

    def diverged(self, trainer: Trainer, message: str) -> None:
        """Tell all."""
        self._tell("diverged", trainer, message)


def status_of(stop: StopTraining) -> str:
    """The status of a run that a listener stopped."""
    said = " ".join(str(stop).split())[:300]
    return f"stopped by a listener: {said}" if said else "stopped by a listener"


@contextmanager
def stop_signals(trainer: Trainer, came: list[int] | None = None) -> Iterator[list[int]]:
    """Let SIGTERM, SIGUSR1 and the first Ctrl-C ask the trainer to save and stop; a second Ctrl-C stops at once.

    Yields the list of the signals that came. Signals that the process ignores stay ignored (`nohup`, a shell's background). In
    another thread than the main thread, signals are left alone.
    """
    came = [] if came is None else came
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        again = number in came
        came.append(number)
        # Under torchrun each process gets two signals for one Ctrl-C: the terminal's and torchrun's own.
        if number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            if again:
                raise KeyboardInterrupt
            say("stopping after this iteration; Ctrl-C again stops at once")
        trainer.request_stop()

    wanted = [getattr(signal, n) for n in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, n)]
    wanted = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
    actions = {number: _action(number) for number in wanted}
    before = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield came
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: no handler of Python
                signal.signal(number, handler)
            _put_back(number, actions[number])


def _action(number: int) -> bytes:
    """The system's own record of a signal's handler, such as that of faulthandler, which Python does not know; empty if unknown."""
    record = ctypes.create_string_buffer(_ACTION)
    with suppress(Exception):  # a system without sigaction
        if ctypes.CDLL(None).sigaction(int(number), None, record) == 0:
            return record.raw
    return b""


def _put_back(number: int, action: bytes) -> None:
    if action:
        ctypes.CDLL(None).sigaction(int(number), ctypes.create_string_buffer(action, _ACTION), None)
