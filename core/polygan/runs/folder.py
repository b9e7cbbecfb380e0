"""The folder of a run: made once, locked during training, and described in three small files."""

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
from typing import TYPE_CHECKING, Any, TypedDict, cast

import torch

from ..errors import ConfigError, DataError, did_you_mean
from ..files import Format, all_inside, open_lock, regular, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..data.domain import Domain
    from ..data.store import Split, Store
    from ..plugins.catalogue import Catalogue
    from ..settings.parser import Settings


class DataFacts(TypedDict):
    """The facts in data.json."""

    domain: str
    """The id of the domain."""
    count: int
    """The number of samples."""
    train: int
    """The number of training samples."""
    held_out: int
    """The number of held-out samples."""
    bad: list[str]
    """The samples that were skipped, each with the reason."""
    key: str
    """The key of the decoded data in the cache."""
    info: dict[str, Any]
    """The facts that the recipe is built from (`Source.info`)."""


DATA: Format[dict[str, Any]] = Format("the facts of the data", 1, ConfigError)
"""The format of data.json."""
_FILES = (".lock", ".launch", "config.yaml", "data.json", "environment.json", "log.jsonl", "report.html")
_FOLDERS = ("samples", "checkpoints", "tensorboard")


def run_folder(path: str | Path) -> Path:
    """The folder of an existing run. Raises ConfigError if the path is no run."""
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
        raise ConfigError(f"{path} cannot be read ({error}); the run is damaged, so train a new run") from None


def read_data(folder: Path) -> DataFacts:
    """The facts in a run's data.json, migrated to today's format. A file without a format number is of format 1."""
    path = folder / "data.json"
    facts = read_json(path)
    facts = DATA.migrate(path, facts.get("format", 1), facts)
    if not isinstance(facts.get("info"), dict):
        raise ConfigError(f"{path} does not say what the data was (info); the run is damaged, train it anew")
    return cast("DataFacts", facts)


def check_links(folder: Path) -> None:
    """Refuse a run in which training would write through a symbolic link out of the run, or to something that is no regular file.

    A run from somebody else may hold links to your files. The run's folder itself may be a link.
    """
    for name in _FILES:
        regular(folder / name)
    for name in _FOLDERS:
        all_inside(folder, name)


def new_folder(settings: Settings) -> tuple[Path, bool]:
    """A new run folder and False; or the folder that a restarted launcher continues, and True."""
    parent, launch = Path(settings.run.runs), _launch()
    name = settings.run.name
    if not name:
        source = re.sub(r"[^\w.+-]+", "-", Path(settings.data.source).name).strip("-.") or "data"
        name = f"{settings.recipe.rpartition('/')[2]}-{source}"
    pattern = glob.escape(name) + ("" if settings.run.name else "*")
    for marker in sorted(parent.glob(f"{pattern}/.launch")) if launch else ():
        same, _, process = marker.read_text(encoding="utf-8").rpartition(" ")
        # torchrun counts restarts for each node, so on this node the count may still be 0.
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
        # Written at once, so that a run that is killed before its first step can be resumed.
        write_text(folder / "config.yaml", settings.yaml())
        if launch:
            write_text(folder / ".launch", f"{launch} {os.getpid()}")
        return folder, False
    raise ConfigError(f"{parent} holds too many runs named {name}; choose a --name")


def _launch() -> str:
    """A text that is the same for all restarts of a launch by torchrun and differs between launches; empty without torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ""
    return f"{os.environ['TORCHELASTIC_RUN_ID']} {platform.node()} {os.getppid()}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a run folder against a second process, and refuse links out of the folder. The lock ends with the process."""
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
    """Write config.yaml, data.json and environment.json."""
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
        "plugins": {
            p.name: f"{p.distribution} {p.version}" if p.distribution else p.module
            for p in catalogue.plugins
            if p.status == "loaded"
        },
        "command": _command(),
    }
    for name, text in (
        ("config.yaml", settings.yaml()),
        ("data.json", json.dumps(data, indent=1) + "\n"),
        ("environment.json", json.dumps(environment, indent=1) + "\n"),
    ):
        write_text(folder / name, text)


def _command() -> str:
    """The command that trains, as users type it; ``python`` for a script."""
    program = Path(sys.argv[0])
    ours = program.name == "polygan" or program.parts[-2:] == ("polygan", "__main__.py")  # python -m polygan
    return shlex.join(["polygan", *sys.argv[1:]]) if ours else "python"


def check_data(folder: Path, store: Store) -> None:
    """Refuse data whose number of samples or facts differ from the data that the run was trained on. Raises DataError."""
    if not (folder / "data.json").exists():
        return
    facts = read_data(folder)
    saved = _named(facts.get("count"), facts.get("info"))
    now = _named(len(store), json.loads(json.dumps(store.info)))
    for name in sorted(saved):  # an older polygan may have recorded fewer facts
        before, after = (_shown(facts.get(name)) for facts in (saved, now))
        if saved.get(name) != now.get(name):
            raise DataError(
                f"the data of run {folder} has changed: {name} was {before} and is {after}; restore it, or start a new "
                f"run with --init-from {folder}"
            )


def _named(count: object, info: Mapping[str, object] | None) -> dict[str, object]:
    """The facts under one level of names, so that a message is about one fact."""
    return {"count": count, **{f"info.{k}": v for k, v in (info or {}).items()}}


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}… ({len(text):,} characters)"
