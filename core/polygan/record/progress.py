"""The progress of training on the terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

from ..messages import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..training.trainer import Trainer


class Progress:
    """A live line on a terminal (iteration, samples/s, time left, loss terms); plain lines where stderr is no terminal."""

    def __init__(self, steps: int, *, quiet: bool = False) -> None:
        self.steps, self.quiet = steps, quiet
        self.terminal = sys.stderr.isatty() and not quiet
        self._bar: tqdm[NoReturn] | None = None
        self._began, self._first = time.monotonic(), 0

    def start(self, step: int) -> None:
        """Training begins at ``step``."""
        self._began, self._first = time.monotonic(), step
        if self.terminal:
            self._bar = tqdm(total=self.steps, initial=step, unit="it", dynamic_ncols=True, leave=True)

    def show(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        """Show the step, the speed, the time left and the loss terms after values were logged."""
        turns = {t.name for t in trainer.turns}
        terms = " ".join(f"{k} {v:.3g}" for k, v in values.items() if k.partition("/")[0] in turns)
        rate = values["speed/samples_per_second"]
        if self._bar is not None:
            self._bar.update(trainer.step - self._bar.n)
            self._bar.set_postfix_str(f"{rate:.0f} samples/s {terms}"[:90])
        elif not self.quiet:
            done = trainer.step - self._first
            left = (time.monotonic() - self._began) / max(done, 1) * (self.steps - trainer.step)
            line = f"step {trainer.step}/{self.steps}  {rate:.0f} samples/s  {_clock(left)} left  {terms}"
            print(line, file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Print a line that stays on the screen."""
        if not self.quiet:
            say(line)

    def close(self) -> None:
        """End the live line and leave it on the screen."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
