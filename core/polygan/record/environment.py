"""The programs and the machine that train a run, for environment.json: nothing that names a person, a host or a home folder."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .. import __version__
from ..reading import MB, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..plugins.catalogue import Catalogue

_PACKAGES = ("numpy", "safetensors", "torch", "torchaudio", "torchvision")
"""Packages that decide results, beside polygan and the packages of its plugins."""
_PATIENCE = 10  # seconds for git
_ELSEWHERE = {"site-packages", "dist-packages"}


def environment(device: torch.device, precision: str, catalogue: Catalogue) -> dict[str, object]:
    """The programs and the machine that train a run, for environment.json."""
    loaded = [p for p in catalogue.plugins if p.status == "loaded"]
    files = {p.name: Path(p.module) for p in loaded if not p.distribution and p.module.endswith(".py")}
    facts: dict[str, object] = {
        "polygan": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "precision": precision,
        "torch": torch.__version__,
        "processor": f"{_processor()} ({torch.backends.cpu.get_cpu_capability()})",
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "plugins": {
            p.name: f"{p.distribution} {p.version}" if p.distribution else without_home(p.module) for p in loaded
        },
        "plugin_files": {name: {"file": path.name, "sha256": _digest(path)} for name, path in files.items()},
        "packages": packages(p.distribution for p in loaded),
        "command": _command(),
    }
    if catalogue.handed:
        facts["handed"] = {name: without_home(str(where)) for name, where in catalogue.handed.items()}
    commit = commit_of(Path(__file__).parent)
    return {**facts, "commit": commit} if commit else facts


def packages(distributions: Iterable[str] = ()) -> dict[str, str]:
    """The versions of the installed packages that decide results, by name; ``distributions`` are those of plugins."""
    found = {"polygan": __version__}
    for name in sorted({*_PACKAGES, *filter(None, distributions)} - {"polygan"}):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def commit_of(folder: Path) -> str:
    """The commit of the checkout that a folder of code lies in, with ``-dirty`` behind it where files were changed.

    Empty for code that is installed, outside a checkout, or where git does not answer. Without a ``.git`` no git is called.
    """
    if _ELSEWHERE & set(folder.parts):  # an environment inside the checkout of something else
        return ""
    root = next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)
    if root is None:
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, env=quiet, check=True)
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    commit = ran.stdout.strip()
    return commit if re.fullmatch("[0-9a-f]{40}(-dirty)?", commit) else ""


def without_home(text: str) -> str:
    """A text with ``~`` in the place of the user's home folder, whose path often holds the user's name."""
    home = os.path.expanduser("~").rstrip(os.sep)
    return re.sub(rf"{re.escape(home)}(?=[{re.escape(os.sep)}\s'\"]|$)", "~", text) if len(home) > 1 else text


def _digest(path: Path) -> str:
    """The checksum of a local plugin file; empty for a file that cannot be read."""
    try:
        return hashlib.sha256(read_bytes(path, 64 * MB, named=True)).hexdigest()
    except OSError:
        return ""


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            named = next(line for line in file if line.startswith("model name"))
        return named.partition(":")[2].strip()
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _command() -> str:
    """The command that trains, as users type it; ``python`` for a script."""
    program = Path(sys.argv[0])
    ours = program.name == "polygan" or program.parts[-2:] == ("polygan", "__main__.py")  # python -m polygan
    return without_home(shlex.join(["polygan", *sys.argv[1:]])) if ours else "python"
