"""This machine: its devices, tried, and what installed distributions require. Works where torch does not import."""

from __future__ import annotations

import importlib
import math
import re
from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from ...errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch
    from packaging.requirements import Requirement

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

    from ...training.distributed import available, resolve_precision, unserved

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

    from ...training.distributed import is_emulated

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


_FOR_DEVELOPERS = ("dev", "docs", "test")


class Need(NamedTuple):
    """A requirement of a distribution that this environment does not meet."""

    owner: str
    """The distribution that requires the package."""
    extra: str
    """The extra of ``owner`` that asks for the package; empty: the distribution always does."""
    package: str
    wanted: str
    """The requirement as pip takes it, e.g. ``torch<2.15``."""
    found: str
    """The installed version; empty: none."""

    @property
    def what(self) -> str:
        """The requirement, and the version that does not fit."""
        return f"{self.wanted} ({self.found} is installed)" if self.found else self.wanted


def version_of(distribution: str) -> str:
    """The installed version; empty if the distribution is absent or its metadata is damaged."""
    try:
        return metadata.version(distribution) or ""
    except Exception:  # damaged metadata raises errors of many kinds
        return ""


def unmet(distributions: Iterable[str]) -> list[Need]:
    """The requirements of distributions and of their extras that are not met. Extras for developers are left out."""
    return [need for distribution in distributions for need in _unmet(distribution)]


def _unmet(distribution: str) -> Iterator[Need]:
    for extra in ("", *(extra for extra in _extras(distribution) if extra not in _FOR_DEVELOPERS)):
        for requirement in _required(distribution, extra):
            found = version_of(requirement.name)
            if not found or not requirement.specifier.contains(found, prereleases=True):
                requirement.marker = None
                yield Need(distribution, extra, requirement.name, str(requirement), found)


def _extras(distribution: str) -> list[str]:
    try:
        return list(metadata.metadata(distribution).get_all("Provides-Extra") or ())
    except Exception:  # damaged metadata, as above
        return []


def _required(distribution: str, extra: str) -> list[Requirement]:
    """The requirements of a distribution without extras, or those that an extra adds."""
    try:
        from packaging.requirements import Requirement

        every = [Requirement(text) for text in metadata.requires(distribution) or ()]
    except Exception:  # no packaging, no distribution, or damaged metadata
        return []
    always = [r for r in every if r.marker is None or r.marker.evaluate({"extra": ""})]
    if not extra:
        return always
    return [r for r in every if r not in always and r.marker is not None and r.marker.evaluate({"extra": extra})]


def bound_of(package: str, distributions: Iterable[str]) -> str:
    """The requirement on a package with an upper bound, as one of the distributions writes it; else the package's name."""
    for distribution in distributions:
        for requirement in _required(distribution, ""):
            if re.sub(r"[-_.]+", "-", requirement.name).lower() == package and "<" in str(requirement.specifier):
                requirement.marker = None
                return str(requirement)
    return package
