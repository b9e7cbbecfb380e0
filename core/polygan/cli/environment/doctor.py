"""`polygan doctor`: what works here and what is missing, for the user and for a bug report.

The answer holds no name of the machine or of the user, and shows the home folder as ``~``. A torch that does not import is an
answer too, not an error.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from ... import __version__
from ...errors import one_line
from ...messages import plural
from ..output import print_json, print_table
from .machine import Device, Need, bound_of, devices, imports, unmet, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...plugins.catalogue import Catalogue

_COMPANIONS = ("torchaudio", "torchvision")
"""Packages with compiled parts that load only with the torch that they were built for."""


@dataclass
class Checkup:
    """What `examine` found."""

    versions: dict[str, str] = field(default_factory=dict)
    """The system and packages, each with its version; empty: not installed."""
    devices: list[Device] = field(default_factory=list)
    threads: int | None = None
    """The number of threads that torch computes with."""
    plugins: list[dict[str, str]] = field(default_factory=list)
    """Name, distribution, version, status and reason of each plugin."""
    missing: list[dict[str, str]] = field(default_factory=list)
    """Each extra that lacks a package, with the line that installs the extra."""
    cache: dict[str, object] = field(default_factory=dict)
    """The folder, its size in bytes, the number of things in it."""
    faults: list[str] = field(default_factory=list)
    """What does not work, each with what to type."""
    works: bool = True
    """Whether polygan can train here."""


def examine(catalogue: Catalogue) -> Checkup:
    """Look at the installation. Imports torch, and tries each device for a moment."""
    found = Checkup()
    ours = [
        "polygan",
        *dict.fromkeys(p.distribution for p in catalogue.plugins if p.distribution not in ("", "polygan")),
    ]
    found.versions = _versions(ours)
    found.plugins = [
        {"name": p.name, "distribution": p.distribution, "version": p.version, "status": p.status, "reason": p.reason}
        for p in catalogue.plugins
    ]
    needs = unmet(ours)
    found.missing = _extras([need for need in needs if need.extra])
    _packages(found, [need for need in needs if not need.extra])
    _machine(found, ours)
    found.faults += [f"plugin {p.name!r} failed to load: {p.reason}" for p in catalogue.plugins if p.status == "failed"]
    if not catalogue.recipes:
        from ...plugins.discovery import nothing

        found.faults.append(nothing())
    found.cache = _cache()
    return _private(found)


def _versions(ours: list[str]) -> dict[str, str]:
    system = " ".join(filter(None, (platform.system(), platform.release(), platform.machine())))
    packages = ("torch", *_COMPANIONS, "numpy", *(name for name in ours if name != "polygan"))
    python = f"{platform.python_version()} ({platform.python_implementation()})"
    known = {"polygan": __version__, "python": python, "system": system}
    return known | {name: version_of(name) for name in packages}


def _extras(needs: list[Need]) -> list[dict[str, str]]:
    """The extras that lack a package, one row each."""
    rows: dict[str, list[str]] = {}
    for need in needs:
        rows.setdefault(f"{need.owner}[{need.extra}]", []).append(need.what)
    return [{"extra": e, "lacks": ", ".join(what), "type": f'pip install "{e}"'} for e, what in rows.items()]


def _packages(found: Checkup, needs: list[Need]) -> None:
    """Note packages that a distribution always requires and that are absent or of another version."""
    for need in needs:
        found.faults.append(f'{need.owner} needs {need.what}: pip install "{need.wanted}"')
        found.works &= need.owner != "polygan"


def _machine(found: Checkup, ours: list[str]) -> None:
    """Note packages that do not import, and try the devices where torch does."""
    for name in ("numpy", "torch"):
        if why := imports(name):
            found.works = False
            found.faults.append(
                f'{name} does not import ({why}): pip install --force-reinstall "{bound_of(name, ours)}"'
            )
    if not found.works:
        return
    import torch

    found.versions["torch"] = torch.__version__  # with the build, e.g. +cu130
    for name in _COMPANIONS:
        if found.versions[name] and (why := imports(name)):
            found.faults.append(
                f"{name} {found.versions[name]} does not load with torch {found.versions['torch']} ({why}): "
                f'pip install --upgrade "{bound_of("torch", ours)}" {name}'
            )
    found.threads = torch.get_num_threads()
    try:
        found.devices = devices()
    except Exception as error:  # a driver may raise anything
        found.faults.append(f"the devices cannot be tried ({one_line(error)}): use --device cpu")
        return
    found.faults += [
        f"device {d.name} trains in no precision ({d.precisions['fp32']}): use another --device"
        for d in found.devices
        if d.served and not d.trains
    ]
    found.works = any(d.served and d.trains for d in found.devices)


def _cache() -> dict[str, object]:
    """The folder of the cache, and what lies in it."""
    try:
        from ...data.cache.folders import folder_of
        from ...data.cache.overview import kept_in

        folder = folder_of("")
        kept = kept_in(folder)
    except Exception as error:  # numpy may be broken, or the home folder unknown
        return {"folder": "", "bytes": 0, "things": 0, "reason": one_line(error)}
    size = sum(thing.size for thing in kept)
    return {"folder": str(folder), "bytes": size, "things": len(kept), "reason": ""}


# What a bug report must not tell


def _private(found: Checkup) -> Checkup:
    """The same without the names of the machine and of the user, the home folder as ``~``."""
    hidden = _secrets()

    def clean(value: object) -> object:
        if isinstance(value, str):
            return without(value, hidden)
        if isinstance(value, list):
            return [clean(part) for part in value]
        return {key: clean(part) for key, part in value.items()} if isinstance(value, dict) else value

    for name in ("plugins", "missing", "cache", "faults"):
        setattr(found, name, clean(getattr(found, name)))
    return found


def _secrets() -> Mapping[str, str]:
    """Patterns of what is hidden, each with what stands in its place."""
    home = os.path.expanduser("~")
    hidden = {re.escape(home): "~"} if home not in ("~", "/", "") else {}
    try:
        user = getpass.getuser()
    except (OSError, ImportError, KeyError):  # an account without a name
        user = ""
    if user:
        hidden[rf"(?<=[/\\]){re.escape(user)}(?=[/\\\s'\"]|$)"] = "USER"
    host = platform.node().partition(".")[0]
    if len(host) > 2 and host != "localhost":
        hidden[rf"(?<![\w.-]){re.escape(host)}(?![\w-])"] = "HOST"
    return hidden


def without(text: str, hidden: Mapping[str, str]) -> str:
    """A text in which every pattern of ``hidden`` is replaced."""
    for pattern, shown in hidden.items():
        text = re.sub(pattern, lambda _, shown=shown: shown, text)
    return text


# Showing


def show(found: Checkup, *, as_json: bool) -> None:
    """Print what was found, as tables or as JSON."""
    if as_json:
        print_json(asdict(found))
        return
    print_table("versions", ("name", "version"), [(name, v or "not installed") for name, v in found.versions.items()])
    print_table(
        "devices",
        ("name", "what", "precisions", "auto"),
        [(d.name, d.what, ", ".join(map(_outcome, d.precisions.items())), d.auto) for d in found.devices],
    )
    plugins = [
        (p["name"], f"{p['distribution']} {p['version']}".strip(), p["status"], p["reason"]) for p in found.plugins
    ]
    print_table("plugins", ("name", "distribution", "status", "why"), plugins)
    rows = [(m["extra"], m["lacks"], m["type"]) for m in found.missing]
    print_table("extras that are not complete", ("name", "lacks", "type this to get it"), rows)
    if found.threads is not None:
        print(f"threads: {found.threads}")
    print(f"cache: {_cache_line(found.cache)}")
    for fault in found.faults:
        print(f"fault: {fault}")
    print(f"polygan {'works' if found.works else 'does not work'} here")


def _outcome(tried: tuple[str, str]) -> str:
    precision, outcome = tried
    return precision if outcome == "works" else f"{precision} ({outcome})"


def _cache_line(cache: Mapping[str, object]) -> str:
    if cache["reason"]:
        return f"unknown ({cache['reason']})"
    size = float(str(cache["bytes"])) / 1e6
    return f"{cache['folder']} ({plural(int(str(cache['things'])), 'thing')}, {size:,.1f} MB)"
