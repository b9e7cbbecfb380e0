"""The devices of this machine, tried: which precisions train a small network on each. Works where torch does not import."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import one_line

if TYPE_CHECKING:
    import torch

PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Device:
    """A device of this machine."""

    name: str
    """As ``--device`` takes it, e.g. ``cuda:0``."""
    what: str
    """The model, where torch tells."""
    precisions: dict[str, str] = field(default_factory=dict)
    """By precision: ``works``, ``emulated`` (slower than fp32), or why a small network does not train in it."""
    auto: str = ""
    """The precision that ``--precision auto`` takes."""
    served: bool = True
    """Whether polygan can train on the device."""

    @property
    def trains(self) -> bool:
        """Whether some precision works."""
        return any(outcome in ("works", "emulated") for outcome in self.precisions.values())


def imports(name: str) -> str:
    """Why a package that is installed does not import, in one line; empty if it does."""
    try:
        importlib.import_module(name)
    except Exception as error:  # a broken library raises OSError, RuntimeError or anything else
        return one_line(error)
    return ""


def devices() -> list[Device]:
    """Every device that torch sees, each tried in every precision. torch must import."""
    import torch

    from ...training.device import available, resolve_precision, unserved

    found = []
    for name in available():
        device = torch.device(name)
        tried = {precision: _tried(device, precision) for precision in PRECISIONS}
        found.append(Device(name, _model(device), tried, resolve_precision("auto", device)))
    return [*found, *(Device(name, "polygan does not train on it", served=False) for name in unserved())]


def _model(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else ""


def _tried(device: torch.device, precision: str) -> str:
    """Train a small network for one step: ``works``, ``emulated``, or the error in one line."""
    import torch

    from ...training.device import is_emulated

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    try:
        network = torch.nn.Sequential(torch.nn.Conv1d(2, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(32, 1))
        network.to(device)
        with torch.autocast(device.type, dtype, enabled=precision != "fp32"):
            loss = network(torch.ones(2, 2, 8, device=device)).float().square().mean()
        loss.backward()
        gradients = [p.grad.float().norm() for p in network.parameters() if p.grad is not None]
        if not math.isfinite(float(torch.stack(gradients).sum())):
            return "gives numbers that are not finite"
    except Exception as error:  # drivers raise errors of many kinds
        return one_line(error)
    return "emulated" if is_emulated(precision, device) else "works"
