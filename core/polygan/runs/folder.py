"""The run's folder: made once, locked while in use, described in three small files."""

from __future__ import annotations

import glob
import json
import os
import platform
import re
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import ConfigError, DataError, did_you_mean
from ..files import Format, all_inside, open_lock, regular, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..data.domain import Domain
    from ..data.store import Split, Store
    from ..plugins.catalogue import Catalogue
    from ..settings.parser import Settings

DATA: Format[dict[str, Any]] = Format("the facts of the data", 1, ConfigError)
"""The format of data.json."""
_FILES = (".lock", ".launch", "config.yaml", "data.json", "environment.json", "log.jsonl", "report.html")
_FOLDERS = ("samples", "checkpoints", "tensorboard")


def run_folder(path: str | Path) -> Path:
    """The folder of an existing run. Raises ConfigError for anything else."""
    folder = Path(path)
    if not (folder / "config.yaml").is_file():
        near = [p.parent.name for p in folder.parent.glob("*/config.yaml")] if folder.parent.is_dir() else []
        raise ConfigError(f"{str(path)!r} is not a run: it has no config.yaml{did_you_mean(folder.name, near)}")
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that every run has."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); the run is damaged, train it anew") from None


def read_data(folder: Path) -> dict[str, Any]:
    """What a run's data.json says, of whatever format it was written in. A file without a number is of format 1."""
    path = folder / "data.json"
    facts = read_json(path)
    return DATA.migrate(path, facts.get("format", 1), facts)


def check_links(folder: Path) -> None:
    """Refuse a run in which something that training writes to is a symbolic link out of the run, or no regular file.

    Somebody else's run may hold links to files of yours. The run's folder may itself be a link.
    """
    for name in _FILES:
        regular(folder / name)
    for name in _FOLDERS:
        all_inside(folder, name)


def new_folder(settings: Settings) -> tuple[Path, bool]:
    """A fresh run folder, and whether it is one that a restarted launcher continues instead."""
    parent, launch = Path(settings.run.runs), _launch()
    name = settings.run.name
    if not name:
        source = re.sub(r"[^\w.+-]+", "-", Path(settings.data.source).name).strip("-.") or "data"
        name = f"{settings.recipe.rpartition('/')[2]}-{source}"
    pattern = glob.escape(name) + ("" if settings.run.name else "*")
    for marker in sorted(parent.glob(f"{pattern}/.launch")) if launch else ():
        same, _, process = marker.read_text(encoding="utf-8").rpartition(" ")
        # torchrun counts restarts by node: on this one the count may still be 0.
        restarted = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0" or process != str(os.getpid())
        if restarted and same == launch:
            return marker.parent, True
    for attempt in range(1, 10_000):
        folder = parent / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if settings.run.name:
                raise ConfigError(
                    f"run {folder} exists; `polygan resume {folder}` continues it, another --name starts a new one"
                ) from None
            continue
        except OSError as error:
            raise ConfigError(
                f"run folder {folder} cannot be made: {error.strerror}; choose another with --runs"
            ) from None
        # At once, so that a run that is killed before its first step can be resumed.
        write_text(folder / "config.yaml", settings.yaml())
        if launch:
            write_text(folder / ".launch", f"{launch} {os.getpid()}")
        return folder, False
    raise ConfigError(f"{parent} holds too many runs named {name}; choose a --name")


def _launch() -> str:
    """What tells one launch by torchrun from another, across its restarts; empty without torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ""
    return f"{os.environ['TORCHELASTIC_RUN_ID']} {platform.node()} {os.getppid()}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Refuse a second process in the same run folder, and links out of it. The lock ends with the process."""
    check_links(folder)
    try:
        import fcntl
    except ImportError:  # Windows has no flock
        yield
        return
    with open_lock(folder / ".lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"run {folder} is being trained by another process; wait for it, or train under another --name"
            ) from None
        yield


def describe(
    folder: Path,
    settings: Settings,
    domain: Domain,
    splits: Mapping[str, Split],
    device: torch.device,
    precision: str,
    catalogue: Catalogue,
) -> None:
    """config.yaml, data.json and environment.json."""
    from .. import __version__

    store = splits["train"].store
    data = {
        "format": DATA.number,
        "domain": domain.id,
        "count": len(store),
        **{name: len(split) for name, split in splits.items()},
        "bad": list(store.bad),
        "key": store.key,
        "info": store.info,
    }
    environment = {
        "polygan": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "precision": precision,
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "plugins": {p.name: f"{p.distribution} {p.version}" for p in catalogue.plugins if p.status == "loaded"},
        "command": shlex.join(["polygan", *sys.argv[1:]]) if sys.argv[0].endswith("polygan") else "python",
    }
    for name, text in (
        ("config.yaml", settings.yaml()),
        ("data.json", json.dumps(data, indent=1) + "\n"),
        ("environment.json", json.dumps(environment, indent=1) + "\n"),
    ):
        write_text(folder / name, text)


def check_data(folder: Path, store: Store) -> None:
    """Refuse data of another shape or size than the run was trained on."""
    if not (folder / "data.json").exists():
        return
    saved = read_data(folder)
    now = {"count": len(store), "info": json.loads(json.dumps(store.info))}
    saved = {name: saved.get(name) for name in now}
    for facts in (saved, now):  # one level of names, so that a message is about one fact
        facts |= {f"info.{k}": v for k, v in (facts.pop("info") or {}).items()}
    for name in sorted(saved):  # what is not saved, the version that began the run did not record
        before, after = (_shown(facts.get(name)) for facts in (saved, now))
        if saved.get(name) != now.get(name):
            raise DataError(
                f"the data of run {folder} has changed: {name} was {before} and is {after}; restore it, or start a new "
                f"run with --init-from {folder}"
            )


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}… ({len(text):,} characters)"
