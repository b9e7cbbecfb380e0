"""The progress of training on the terminal."""

from __future__ import annotations

import sys
import time
from bisect import bisect_right
from collections import deque
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

from ..messages import printable, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..game.protocol import Turn
    from ..training.trainer import Trainer

_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"  # tqdm's own, without tqdm's time left

_WINDOWS = 50  # stretches between two logs that are remembered of a phase


class TimeLeft:
    """Estimates the time left by phase. A phase is a stretch of steps that plays the same turns, and each has its own speed."""

    def __init__(self, turns: Sequence[Turn], steps: int, step: int) -> None:
        edges = {edge for turn in turns for edge in (turn.start, turn.stop) if edge is not None and 0 < edge < steps}
        self.steps = steps
        self._edges = [0, *sorted(edges), steps]
        self._measured = [
            deque[tuple[int, float]](maxlen=_WINDOWS) for _ in self._edges[1:]
        ]  # steps and seconds, by phase
        self._step, self._since = step, time.monotonic()

    def _within(self, first: int, last: int) -> dict[int, int]:
        """The phases of the steps from ``first`` to ``last``, each with its number of these steps."""
        parts = {}
        phase = max(bisect_right(self._edges, first) - 1, 0)
        while first < last and phase < len(self._measured):
            end = min(self._edges[phase + 1], last)
            parts[phase], first, phase = end - first, end, phase + 1
        return parts

    def reached(self, step: int) -> None:
        """Measure the steps since the last call. After a rollback nothing is measured until the next call."""
        now, parts = time.monotonic(), self._within(self._step, step)
        seconds, (self._step, self._since) = now - self._since, (step, now)
        unknown = [phase for phase in parts if not self._measured[phase]]
        for phase, steps in parts.items():
            if phase not in unknown and len(parts) > 1:
                seconds -= steps * self._speed(phase)
        measured = unknown if len(parts) > 1 else list(parts)
        if len(measured) == 1:  # the seconds of two new phases cannot be told apart
            (phase,) = measured
            self._measured[phase].append((parts[phase], max(seconds, 0.0)))

    def _speed(self, phase: int) -> float:
        """Seconds a step. A pause, such as a machine that was put to sleep, counts as ten usual stretches at most."""
        found = self._measured[phase]
        usual = median(seconds / steps for steps, seconds in found)
        return sum(min(seconds, 10 * usual * steps) for steps, seconds in found) / sum(steps for steps, _ in found)

    def __str__(self) -> str:
        """``6:00 left``, ``at least 0:28 left`` while the speed of a later phase is unknown, or nothing."""
        parts = self._within(self._step, self.steps)
        known = {phase: steps * self._speed(phase) for phase, steps in parts.items() if self._measured[phase]}
        if parts and not known:
            return "time left unknown"
        return f"{'' if len(known) == len(parts) else 'at least '}{_clock(sum(known.values()))} left"


class Progress:
    """A live line on a terminal (iteration, samples/s, time left, loss terms), a bar in a notebook with ipywidgets, else plain lines."""

    def __init__(self, steps: int, *, quiet: bool = False) -> None:
        self.steps, self.quiet = steps, quiet
        self.live = not quiet and (_in_notebook() or sys.stderr.isatty())
        self._bar: tqdm[NoReturn] | None = None
        self._left: TimeLeft | None = None

    def start(self, step: int, turns: Sequence[Turn] = ()) -> None:
        """Training begins at ``step``."""
        self._left = TimeLeft(turns, self.steps, step)
        if self.live:
            bars = tqdm
            if _in_notebook():
                from tqdm.notebook import tqdm as bars
            self._bar = bars(total=self.steps, initial=step, unit="it", dynamic_ncols=True, leave=True, bar_format=_BAR)

    def show(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        """Show the step, the speed, the time left and the loss terms after values were logged."""
        if self._left is None:
            return
        self._left.reached(trainer.step)
        turns = {t.name for t in trainer.turns}
        terms = " ".join(f"{k} {v:.3g}" for k, v in values.items() if k.partition("/")[0] in turns)
        rate = values["speed/samples_per_second"]
        if self._bar is not None:
            self._bar.update(trainer.step - self._bar.n)
            self._bar.set_postfix_str(printable(f"{self._left}, {rate:.0f} samples/s {terms}")[:90])
        elif not self.quiet:
            line = f"step {trainer.step}/{self.steps}  {rate:.0f} samples/s  {self._left}  {terms}"
            print(printable(line), file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print a line that stays on the screen."""
        if not self.quiet:
            say(line)

    def close(self) -> None:
        """End the live line and leave it on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook, which can show a bar."""
    return "ipykernel.zmqshell" in sys.modules and find_spec("ipywidgets") is not None


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
