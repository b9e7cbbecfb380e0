"""Making folders whole or not at all: the folder of a run, one for all restarts of a launch, and any folder built beside its place."""

from __future__ import annotations

import errno
import glob
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, PolyganError
from ..files import sync_folder, write_text
from ..reading import read_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..settings.parser import Settings

_PROC = Path("/proc")
_LEFTOVER = re.compile(r"\.new-(\d+)-[0-9a-f]{8}")
_STALE = 3600.0
"""Seconds after which a folder that is being built counts as left behind, whatever process has its number by now."""
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR)
_LARGEST = 10_000  # bytes of a .launch that is read


def typed_path(path: Path) -> str:
    """A path as it is typed after a command: quoted for the shell, and never like an option."""
    text = str(path)
    return shlex.quote(f".{os.sep}{text}" if text.startswith("-") else text)


# Folders that appear whole


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """A hidden folder beside ``folder`` to fill; it takes the place of ``folder`` when the block ends without an error.

    A process that is killed inside the block leaves only a hidden folder, which `sweep` removes. Raises FileExistsError if
    ``folder`` exists by then and is not an empty folder.
    """
    temporary = folder.with_name(f".new-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        sync_folder(temporary)
        if folder.is_symlink() or (os.name == "nt" and folder.exists()):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
        try:
            temporary.rename(folder)
        except OSError as error:
            if error.errno in _TAKEN:
                raise FileExistsError(error.errno, error.strerror, str(folder)) from None
            raise
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Remove the folders that `building` and `discard` left in ``parent`` when their process was killed."""
    for path in parent.glob(".new-*") if parent.is_dir() else ():
        if is_leftover(path):
            shutil.rmtree(path, ignore_errors=True)


def is_leftover(path: Path) -> bool:
    """Whether a path is a folder that a process was building or removing when it was killed."""
    found = _LEFTOVER.fullmatch(path.name)
    if found is None or path.is_symlink() or not path.is_dir():
        return False
    with suppress(OSError):
        return not alive(int(found[1])) or time.time() - path.stat().st_mtime > _STALE
    return False


def discard(folder: Path) -> None:
    """Remove a folder so that its name is free at once, even if the process is killed on the way."""
    aside = folder.with_name(f".new-{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        folder.rename(aside)
    except OSError:
        aside = folder
    shutil.rmtree(aside, ignore_errors=True)


def alive(pid: int) -> bool:
    """Whether another process has this number now. True where the system cannot tell."""
    if pid == os.getpid():
        return False
    if os.name == "nt":  # os.kill would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


# The folder of a run


def new_folder(settings: Settings) -> tuple[Path, bool]:
    """A new run folder and False; or the folder that a restarted launcher continues, and True."""
    parent, launch = Path(settings.run.runs), identity()
    name = settings.run.name
    if not name:
        source = re.sub(r"[^\w.+-]+", "-", Path(settings.data.source).name).strip("-.") or "data"
        name = f"{settings.recipe.rpartition('/')[2]}-{source}"
    if launch and (found := _restarted(parent, name, settings, launch)):
        return found, True
    sweep(parent)
    for attempt in range(1, 10_000):
        folder = parent / (name if attempt == 1 else f"{name}-{attempt}")
        if _make(folder, settings.yaml(), launch):
            return folder, False
        if settings.run.name:
            place = typed_path(folder)
            if (folder / "config.yaml").exists():
                raise ConfigError(
                    f"run {folder} exists; `polygan resume {place}` continues it, another --name starts a new one"
                )
            raise ConfigError(f"{folder} exists and is no run (no config.yaml); remove it, or choose another --name")
    raise ConfigError(f"{parent} holds too many runs named {name}; choose a --name")


def _make(folder: Path, config: str, launch: Sequence[str]) -> bool:
    """Make a run folder with its settings, so that a run that is killed at once can be resumed. False: the name is taken."""
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        return False
    for attempt in range(3):
        try:
            with building(folder) as place:
                write_text(place / "config.yaml", config)
                if launch:
                    _mark(place / ".launch", launch)
        except FileExistsError:
            return False
        except FileNotFoundError as error:  # another machine took the new folder for a leftover
            if attempt == 2:
                raise _unmade(folder, error) from None
        except OSError as error:
            raise _unmade(folder, error) from None
        else:
            return True
    return False


def _unmade(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"run folder {folder} cannot be made: {error.strerror}; choose another with --runs")


# Restarts of a launch


def identity() -> tuple[str, ...]:
    """Facts that are the same for all restarts of a launch by torchrun and differ between launches; empty without torchrun.

    A container may have a fixed host name, and torchrun the process number 1 in it. The launcher's start tells two such launches
    apart, and the system's start tells apart two machines.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ()
    boot, parent = "", os.getppid()
    with suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("utf-8", "replace").strip()
    return os.environ["TORCHELASTIC_RUN_ID"], platform.node(), boot, str(parent), start_of(parent)


def start_of(pid: int) -> str:
    """When a process started, in the system's own words; empty where the system does not tell."""
    with suppress(OSError, IndexError):
        # The second field, the program's name in parentheses, may hold spaces and parentheses.
        return (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    with suppress(OSError, subprocess.SubprocessError):
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, env={**os.environ, "LC_ALL": "C"})
        return " ".join(told.stdout.split())
    return ""


def _process() -> str:
    """This process among all processes of all restarts. torchrun counts restarts for each node, so the count may stay 0."""
    count = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return f"{os.getpid()} {start_of(os.getpid())} {count}"


def _mark(path: Path, launch: Sequence[str]) -> None:
    write_text(path, json.dumps({"launch": list(launch), "process": _process()}) + "\n")


def _restarted(parent: Path, name: str, settings: Settings, launch: Sequence[str]) -> Path | None:
    """The run that an earlier process of this launch began with the same settings. Raises ConfigError for other settings."""
    pattern = glob.escape(name) + ("" if settings.run.name else "*")
    for marker in sorted(parent.glob(f"{pattern}/.launch")):
        mark = _read_mark(marker)
        if mark.get("launch") != list(launch) or mark.get("process") == _process():
            continue
        folder = marker.parent
        if changed := _differing(folder, settings):
            if not settings.run.name:
                continue
            raise ConfigError(
                f"run {folder} exists and has other settings ({changed}); `polygan resume {typed_path(folder)}` continues it "
                "with its own, another --name starts a new one"
            )
        _mark(marker, launch)
        return folder
    return None


def _read_mark(path: Path) -> dict[str, object]:
    """The content of a .launch; empty if it cannot be read."""
    try:
        return read_object(path, _LARGEST)
    except (OSError, ValueError):
        return {}


def _differing(folder: Path, settings: Settings) -> str:
    """How a run's settings differ from ``settings``, in words; empty if they are equal."""
    from ..settings.changes import changes
    from ..settings.parser import read_yaml

    try:
        saved = read_yaml(folder / "config.yaml", saved=True)
    except PolyganError as error:
        return str(error)
    saved.pop("format", None)
    return ", ".join(map(str, changes(saved, settings.plain())))
