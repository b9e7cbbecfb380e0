"""The folder of a run: made once, locked during training, described in three small files; and the plugins that it needs."""

from __future__ import annotations

import json
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast

from ..data.cache.folders import lock_file
from ..errors import ConfigError, DataError, one_line
from ..files import Format, all_inside, open_lock, regular, write_text
from ..messages import warn
from ..reading import read_object
from ..record.environment import environment
from ..record.overview import check_run
from ..settings.words import Each, read_words
from .data.located import where
from .launch import alive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch

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
    content: NotRequired[str]
    """The checksum of the decoded samples; a run from an older polygan has none."""
    surveyed: NotRequired[list[str]]
    """The names of the facts in ``info`` that the recipe found in the training split (`Recipe.survey`)."""
    info: dict[str, Any]
    """The facts that the recipe is built from (`Source.info`)."""


DATA: Format[dict[str, Any]] = Format("the facts of the data", 1, ConfigError)
"""The format of data.json."""
_FILES = (".lock", ".launch", "config.yaml", "data.json", "environment.json", "log.jsonl", "report.html")
_FOLDERS = ("samples", "checkpoints", "tensorboard")


def run_folder(path: str | Path) -> Path:
    """The folder of an existing run. Raises ConfigError if the path is no run."""
    folder = Path(path)
    check_run(folder)
    return folder


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that every run has: names with values."""
    try:
        return read_object(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); the run is damaged, so train a new run") from None


def read_data(folder: Path) -> DataFacts:
    """The facts in a run's data.json, migrated to today's format. A file without a format number is of format 1.

    Raises ConfigError for a fact of another type.
    """
    path = folder / "data.json"
    facts = read_json(path)
    try:
        facts = DATA.migrate(path, facts.get("format", 1), facts)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path} is not complete ({one_line(error)}); the run is damaged, train it anew") from None
    if not isinstance(facts.get("info"), dict):
        raise ConfigError(f"{path} does not say what the data was (info); the run is damaged, train it anew")
    kinds = {"domain": str, "count": int, "train": int, "held_out": int, "bad": list, "key": str, "surveyed": list}
    for name, kind in kinds.items():
        if name in facts and type(facts[name]) is not kind:
            raise ConfigError(
                f"{path} says {name} = {facts[name]!r:.80}, which is no {kind.__name__}; restore the file"
            )
    return cast("DataFacts", facts)


def environment_of(folder: Path) -> Mapping[str, object]:
    """The facts of the machine that a run was last trained on; empty if environment.json is missing or damaged."""
    try:
        return read_object(folder / "environment.json")
    except (OSError, ValueError):
        return {}


def check_links(folder: Path) -> None:
    """Refuse a run in which training would write through a symbolic link out of the run, or to something that is no regular file.

    A run from somebody else may hold links to your files. The run's folder itself may be a link.
    """
    for name in _FILES:
        regular(folder / name)
    for name in _FOLDERS:
        all_inside(folder, name)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a run folder against a second process, and refuse links out of the folder. The lock ends with the process."""
    check_links(folder)
    with open_lock(folder / ".lock") as file:
        try:
            lock_file(file)
        except OSError:
            raise ConfigError(
                f"run {folder} is being trained by another process; wait for it, or train under another --name"
            ) from None
        _sweep_files(folder)
        yield


def _sweep_files(folder: Path) -> None:
    """Remove the temporary files of `write_text` whose process was killed."""
    for path in folder.glob(".*.tmp"):
        pid = path.name.split(".")[-2]
        if pid.isdecimal() and not alive(int(pid)) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


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
    store = splits["train"].store
    data = {
        "format": DATA.number,
        "domain": domain.id,
        "count": len(store),
        **{name: len(split) for name, split in splits.items()},
        "bad": list(store.bad),
        "key": store.key,
        "content": store.content,
        **store.read,
        **({"where": where(getattr(settings.data, store.place), store.base, folder)} if store.base else {}),
        **({"surveyed": sorted(store.surveyed)} if store.surveyed else {}),
        "info": store.info,
    }
    for name, text in (
        ("config.yaml", settings.yaml()),
        ("data.json", json.dumps(data, indent=1) + "\n"),
        ("environment.json", json.dumps(environment(device, precision, catalogue), indent=1) + "\n"),
    ):
        write_text(folder / name, text)


def check_data(folder: Path, store: Store) -> None:
    """Refuse data whose samples or facts differ from the data that the run was trained on. Raises DataError.

    The files may have other names or times, as long as the decoded samples are the same.
    """
    if not (folder / "data.json").exists():
        return
    facts = read_data(folder)
    saved = _named(facts.get("count"), facts.get("info"))
    now = _named(len(store), json.loads(json.dumps(store.info)))
    remedy = f"restore it, or start a new run with --init_from {folder}"
    for name in sorted(saved):  # an older polygan may have recorded fewer facts
        before, after = (_shown(facts.get(name)) for facts in (saved, now))
        if saved.get(name) != now.get(name):
            raise DataError(f"the data of run {folder} has changed: {name} was {before} and is {after}; {remedy}")
    content, same_files = facts.get("content"), facts.get("key") == store.key
    if content and store.content and content != store.content:
        if not same_files:
            raise DataError(
                f"the data of run {folder} has changed: it has as many samples as before, and some of them differ; {remedy}"
            )
        warn(
            f"polygan: the files of the data of run {folder} are the same, and are decoded to other samples than before, by "
            "another version of a library perhaps; the run goes on, and its result is not the same to the bit"
        )
    elif not content and not same_files:
        warn(
            f"polygan: the files of the data of run {folder} have other names, sizes or times than before; the run is from "
            "an older polygan and does not know whether the samples are the same"
        )


def _named(count: object, info: Mapping[str, object] | None) -> dict[str, object]:
    """The facts under one level of names, so that a message is about one fact."""
    return {"count": count, **{f"info.{k}": v for k, v in (info or {}).items()}}


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}… ({len(text):,} characters)"


NETWORKS = "/networks"
"""The end of the id of the recipe that trains two networks from a script."""


def plugin_remedy(folder: Path, catalogue: Catalogue) -> str:
    """The end of a message about a recipe that no plugin brings: the plugins that the run was trained with; empty if unknown.

    A local file is named and never loaded by itself, since it would be code from a run that may be a stranger's.
    """
    environment = environment_of(folder)
    loaded = {plugin.name for plugin in catalogue.plugins if plugin.status == "loaded"}
    recorded = environment.get("plugins")
    plugins = recorded.items() if isinstance(recorded, dict) else ()
    absent = {name: str(where).strip() for name, where in plugins if name not in loaded}
    files = [where for where in absent.values() if where.endswith(".py")] or _files(environment.get("command"))
    said = ""
    if files:
        options = " ".join(f"--plugin {_typed(file)}" for file in files)
        said += f"; the run was trained with {options}: add this to the command if you trust the file"
    others = [where for where in absent.values() if where and not where.endswith(".py")]
    if others:
        said += (
            f"; the run was trained with {', '.join(others)}, which is not loaded: install it, or see `polygan plugins`"
        )
    return said


def _typed(file: str) -> str:
    """A file as it is typed: quoted for the shell, apart from a ``~`` for the home folder."""
    return f"~/{shlex.quote(file[2:])}" if file.startswith("~/") else shlex.quote(file)


def _files(command: object) -> list[str]:
    """The files after ``--plugin`` in the command that trained the run."""
    try:
        found, _ = read_words(shlex.split(str(command or "")), {"plugin": Each})
    except (ValueError, ConfigError):
        return []
    return [str(file) for file in found.get("plugin", [])]


def handed_remedy(recipe: str, folder: Path) -> str:
    """The error about a run whose networks or recipe a script handed in; empty for other runs. ``folder``: a run, or an exported model."""
    if recipe.endswith(NETWORKS):
        return (
            f"{folder} was trained with networks that a script handed in; hand over both again, from Python: "
            f"polygan.load({str(folder)!r}, networks=(generator, discriminator)), and resume in the same way"
        )
    handed = environment_of(folder).get("handed")
    if not isinstance(handed, dict) or recipe not in handed:
        return ""
    name = recipe.rpartition("/")[2]
    return (
        f"{folder} was trained with the class {name} of {handed[recipe]!s:.200}, which a script handed in; hand it over again, "
        f"from Python: polygan.load({str(folder)!r}, recipe={name}), and resume in the same way"
    )


def refuse_handed(recipe: str, folder: Path, catalogue: Catalogue) -> None:
    """Raise ConfigError where a script handed in what trained the model, and has not handed it in again."""
    if recipe not in catalogue.recipes and (said := handed_remedy(recipe, folder)):
        raise ConfigError(said)
