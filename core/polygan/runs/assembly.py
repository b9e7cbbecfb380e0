"""What a run is made of: from its settings to the recipe, the domain, the data and the metrics that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.build import build_store
from ..data.store import split_store
from ..errors import ConfigError, DataError, did_you_mean
from ..plugins.catalogue import get_catalogue
from ..record.job import Job
from ..settings.parser import Settings, SettingsParser, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..data.domain import Domain
    from ..data.source import DataSettings, Source
    from ..data.store import Split
    from ..game.recipe import Recipe
    from ..plugins.catalogue import Catalogue


def resolve(recipe: str, layers: Sequence[Mapping[str, Any]], arguments: Sequence[str] = ()) -> Settings:
    """The settings of a run from layered plain data and command-line options."""
    return settings_parser(recipe).parse(layers, arguments)


def settings_parser(recipe: str) -> SettingsParser:
    """The parser of one recipe's settings."""
    kind, domain = kinds(recipe, get_catalogue())
    return SettingsParser(get_catalogue().recipe(recipe).id, kind.Config, domain.Settings, kind.defaults)


def kinds(recipe: str, catalogue: Catalogue) -> tuple[type[Recipe], Domain]:
    """A recipe's class and an instance of its domain."""
    kind = catalogue.resolve(catalogue.recipe(recipe))
    return kind, catalogue.resolve(catalogue.domain(kind.domain))()


def open_source(settings: DataSettings, domain: Domain, catalogue: Catalogue) -> Source:
    """The source that settings name: a data set of the domain, or else what the domain finds at the path."""
    name = settings.source
    names = [d.id for d in catalogue.datasets.values() if d.domain == domain.id]
    if not name:
        raise DataError(f"no data: pass --data PATH or one of {', '.join(names) or 'no named data sets are installed'}")
    if name in names and not (os.sep in name and Path(name).exists()):
        return catalogue.resolve(catalogue.dataset(name))(settings)
    if ":" not in name and not Path(name).expanduser().exists():
        raise DataError(
            f"data {name!r} is neither a path that exists nor a data set of domain {domain.id!r}"
            f"{did_you_mean(name, names)}; `polygan list` shows the data sets"
        )
    return domain.open(settings)


def metric_ids(names: Sequence[str], domain: Domain, catalogue: Catalogue) -> list[str]:
    """The ids of metrics asked for, or of all that the domain has."""
    ids = [catalogue.metric(name).id for name in names]
    return ids or [name for name in catalogue.metrics if name.partition("/")[0] == domain.id]


def open_splits(settings: Settings, domain: Domain, progress: bool | None = None) -> dict[str, Split]:
    """The run's data, decoded: ``train`` and ``held_out``."""
    store = build_store(open_source(settings.data, domain, get_catalogue()), settings.data, progress=progress)
    return split_store(store, settings.data.held_out)


def make_job(settings: Settings, progress: bool | None = None) -> Job:
    """The run that settings describe, with its data decoded. ``progress`` None: a bar on a terminal, else plain lines."""
    catalogue = get_catalogue()
    kind, domain = kinds(settings.recipe, catalogue)
    metrics = metric_ids(settings.run.metrics, domain, catalogue)
    splits = open_splits(settings, domain, progress)
    return Job(settings, catalogue, domain, kind(settings.model, splits["train"].store.info), splits, metrics)


def saved_settings(folder: Path, changes: Mapping[str, Any]) -> Settings:
    """The settings in a run's config.yaml, with ``changes`` over them."""
    saved = read_yaml(folder / "config.yaml")
    recipe = saved.get("recipe")
    if not isinstance(recipe, str):
        raise ConfigError(f"{folder / 'config.yaml'} names no recipe; restore the file or train anew")
    return resolve(recipe, [saved, {"runs": str(folder.parent), "name": folder.name}, changes])
