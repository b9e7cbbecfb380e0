"""The parts that pass or fail: a device computes what the CPU computes, and the same again after a stop.

Bounds. A loss on the device is compared with the loss on the CPU in fp32, with the same data and the same noise. The gap is relative to
the mean size of the term over the iterations. In the first iteration the networks are still the same, so the gap is the arithmetic's
own. After that every step amplifies the gap: Adam's first steps follow the sign of a gradient, however small the gradient is.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from device.cases import CASES, HostNoise, Losses, Missing, Subject, play, state
from device.paths import ROOT
from device.supervise import Fatal, is_fatal
from device.table import Result, Row, one_line

import polygan

Verdict = tuple[Result, str]


@dataclass(frozen=True)
class Bound:
    """The largest relative gap in the first iteration, and of the mean gap over all iterations."""

    first: float
    mean: float


BOUNDS = {
    "fp32": Bound(1e-3, 0.02),  # sums in another order: 1e-6 and 1e-3 were seen between two back ends of one CPU
    "bf16": Bound(0.05, 0.15),  # 8 bits of mantissa: 1e-2 and 3e-2 were seen on a CPU
    "fp16": Bound(0.02, 0.1),  # 11 bits: 4e-3 and 1e-2 were seen on a CPU
}
SCALE = 64.0
"""The factor of fp16 losses while they are compared. The first factor of a run is 65,536: it skips the steps that overflow until it fits,
and a run that skips steps is another run. The parts `repeat` and `sync` begin with 65,536."""
CLOSE = 1e-2
"""The largest relative distance of two runs whose operations torch does not repeat to the bit."""


def checked(part: str, what: str, check: Callable[[], Verdict]) -> Row:
    """The row of one check; an exception is a failure, an absent package is no fault."""
    begin = time.monotonic()
    try:
        result, detail = check()
    except Missing as absent:
        result, detail = "skipped", str(absent)
    except Exception as error:
        if is_fatal(error):
            raise Fatal(f"{what}: {one_line(error)}") from error
        result, detail = "failed", one_line(error)
    return Row(part, what, result, detail, time.monotonic() - begin)


# Losses against the CPU


@contextmanager
def full_precision() -> Iterator[None]:
    """fp32 means fp32: without TensorFloat-32, whose 10 bits of mantissa would hide everything else."""
    switches = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [s.allow_tf32 for s in switches]
    for s in switches:
        s.allow_tf32 = False
    try:
        yield
    finally:
        for s, value in zip(switches, before, strict=True):
            s.allow_tf32 = value


def losses_of(subject: Subject, id: str, device: torch.device, **settings: object) -> list[dict[str, float]]:
    """What each iteration logs, with noise that does not depend on the device."""
    listener = Losses()
    trainer = subject.trainer(id, device, log_every=1, listener=listener, **settings)
    trainer.context.noise = HostNoise(device)
    for actor in trainer.actors.values():
        if actor.scaled:
            actor.scale.fill_(SCALE)
    with full_precision():
        trainer.fit()
    return listener.logged_values


def terms(values: Mapping[str, float]) -> dict[str, float]:
    """The losses among logged values. Shares of signs (r_t, accuracy) jump, so they are left out."""
    aside = ("grad", "lr", "skipped", "speed")
    return {
        k: v for k, v in values.items() if k.split("/")[0] not in aside and k.split("/")[-1] not in ("r_t", "accuracy")
    }


def gaps(found: Sequence[Mapping[str, float]], wanted: Sequence[Mapping[str, float]]) -> tuple[float, float, str]:
    """The largest relative gap in the first iteration, the largest mean gap of a term, and that term."""
    names = {name for values in wanted for name in terms(values)}
    scale, sums, first = {}, {}, 0.0
    for name in names:
        pairs = [(f.get(name, math.nan), w[name]) for f, w in zip(found, wanted, strict=True) if name in w]
        scale[name] = max(sum(abs(w) for _, w in pairs) / len(pairs), 1e-3)
        differences = [abs(f - w) / scale[name] for f, w in pairs]
        sums[name] = sum(differences) / len(differences)
        if name in wanted[0]:
            first = _worst(first, differences[0])
    worst = max(names, key=lambda name: math.inf if math.isnan(sums[name]) else sums[name])
    return first, sums[worst], worst


def _worst(a: float, b: float) -> float:
    return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)


def skipped(values: Sequence[Mapping[str, float]]) -> int:
    """Optimizer steps that were skipped, of all players."""
    return int(sum(v for k, v in values[-1].items() if k.startswith("skipped/")))


def compare(subject: Subject, id: str, precision: str, wanted: Sequence[Mapping[str, float]]) -> Verdict:
    """One recipe on the device in one precision, against the CPU in fp32."""
    found = losses_of(subject, id, subject.device, precision=precision)
    bound = BOUNDS[precision]
    first, mean, name = gaps(found, wanted)
    good = first <= bound.first and mean <= bound.mean  # False for NaN
    detail = f"gap {first:.1e} at first (bound {bound.first:g}), {mean:.1e} on average in {name} (bound {bound.mean:g})"
    if count := skipped(found):
        good, detail = False, f"{detail}, {count} steps were skipped: their gradients were not finite"
    return ("passed" if good else "failed"), detail


def check_losses(subject: Subject) -> Iterator[Row]:
    """Every recipe in fp32, bf16 and fp16."""
    for id in subject.recipes:
        wanted: list[list[dict[str, float]]] = []

        def reference(id: str = id, wanted: list[list[dict[str, float]]] = wanted) -> Verdict:
            wanted.append(losses_of(subject, id, torch.device("cpu")))
            finite = all(math.isfinite(v) for values in wanted[0] for v in terms(values).values())
            return ("passed" if finite else "failed"), f"{len(wanted[0])} iterations on the CPU: finite"

        row = checked("losses", f"{id}, the reference in fp32", reference)
        if row.result != "passed":
            yield row
            continue
        for precision in BOUNDS:
            check = lambda p=precision, i=id, w=wanted: compare(subject, i, p, w[0])  # noqa: E731
            yield checked("losses", f"{id}, {precision}", check)


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


# torch.compile, several processes, the tests


def check_compile(subject: Subject) -> Iterator[Row]:
    """Compiled networks against eager ones on the same device, in fp32."""
    id = "points/mlp" if subject.quick else "image/dcgan"

    def check() -> Verdict:
        wanted = losses_of(subject, id, subject.device, steps=6)
        before = compiled_graphs()
        found = losses_of(subject, id, subject.device, steps=6, compile=True)
        graphs = compiled_graphs() - before
        first, mean, name = gaps(found, wanted)
        bound = BOUNDS["fp32"]
        good = first <= bound.first and mean <= bound.mean
        detail = f"{graphs} graphs compiled, gap {first:.1e} at first, {mean:.1e} on average in {name}"
        return ("passed" if good and graphs else "failed"), detail

    yield checked("compile", f"{id}, --compile against eager", check)


def compiled_graphs() -> int:
    """Graphs that torch.compile has made in this process."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


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
