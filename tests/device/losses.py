"""Losses on the device against losses on the CPU, and compiled networks against eager ones.

Bounds. A loss on the device is compared with the loss on the CPU in fp32, with the same data and the same noise. The gap is relative to
the mean size of the term over the iterations. In the first iteration the networks are still the same, so the gap is the arithmetic's
own. After that every step amplifies the gap: Adam's first steps follow the sign of a gradient, however small the gradient is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from device.cases import HostNoise, Losses, Missing, Subject
from device.supervise import Fatal, is_fatal
from device.table import Result, Row, one_line

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


# torch.compile


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
