"""Parts run one after the other in a worker process. What kills, hangs or poisons the worker costs one part, never the table.

The worker appends JSON lines to a file; the parent reads them, watches the clock, and starts another worker for the parts that
are left.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from device.table import Row, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

STARTING = 120.0  # seconds that a worker may take to import everything
_POLL = 0.05


@dataclass(frozen=True)
class Part:
    """A function that yields rows, and the seconds that it may take."""

    name: str
    meaning: str
    run: Callable[[Any], Iterable[Row]] | str
    """The function, or ``module:name``: then only the worker imports it."""
    limit: float
    correctness: bool = True

    def function(self) -> Callable[[Any], Iterable[Row]]:
        """What yields the rows."""
        if not isinstance(self.run, str):
            return self.run
        module, _, name = self.run.partition(":")
        return getattr(import_module(module), name)


class Fatal(RuntimeError):
    """The device is in a state in which nothing more can be computed by this process."""


def is_fatal(error: BaseException) -> bool:
    """Whether an error of CUDA leaves the process without a usable device. Running out of memory does not."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "OutOfMemoryError" in kinds:
        return False
    return "AcceleratorError" in kinds or isinstance(error, Fatal) or "CUDA error" in str(error)


# The worker


def work(parts: Sequence[Part], subject: Any, file: Path) -> int:
    """Run parts and write their rows to ``file``. 0, or 3 after an error that poisons the process."""
    with file.open("a", encoding="utf-8", buffering=1) as out:

        def tell(**facts: Any) -> None:
            out.write(json.dumps(facts) + "\n")

        for part in parts:
            tell(begin=part.name)
            begin, fatal = time.monotonic(), False
            try:
                for row in part.function()(subject):
                    tell(row=dataclasses.asdict(row))
            except Exception as error:
                fatal = is_fatal(error)
                row = Row(part.name, "the whole part", "failed", one_line(error), time.monotonic() - begin)
                tell(row=dataclasses.asdict(row))
            tell(end=part.name)
            if fatal:
                return 3
    return 0


# The parent


@dataclass
class Worker:
    """A worker process and what it said so far."""

    process: subprocess.Popen[bytes]
    file: Path
    read: int = 0

    def news(self) -> list[dict[str, Any]]:
        """What the worker said since the last call; a line that is not complete waits."""
        if not self.file.exists():
            return []
        with self.file.open("rb") as file:
            file.seek(self.read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def kill(self) -> None:
        """End the worker and what it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def supervise(
    parts: Sequence[Part],
    command: Callable[[Sequence[str], Path], Sequence[str]],
    folder: Path,
    deadline: float,
    show: Callable[[Row], None],
) -> None:
    """Run every part in worker processes until ``deadline`` (of `time.monotonic`) and show each row as it comes.

    ``command`` gives the worker's command line for the names of the parts and the file to write to.
    """
    left = list(parts)
    while left:
        if time.monotonic() >= deadline:
            for part in left:
                show(_unfinished(part, "not begun: no time is left"))
            return
        file = folder / f"rows-{len(left)}.jsonl"
        words = command([part.name for part in left], file)
        worker = Worker(subprocess.Popen(words, start_new_session=True), file)
        try:
            left = _follow(worker, left, deadline, show)
        finally:
            worker.kill()


def _follow(worker: Worker, left: list[Part], deadline: float, show: Callable[[Row], None]) -> list[Part]:
    """Show what a worker says until it ends, hangs, or time is up; the parts that are left for another worker."""
    left, begun, running = list(left), time.monotonic(), False
    while left:
        ended = worker.process.poll() is not None
        for fact in worker.news():
            if "row" in fact:
                show(Row(**fact["row"]))
            if "begin" in fact:
                begun, running = time.monotonic(), True
            if "end" in fact:
                left, running = left[1:], False
        if not left:
            break
        part, taken = left[0], time.monotonic() - begun
        limit = part.limit if running else STARTING
        if ended and worker.process.returncode == 3 and not running:
            break
        if ended or taken > limit or time.monotonic() > deadline:
            end = f"the process ended with code {worker.process.returncode}"
            slow = f"stopped after {taken:.0f} s: its limit is {limit:.0f} s"
            late = f"stopped after {taken:.0f} s: the time for all parts is up"
            why = end if ended else slow if taken > limit else late
            show(_unfinished(part, why, taken))
            return left[1:]
        time.sleep(_POLL)
    return left


def _unfinished(part: Part, why: str, seconds: float = 0.0) -> Row:
    """A check that was not finished has failed; a measurement is only missing."""
    return Row(part.name, part.meaning, "failed" if part.correctness else "skipped", why, seconds)
