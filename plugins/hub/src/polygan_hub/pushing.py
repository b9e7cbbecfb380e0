"""Publishing a run on the Hub: the exported model, settings, scores, samples and a model card, all in one commit."""

from __future__ import annotations

import dataclasses
import json
import shlex
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete

import polygan
from polygan import CheckpointError, ConfigError

from .card import Card, write_card
from .client import connect, one_line, parse
from .private import clean, clean_command, clean_text, without_home
from .pulling import MODEL
from .records import environment, samples, scores, seconds_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polygan import Run

    from .client import Name

_HARMLESS = {".gitattributes", "README.md", "LICENSE", ".gitignore"}
"""What a repository that somebody has just made may hold."""


def push(run: str | Path | Run, name: str, *, private: bool = False, step: int | None = None) -> str:
    """Publish a run as OWNER/NAME on the Hub, and return ``OWNER/NAME@COMMIT``, which `pull` brings again to the bit.

    ``step`` names a checkpoint (None: the newest, or that of a loaded run). ``private`` makes a new repository private. Nothing is
    published before everything is written and checked here. Raises ConfigError for a run or a name that cannot be pushed.
    """
    wanted = parse(name)
    if wanted.revision:
        raise ConfigError(f"push {wanted}: a push makes a new revision: write OWNER/NAME without @{wanted.revision}")
    if "/" not in wanted.repo:
        raise ConfigError(f"push {wanted}: whose model is it? Write OWNER/{wanted.repo}")
    loaded = run if not isinstance(run, str | Path) and step is None else _load(run, step)
    if not (loaded.folder / "config.yaml").is_file():
        raise ConfigError(f"{loaded.folder} is no run: push the run's folder, which knows data, settings and scores")
    with tempfile.TemporaryDirectory(prefix="polygan-push-") as temporary:
        folder = Path(temporary)
        write(loaded, wanted.repo, folder)
        with one_line(wanted, "push"):
            return _send(wanted, folder, private=private)


def _load(run: str | Path | Run, step: int | None) -> Run:
    return polygan.load(run if isinstance(run, str | Path) else run.folder, step=step, device="cpu")


def write(run: Run, name: str, folder: Path) -> None:
    """Write into ``folder`` all files that a push of the run as ``name`` publishes."""
    run.export(folder / MODEL)
    scrub_model(folder / MODEL)
    settings = clean(polygan.parse_yaml(run.settings.yaml()))
    changed = _changed(run, settings)
    found, newest = scores(run.folder, run.step), samples(run.folder, run.step, folder)
    card = Card(
        name=name,
        recipe=run.settings.recipe,
        domain=run.domain.id,
        step=run.step,
        data=str(settings["data"]["source"]),
        licence=polygan.licence_of(run.settings),
        counts=_counts(run.folder),
        classes=tuple(clean_text(str(c)) for c in run.recipe.info.get("classes", ()) or ()),
        seed=run.settings.run.seed,
        seconds=seconds_at(run.folder, run.step),
        batch_size=run.settings.run.batch_size,
        settings=changed,
        scores=tuple(clean(found)),
        command=_command(run, changed),
        install=_distributions(run),
        start=str(settings["init_from"]),
        samples=newest,
    )
    (folder / "README.md").write_text(write_card(card), encoding="utf-8")
    text = yaml.safe_dump({**settings, "runs": "runs"}, sort_keys=False, allow_unicode=True)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    (folder / "scores.json").write_text(json.dumps(clean(found), indent=2) + "\n", encoding="utf-8")


def scrub_model(path: Path) -> None:
    """Take paths of this machine out of the facts within and beside an exported model. The tensors stay to the bit."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        facts = json.loads(header["__metadata__"]["polygan"])
        cleaned = {**facts, "model": clean(facts["model"]), "info": without_home(facts["info"])}
        if cleaned == facts:
            return
        header["__metadata__"]["polygan"] = json.dumps(cleaned, indent=2) + "\n"
        text = json.dumps(header, ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        scrubbed = path.with_suffix(".scrubbed")
        with scrubbed.open("wb") as new:
            new.write(len(text).to_bytes(8, "little") + text)
            while block := file.read(1 << 24):
                new.write(block)
    scrubbed.replace(path)
    path.with_suffix(".json").write_text(header["__metadata__"]["polygan"], encoding="utf-8")


def _counts(folder: Path) -> str:
    try:
        facts = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        return f"{facts['count']:,}, of which {facts['held_out']:,} were held out"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _changed(run: Run, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that differ from the defaults, cleaned, by name."""
    found: dict[str, Any] = {}
    groups = {"": run.settings.run, "data.": run.settings.data, "model.": run.settings.model}
    for prefix, config in groups.items():
        shown = settings[prefix[:-1]] if prefix else settings
        for f in dataclasses.fields(config):
            made = f.default_factory
            default = f.default if made is dataclasses.MISSING else made()
            if getattr(config, f.name) != default and f.name not in ("name", "runs", "cache"):
                found[f"{prefix}{f.name}"] = shown[f.name]
    return found


def _command(run: Run, changed: Mapping[str, object]) -> str:
    """The command that trained the run; written from the settings where a script or `polygan resume` trained it."""
    given = clean_command(str(environment(run.folder).get("command", "")))
    if given.startswith("polygan train "):
        return given
    words = ["polygan", "train", run.settings.recipe]
    for name, value in changed.items():
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        words += [f"--{'data' if name == 'data.source' else name}", text]
    return shlex.join(words)


def _distributions(run: Run) -> tuple[str, ...]:
    """The packages to install: this one, and the one that brings the recipe where a package does."""
    top = type(run.recipe).__module__.partition(".")[0]
    entries = entry_points(group="polygan")
    return ("polygan-hub", *(e.dist.name for e in entries if e.dist and e.value.partition(".")[0] == top))


def _send(wanted: Name, folder: Path, *, private: bool) -> str:
    """Make the repository where there is none, and commit the files of a folder. Returns ``OWNER/NAME@COMMIT``."""
    api = connect()
    repo = api.create_repo(wanted.repo, private=private or None, exist_ok=True).repo_id
    there = api.model_info(repo)
    names = {s.rfilename for s in there.siblings or ()}
    if private and not there.private:
        raise ConfigError(f"push {wanted}: the model is public already: make it private on its page, or name another")
    if names - _HARMLESS and not names >= {MODEL, "model.json", "config.yaml"}:
        raise ConfigError(f"push {wanted}: the repository holds something else: name a new one")
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(name, str(path)) for name, path in files.items()
    ]
    old = sorted(name for name in names - files.keys() if name.startswith("samples/"))
    operations += [CommitOperationDelete(name) for name in old]
    done = api.create_commit(repo, operations, commit_message="Pushed by polygan", parent_commit=there.sha)
    if not done.oid:
        raise CheckpointError(f"push {wanted}: the Hub names no commit: look at the model's page")
    return f"{repo}@{done.oid}"
