"""A device computes the same again, after a stop too; it never waits in an iteration; two processes end as one does."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from device.cases import CASES, Subject, play, state
from device.losses import Verdict, checked
from device.paths import ROOT
from device.table import Row, one_line

import polygan

CLOSE = 1e-2
"""The largest relative distance of two runs whose operations torch does not repeat to the bit."""


# The same again


def distance(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> float:
    """0 where two states are the same to the bit; else the norm of the difference over the norm of ``b``."""
    if all(torch.equal(a[k], b[k]) for k in b):
        return 0.0
    pairs = [(a[k].double(), b[k].double()) for k in b]
    above = sum(float((x - y).square().sum()) for x, y in pairs)
    return math.sqrt(above) / max(math.sqrt(sum(float(y.square().sum()) for _, y in pairs)), 1e-30)


def unrepeatable(subject: Subject, id: str) -> str:
    """The operations of a recipe that torch says it does not repeat to the bit on this device."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            play(subject.trainer(id))
        finally:
            torch.use_deterministic_algorithms(False)
    found = (re.match(r"(\w+) does not have a deterministic", str(w.message)) for w in said)
    return ", ".join(sorted({m[1] for m in found if m}))


def same(subject: Subject, id: str, found: polygan.Trainer, wanted: Mapping[str, torch.Tensor]) -> Verdict:
    """Whether a run ended as another one, and why not."""
    gap = distance(state(found), wanted)
    if gap == 0:
        return "passed", "to the bit"
    blamed, known = unrepeatable(subject, id), CASES[id].inexact if subject.device.type != "cpu" else ""
    detail = f"relative distance {gap:.1e}; torch does not repeat {blamed or 'nothing that it names'}"
    if known:
        detail += f" (known: {known}; bound {CLOSE:g})"
    return ("passed" if known and gap <= CLOSE else "failed"), detail


def check_repeat(subject: Subject) -> Iterator[Row]:
    """The same seed twice, and a run that was stopped and resumed, in fp16 on an accelerator."""
    precision = "fp32" if subject.device.type == "cpu" else "fp16"
    for id in subject.recipes:
        done: list[dict[str, torch.Tensor]] = []

        def twice(id: str = id, done: list[dict[str, torch.Tensor]] = done) -> Verdict:
            done.append(state(play(subject.trainer(id, precision=precision))))
            return same(subject, id, play(subject.trainer(id, precision=precision)), done[0])

        def resumed(id: str = id, done: list[dict[str, torch.Tensor]] = done) -> Verdict:
            folder = subject.folder / "checkpoints" / id
            stopped = subject.trainer(id, precision=precision, checkpoints=polygan.Checkpoints(folder))
            play(stopped, subject.steps * 5 // 8).save()
            again = subject.trainer(id, precision=precision, checkpoints=polygan.Checkpoints(folder))
            again.restore(polygan.Checkpoints(folder).load())
            return same(subject, id, play(again), done[0])

        yield (row := checked("repeat", f"{id}, the same seed twice, {precision}", twice))
        if row.result != "skipped" and done:
            yield checked("repeat", f"{id}, stopped and resumed, {precision}", resumed)


# No synchronisation


@contextmanager
def no_synchronisation(device: torch.device) -> Iterator[None]:
    """An operation inside that makes the host wait for the device raises (CUDA only)."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def never_waits(subject: Subject, id: str, precision: str) -> Verdict:
    """A second time through all iterations, when every cache is filled."""
    trainer = play(subject.trainer(id, precision=precision))
    trainer.step = 0
    with no_synchronisation(subject.device):
        try:
            play(trainer)
        except RuntimeError as error:
            if "synchronizing" not in str(error):
                raise
            return "failed", f"iteration {trainer.step}, turn {trainer.context.turn}: {place_of(error)}"
    if subject.device.type != "cuda":
        return "skipped", "played; only CUDA says where the host waits"
    return "passed", f"{trainer.step} iterations"


def place_of(error: BaseException) -> str:
    """The innermost line of this checkout in the traceback of an error."""
    found, trace = one_line(error), error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(ROOT):
            found = f"{file.relative_to(ROOT)}:{trace.tb_lineno} waits for the device"
        trace = trace.tb_next
    return found


def check_sync(subject: Subject) -> Iterator[Row]:
    """No value is read in an iteration."""
    for id in subject.recipes:
        for precision in ("fp32",) if subject.device.type == "cpu" else ("fp32", "fp16"):
            check = lambda i=id, p=precision: never_waits(subject, i, p)  # noqa: E731
            yield checked("sync", f"{id}, {precision}", check)


# Several processes, the tests


def check_processes(subject: Subject) -> Iterator[Row]:
    """Two processes end as one does, and all processes hold the same state."""
    kind, count = subject.device.type, torch.cuda.device_count()

    def check() -> Verdict:
        if kind == "cuda" and count < 2:
            return "skipped", f"needs two devices, and there is {count}"
        if kind not in ("cpu", "cuda"):
            return "skipped", f"polygan has no back end for several processes on {kind}"
        states = [run_ranks(subject, size) for size in (1, 2)]
        gap = distance(states[1], states[0])
        return ("passed" if gap <= 1e-9 else "failed"), f"relative distance {gap:.1e} in float64 (bound 1e-09)"

    yield checked("processes", f"points/mlp on two processes ({'nccl' if kind == 'cuda' else 'gloo'})", check)


def run_ranks(subject: Subject, size: int) -> dict[str, torch.Tensor]:
    """The last rank's final state when ``size`` processes train under torchrun."""
    out = subject.folder / f"ranks-{size}.pt"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    words = [*command, str(Path(__file__).parent / "ranks.py"), subject.device.type, str(out)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    if done.returncode:
        raise RuntimeError(f"{size} process(es) ended with {done.returncode}: {last_line(done.stderr)}")
    return torch.load(out, weights_only=True)


def last_line(text: str) -> str:
    """The last line that names an error other than the launcher's, or else the last one."""
    lines = [re.sub(r"^\[rank\d+\]: ", "", line.strip()) for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*Error: ", line) and "distributed.elastic" not in line]
    return [*lines[-1:], *errors[-1:]][-1] if lines else ""


def check_tests(subject: Subject) -> Iterator[Row]:
    """The tests that need CUDA, through pytest."""
    files = [str(ROOT / "tests" / "core" / "training" / f"test_{name}.py") for name in ("trainer", "distributed")]
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cuda or nccl", "-rf", *files]

    def check() -> Verdict:
        done = subprocess.run(words, capture_output=True, text=True, timeout=110, cwd=ROOT)
        if "No module named pytest" in done.stderr:
            return "skipped", "pytest is not installed"
        said = last_line(done.stdout) or last_line(done.stderr)
        if absent := re.search(r"No module named '(?!polygan)(\w+)", done.stdout + done.stderr):
            return "skipped", f"{absent[1]} is not installed"
        if done.returncode:
            return "failed", said
        return ("passed" if re.search(r"\d+ passed", said) else "skipped"), said

    yield checked("tests", "pytest -k 'cuda or nccl'", check)
