"""Where training starts from: the networks that ``init_from`` names, as far as they fit this run."""

from __future__ import annotations

import dataclasses
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch

from ...errors import CheckpointError, PolyganError
from ...messages import cut, warn
from ...plugins import find, get_catalogue, scheme_of
from ...record.log import read_log
from ...training.actor import first_players
from ...training.weights import load_fitting, load_module, load_weights, misfits
from ..assembly import kinds, resolve, saved_model, saved_settings
from ..exported import read_facts
from ..folder import read_data
from .class_rows import by_name, networks_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from ...files import Facts
    from ...game.recipe import AnyRecipe
    from ...record.job import Job
    from ...settings.parser import Settings
    from ...training.checkpoint import Networks

    Modules = Mapping[str, tuple[nn.Module, nn.Module | None]]
    """Networks by name, each with its average, where it has one."""

_MOST = 12  # settings that are tried out to find those that change the shape of networks


@dataclass(frozen=True)
class Origin:
    """What is known of the training of given networks: the settings, and the facts of the data (`Source.info`)."""

    settings: Settings
    info: Facts
    networks: frozenset[str] = frozenset()
    """The names of the networks in an exported model; empty: all of the recipe's."""


def pinned(settings: Settings) -> Settings:
    """The settings with an ``init_from`` that brings the same model again. A name with a scheme is fetched, a path stays."""
    name = settings.run.init_from
    if not scheme_of(name):
        return settings
    return dataclasses.replace(settings, run=dataclasses.replace(settings.run, init_from=find(name).name))


def origin_of(name: str) -> Origin | None:
    """The origin of a run, of a checkpoint in a run, or of an exported model; None for bare weights."""
    with suppress(PolyganError):
        path = find(name).path
        if path.is_file():
            facts = read_facts(path)
            kind, _ = kinds(facts["recipe"], get_catalogue())
            settings = resolve(facts["recipe"], [saved_model(kind, facts["model"])])
            return Origin(settings, facts["info"], frozenset(map(str, facts["networks"])))
        for folder in (path, path.absolute().parent.parent):
            if (folder / "config.yaml").is_file() and (folder / "data.json").is_file():
                return Origin(saved_settings(folder, {}), read_data(folder)["info"])
    return None


def facts_of_start(settings: Settings) -> Facts:
    """The facts of the data of the run that ``init_from`` names; none for a run that starts anew or from bare weights."""
    origin = origin_of(settings.run.init_from) if settings.run.init_from else None
    return {} if origin is None else origin.info


class Transferred(NamedTuple):
    """What a start brought."""

    told: str
    """A sentence about what was loaded and what begins anew."""
    checksum: str
    """SHA-256 of the names, types, shapes and values of all tensors that the start has for the networks of the run."""


def transfer(modules: Modules, recipe: AnyRecipe, settings: Settings, path: str, checksum: str = "") -> Transferred:
    """Start from other networks.

    Weights come from weights, and averages from averages; where only one of the two exists, both come from it. Rows of classes are
    taken by name (`by_name`). Among another number of classes of other names, the tensors of classes begin anew. Raises
    CheckpointError for networks that do not fit, and for those that have another checksum than ``checksum``, if that is given.
    """
    weights = load_weights(find(path).path, list(modules))
    found = [name for name in modules if name in weights or f"{name}.ema" in weights]
    if not found:
        raise CheckpointError(f"{path} holds no network of this recipe; it has {', '.join(weights) or 'none'}")
    known = _checksum(weights, found)
    if checksum not in ("", known):
        raise CheckpointError(
            f"init_from = {path} holds other weights than those that the run began with; restore them"
        )
    origin = origin_of(path)
    if origin is not None:
        domain = kinds(settings.recipe, get_catalogue())[1]
        if reason := domain.comparable(recipe.info, origin.info):
            raise CheckpointError(f"init_from = {path} does not fit the data: {reason}")
    renamed = ""
    if origin is not None:
        own = {name: modules[name][0] for name in found}
        if (named := by_name(own, weights, recipe, list(origin.info.get("classes", ())))) is not None:
            weights, renamed = named
    odd = {name: misfits(modules[name][0].state_dict(), _best(weights, name)) for name in found}
    classes = None if origin is None or not any(odd.values()) else _other_classes(recipe, settings, origin, weights)
    remedy = "" if origin is None or not any(odd.values()) else _differences(recipe, settings, origin, weights)
    anew: dict[str, None] = {}
    for name in found:
        _load(modules[name], name, weights, path, classes, remedy, anew)
    told = _told(path, found, [name for name in modules if name not in found], list(anew), classes)
    if renamed:
        return Transferred(f"{told}; {renamed}", known)
    told += _other_names(origin.info, recipe.info) if origin is not None and classes is None else ""
    return Transferred(told, known)


def _checksum(weights: Networks, names: list[str]) -> str:
    digest = hashlib.sha256()
    for key in sorted(key for key in weights if key.removesuffix(".ema") in names):
        for name, tensor in sorted(weights[key].items()):
            digest.update(f"{key}.{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def with_start(job: Job, folder: Path) -> Job:
    """The job of the run in ``folder``, which knows the networks that this run began with (`polygan.Evaluation.start`)."""
    return dataclasses.replace(job, start=partial(_begun, job.recipe, job.settings, folder))


def _begun(recipe: AnyRecipe, settings: Settings, folder: Path) -> dict[str, nn.Module] | None:
    """The networks that a run began with, averaged where the recipe averages, on the CPU.

    None, with a line that says why, where ``init_from`` no longer has what the run began with, by the checksum in the run's log.
    """
    path = settings.run.init_from
    try:
        fresh = type(recipe)(settings.model, recipe.info)
        fresh.runs = recipe.runs
        players = first_players(fresh, settings.run, torch.device("cpu"))
        if path:
            records = read_log(folder / "log.jsonl")
            known = next((r.get("start") for r in records if r.get("event") == "started"), None)
            if not isinstance(known, str):
                raise CheckpointError(f"its log has no checksum of init_from = {path}")
            both = {n: (p.module, p.module if p.ema_half_life > 0 else None) for n, p in players.items()}
            transfer(both, fresh, settings, path, known)
    except PolyganError as error:
        warn(f"polygan: no score compares with what run {folder} began with: {error}")
        return None
    return {name: player.module for name, player in players.items()}


def _best(weights: Networks, name: str) -> Mapping[str, Tensor]:
    return weights[name if name in weights else f"{name}.ema"]


def _load(
    pair: tuple[nn.Module, nn.Module | None],
    name: str,
    weights: Networks,
    path: str,
    classes: tuple[int, int] | None,
    remedy: str,
    anew: dict[str, None],
) -> None:
    """Load a network and its average. Names of tensors that begin anew are added to ``anew``."""
    module, averaged = pair
    sides = [(module, name if name in weights else f"{name}.ema")]
    if averaged is not None:
        sides.append((averaged, f"{name}.ema" if f"{name}.ema" in weights else name))
    for module, key in sides:
        if classes is None:
            load_module(module, weights, key, path, remedy)
        else:
            odd = load_fitting(module, weights[key], classes, f"{path}: {key}")
            anew |= dict.fromkeys(f"{name}.{tensor}" for tensor in odd)


def _told(path: str, found: list[str], missing: list[str], anew: list[str], classes: tuple[int, int] | None) -> str:
    """The sentence about a start."""
    text = f"init_from {path}: loaded {', '.join(found)}"
    if anew and classes is not None:
        before, now = (f"{n:,} class{'es' if n > 1 else ''}" if n else "no classes" for n in classes)
        more = f" and {len(anew) - 6:,} more tensors" if len(anew) > 6 else ""
        begin = "begin" if len(anew) > 1 else "begins"
        text += f"; the networks there are for {before} and here for {now}, so {', '.join(anew[:6])}{more} {begin} anew"
    if missing:
        text += f"; {', '.join(missing)} {'begin' if len(missing) > 1 else 'begins'} anew, because {path} has no such weights"
    return text


def _other_names(there: Facts, here: Facts) -> str:
    """A warning where the classes have other names there: networks know classes by number."""
    before, now = (list(facts.get("classes", ())) for facts in (there, here))
    pairs = [f"{a} becomes {b}" for a, b in zip(before, now, strict=False) if a != b]
    more = ", ..." if len(pairs) > 3 else ""
    return f"; the classes have other names there: {', '.join(pairs[:3])}{more}" if pairs else ""


# What differs


def _count(networks: Mapping[str, nn.Module] | None, weights: Networks) -> int | None:
    """How many tensors of ``weights`` do not fit the networks; None without networks."""
    if networks is None:
        return None
    held = [name for name in networks if name in weights or f"{name}.ema" in weights]
    return sum(len(misfits(networks[name].state_dict(), _best(weights, name))) for name in held)


def _other_classes(recipe: AnyRecipe, settings: Settings, origin: Origin, weights: Networks) -> tuple[int, int] | None:
    """The numbers of classes there and here, if networks of this run for the classes there would fit the weights."""
    before, now = (len(facts.get("classes", ())) for facts in (origin.info, recipe.info))
    kept = {key: value for key, value in recipe.info.items() if not key.startswith("class")}
    there = {key: value for key, value in origin.info.items() if key.startswith("class")}
    fits = before != now and _count(networks_for(recipe, settings.model, {**kept, **there}), weights) == 0
    return (before, now) if fits else None


def _differences(recipe: AnyRecipe, settings: Settings, origin: Origin, weights: Networks) -> str:
    """The end of a message: which settings and facts of the data differ, those that change the shape of networks if any does."""
    if origin.settings.recipe != settings.recipe:
        return f"it was trained with {origin.settings.recipe}, and this run is {settings.recipe}"
    theirs, ours = origin.settings.model, settings.model
    before = _count(networks_for(recipe, ours, recipe.info), weights) or 0
    named: dict[str, bool] = {}  # what differs, and whether networks fit better without the difference

    def look(what: str, then: object, now: object, model: object, info: Facts) -> None:
        left = _count(networks_for(recipe, model, info), weights) if len(named) < _MOST else None
        named[f"{what} is {_short(then)} there and {_short(now)} here"] = left is not None and left < before

    for field in dataclasses.fields(ours):
        then, now = getattr(theirs, field.name, None), getattr(ours, field.name)
        if then != now:
            with suppress(PolyganError, TypeError, ValueError):
                look(f"--model.{field.name}", then, now, dataclasses.replace(ours, **{field.name: then}), recipe.info)
    there = _facts(recipe, origin)
    for key in sorted(there.keys() | recipe.info.keys()):
        then, now = there.get(key), recipe.info.get(key)
        if then != now:
            look(f"the data's {key}", then, now, ours, {**recipe.info, key: then})
    chosen = [text for text, helps in named.items() if helps] or list(named)[:4]
    return f"use what the start was trained with: {'; '.join(chosen)}" if chosen else ""


def _facts(recipe: AnyRecipe, origin: Origin) -> Facts:
    """The facts of the data of the start, with what the recipe adds to them, as in ``recipe.info``."""
    with suppress(PolyganError, LookupError, ValueError, TypeError):
        return type(recipe)(origin.settings.model, origin.info).info
    return origin.info


def _short(value: object) -> str:
    if isinstance(value, list | tuple | dict) and len(value) > 4:
        return f"{len(value):,} entries"
    return cut(str(value), 60)
