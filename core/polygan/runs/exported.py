"""Exported models: a .safetensors file with the weights, and a .json file with the facts that rebuild the networks."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from safetensors import SafetensorError, safe_open

from ..data.saving import file_suffix
from ..errors import DISK_FULL, CheckpointError, ConfigError, PluginError, PolyganError
from ..files import Format, create, replacing, write_blocks
from ..game.recipe import NoOptions
from ..plugins.catalogue import get_catalogue
from ..reading import open_regular, parse_json, read_text
from ..settings.parser import option_types
from ..settings.ranges import unfit
from ..training.statefile import tensor_blocks
from ..training.weights import load_module
from .assembly import kinds, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from torch import nn

    from ..hookspecs import ImportedWeights
    from ..plugins.catalogue import Catalogue
    from ..settings.parser import Settings


class ModelFacts(TypedDict):
    """The facts of an exported model."""

    recipe: str
    """The id of the recipe."""
    model: dict[str, object]
    """The settings of the recipe."""
    info: dict[str, object]
    """The facts of the data (`Source.info`)."""
    step: int
    """The step of the checkpoint; 0 for imported weights."""
    networks: list[str]
    """The names of the networks."""


MODEL: Format[dict[str, object]] = Format("exported model", 1, CheckpointError)
"""The format of the facts of an exported model; facts without a number are of format 1."""
NATIVE = "safetensors"
"""polygan's own format of exported models."""
_FACTS: Mapping[str, type] = {"recipe": str, "model": dict, "info": dict, "step": int, "networks": list}


def read_facts(path: Path) -> ModelFacts:
    """The facts within an exported model, else in the .json file beside the model. CheckpointError if neither can be used.

    Older exports have the facts beside the model only. That file may belong to another export if a power cut came in between.
    """
    beside = path.with_suffix(".json")
    try:
        open_regular(path, named=True).close()  # the library that reads the header would wait for a pipe
        facts = parse_json(_facts_within(path) or read_text(beside))
        facts = MODEL.migrate(path, facts.get("format", 1), facts)
        for name, kind in _FACTS.items():
            if not isinstance(facts[name], kind):
                raise TypeError(f"{name} is no {kind.__name__}")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"{path} is no exported model: {beside.name} beside it cannot be used ({why}); `polygan export` writes both"
        ) from None
    return cast("ModelFacts", facts)


def _facts_within(path: Path) -> str | None:
    """The facts within a model, so that one rename replaces weights and facts together; None for a file without facts."""
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("polygan")
    except (OSError, SafetensorError):  # the error comes when the weights are read
        return None


def import_weights(recipe: str, source: str | Path, out: str | Path, *, format: str = "") -> list[Path]:
    """Write weights of another program as an exported model, and return its files; `load` and ``init_from`` take such a model.

    ``format`` may be left out where plugins import only one format for the recipe.
    """
    catalogue = get_catalogue()
    kind, _ = kinds(recipe, catalogue)
    source, _ = Path(source), export_kind(out, NATIVE)
    if not source.exists():
        raise CheckpointError(f"{source} does not exist; name the file with the weights")
    found: ImportedWeights = catalogue.resolve(catalogue.format(recipe, format, "import"))(source)
    settings = resolve(recipe, [{"model": found.model}])
    networks = kind(settings.model, found.info).networks()
    for name in found.networks:
        load_module(networks[name], found.networks, name, source, cast=True)
    return write_model(Path(out), settings, found.info, 0, {name: networks[name] for name in found.networks})


def export_kind(path: str | Path, kind: str, others: Collection[str] = ()) -> str:
    """The format of a model to write: ``kind``, else the format that the suffix of ``path`` names; without a suffix, polygan's own.

    ``others`` are the further formats that there are. Raises ConfigError for a suffix that no format has, or that another has.
    """
    named, known = file_suffix(path)[1:], (NATIVE, *others)
    if not kind and named and named not in known:
        suffixes = ", ".join(f".{name}" for name in known)
        raise ConfigError(
            f"{path}: networks are not exported as .{named}; use {suffixes}, or another format with --format"
        )
    kind = kind or named or NATIVE
    if named and named != kind and (kind == NATIVE or named in others):
        raise ConfigError(f"{path} ends in .{named}, and the format is {kind}; end the name in .{kind}")
    return kind


def write_model(
    path: Path, settings: Settings, info: Mapping[str, object], step: int, networks: Mapping[str, nn.Module]
) -> list[Path]:
    """Write a .safetensors file with tensors ``NAME.key``, and the facts that rebuild the networks, within it and beside it (.json).

    A power cut leaves either the old model or the new model.
    """
    export_kind(path, NATIVE)
    path = path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
    tensors = {
        f"{name}.{key}": value for name, network in networks.items() for key, value in network.state_dict().items()
    }
    facts = {
        "format": MODEL.number,
        "recipe": settings.recipe,
        "model": settings.plain()["model"],
        "info": dict(info),
        "step": step,
        "networks": sorted(networks),
    }
    text, beside = json.dumps(facts, indent=2) + "\n", path.with_suffix(".json")
    header = {"recipe": settings.recipe, "polygan": text}
    with _writable(path), replacing(beside, path) as (facts_file, model_file):
        write_blocks(facts_file, [text.encode()])
        write_blocks(model_file, tensor_blocks(tensors, header))
    return [path, beside]


def format_options(recipe: str, kind: str, catalogue: Catalogue) -> type[Any]:
    """The class of an export format's own options. Raises PluginError for a class that is not sound."""
    spec = None if kind == NATIVE else catalogue.format(recipe, kind, "export")
    if spec is None or not spec.settings:
        return NoOptions
    found = catalogue.resolve(replace(spec, target=spec.settings))
    if fault := unfit(found, spec.settings):
        raise PluginError(f"format {spec.id!r}: {fault}")
    return cast("type[Any]", found)


def writer(recipe: str, kind: str, catalogue: Catalogue, options: object) -> Callable[..., Iterable[Path]]:
    """``(recipe, networks, path)`` to files of a plugin's format, by way of the format that it is made from."""
    spec = catalogue.format(recipe, kind, "export")
    write = catalogue.resolve(spec)
    write = partial(write, options=options) if spec.settings else write
    if not spec.made_from:
        return write
    known = format_options(recipe, spec.made_from, catalogue)
    shared = {name: value for name, value in vars(options).items() if name in option_types(known)}
    first = writer(recipe, spec.made_from, catalogue, known(**shared))

    def both(made: object, networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
        with tempfile.TemporaryDirectory(prefix="polygan-") as folder:
            return list(write(made, list(first(made, networks, Path(folder, f"model.{spec.made_from}"))), path))

    return both


def write_format(path: Path, write: Callable[[Path], Iterable[Path]]) -> list[Path]:
    """The files that ``write(path)`` makes, moved into place when all are written; nothing stays of a write that fails.

    ``path`` is a file or a folder. The files get the permissions that other new files get.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _writable(path):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            with create(temporary / "new") as new:
                mode = os.fstat(new.fileno()).st_mode & 0o777
            (temporary / "new").unlink()
            place = temporary / path.name
            if path.is_dir():
                place.mkdir()
            written = [os.path.relpath(file, temporary) for file in write(place)]
            for parent, _, names in os.walk(temporary):
                for name in names:
                    file = Path(parent, name)
                    target = path.parent / file.relative_to(temporary)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    file.chmod(mode)  # libraries write files that only their owner may read
                    file.replace(target)
        except PolyganError as error:
            raise type(error)(str(error).replace(f"{temporary}{os.sep}", "")) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return [path.parent / name for name in written]


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """One line with the remedy where the place of an export cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        remedy = "free some space" if error.errno in DISK_FULL else "name another place with --out"
        raise CheckpointError(f"{path} cannot be written ({error.strerror or error}): {remedy}") from None
