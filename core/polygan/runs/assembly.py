"""From the settings of a run to the recipe, the domain, the data and the metrics that the settings name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..data.build import build_store, store_path
from ..data.store import split_store
from ..errors import ConfigError, DataError, PluginError, did_you_mean
from ..game.recipe import sides_of
from ..game.sampling import has_truth
from ..messages import plural, say
from ..plugins.catalogue import get_catalogue
from ..record.job import Job
from ..seeding import preserved_generators
from ..settings.formats import Names, migrated
from ..settings.parser import ALIASES, Settings, SettingsParser, option_types, read_yaml, source_of
from ..settings.words import nested, read_words
from .data.located import located
from .data.receipt import add_survey, put, receipt_of, saved_survey
from .folder import handed_remedy, plugin_remedy
from .handed.tensors import HANDED, Stored, stored_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data.domain import Domain
    from ..data.source import DataSettings, Source
    from ..data.store import Split
    from ..files import Facts
    from ..game.recipe import AnyRecipe, Recipe
    from ..hookspecs import DatasetSpec
    from ..plugins.catalogue import Catalogue
    from .data.receipt import Receipt


def resolve(
    recipe: str | Settings, layers: Sequence[Mapping[str, object]] = (), arguments: Sequence[str] = ()
) -> Settings:
    """The settings of a run from layers of plain data and command-line options; later layers win, and options win over all.

    Layers from a file (`read_yaml`) have a format number, and are migrated to today's format here. `Settings` instead of a
    recipe's id are resolved already, and are returned unchanged.
    """
    if isinstance(recipe, Settings):
        if arguments or any(layers):
            raise ConfigError(
                "resolved Settings take no further settings: pass the recipe's id with those settings instead"
            )
        return recipe
    parser, layers, words = prepared(recipe, layers, arguments)
    return parser.parse(layers, words)


def prepared(
    recipe: str, layers: Sequence[Mapping[str, object]] = (), arguments: Sequence[str] = ()
) -> tuple[SettingsParser, list[Mapping[str, object]], list[str]]:
    """The arguments of `resolve`'s parse: the parser for the data that is named, the migrated layers, the remaining options."""
    named, words = read_words(arguments, {"data.source": str}, ALIASES)
    layers = [*layers, nested(named)]
    kind, domain = kinds(recipe, get_catalogue())
    data = data_settings(source_of([{"data": kind.defaults.get("data.source")}, *layers]), domain, get_catalogue())
    names = Names(option_types(data), lambda: _names_of_sets(domain, get_catalogue()))
    return settings_parser(recipe, data), [migrated(layer, names) for layer in layers], words


def settings_parser(recipe: str, data: type[DataSettings] | None = None) -> SettingsParser:
    """The parser of a recipe's settings; ``data`` is the class of a data set's settings (None: the class of the domain's)."""
    kind, domain = kinds(recipe, get_catalogue())
    first = kind.first_options
    return SettingsParser(get_catalogue().recipe(recipe).id, kind.Config, data or domain.Settings, kind.defaults, first)


def data_settings(source: str, domain: Domain, catalogue: Catalogue) -> type[DataSettings]:
    """The class of the settings of a source: the data set's own if the source is the name of a data set, else the domain's."""
    spec = named_dataset(source, domain, catalogue)
    return catalogue.data_settings(spec) if spec else domain.Settings


def named_dataset(source: str, domain: Domain, catalogue: Catalogue) -> DatasetSpec | None:
    """The domain's data set of this name; None where the source is no data set, or is an existing path with a separator."""
    spec = catalogue.datasets.get(source)
    if spec is None or spec.domain != domain.id or (os.sep in source and Path(source).exists()):
        return None
    return spec


def _names_of_sets(domain: Domain, catalogue: Catalogue) -> set[str]:
    """The names of the settings of all data sets of a domain; a plugin that cannot be imported adds no names."""
    names: set[str] = set()
    for spec in catalogue.datasets.values():
        if spec.domain == domain.id and spec.settings:
            with suppress(PluginError):
                names |= option_types(catalogue.data_settings(spec)).keys()
    return names


def kinds(recipe: str, catalogue: Catalogue) -> tuple[type[Recipe], Domain]:
    """A recipe's class and an instance of its domain."""
    kind = catalogue.resolve(catalogue.recipe(recipe))
    return kind, catalogue.resolve(catalogue.domain(kind.domain))()


def open_source(settings: DataSettings, domain: Domain, catalogue: Catalogue) -> Source:
    """The source that the settings name: a data set of the domain, else what the domain opens at the path."""
    name = settings.source
    names = [d.id for d in catalogue.datasets.values() if d.domain == domain.id]
    if not name:
        raise DataError(f"no data: pass --data PATH or one of {', '.join(names) or 'no named data sets are installed'}")
    if spec := named_dataset(name, domain, catalogue):
        return catalogue.resolve(spec)(settings)
    if ":" not in name and not os.path.exists(os.path.expanduser(name)):
        raise DataError(
            f"data {name!r} is neither a path that exists nor a data set of domain {domain.id!r}"
            f"{did_you_mean(name, names)}; `polygan list` shows the data sets"
            f"{'' if os.path.isabs(name) else f', and paths are relative to {os.getcwd()}'}"
        )
    return domain.open(settings)


def metric_ids(
    names: Sequence[str],
    domain: Domain,
    catalogue: Catalogue,
    recipe: AnyRecipe | None = None,
    info: Facts | None = None,
) -> list[str]:
    """The ids of the named metrics; without names, the ids of the domain's metrics. ConfigError for another domain's metric.

    Without names, metrics of pairs come first where ``recipe`` and the facts of its data have pairs, and metrics of samples from noise
    where a recipe makes such. Metrics that need pairs, sides or noise are left out where the run has none.
    """
    known = [name for name in catalogue.metrics if name.partition("/")[0] == domain.id]
    ids = [catalogue.metric(name).id for name in names]
    for name in ids:
        other = name.partition("/")[0]
        if other != domain.id and other in catalogue.domains:
            fits = f"the metrics of this run are {', '.join(known)}" if known else "no metric is installed for this run"
            raise ConfigError(f"metric {name!r} is for the domain {other!r}, and this run is of {domain.id!r}; {fits}")
    if ids or recipe is None or info is None:
        return ids or known
    paired, sided, noisy = has_truth(recipe, domain, info), sides_of(recipe) is not None, recipe.given is None
    specs = [catalogue.metric(name) for name in known]
    fitting = [
        spec for spec in specs if paired >= spec.needs_pairs and sided >= spec.needs_sides and noisy >= spec.needs_noise
    ]
    return [spec.id for spec in sorted(fitting, key=lambda spec: not (spec.needs_pairs or spec.needs_noise))]


def open_data(data: DataSettings, domain: Domain, run: Path | None = None) -> tuple[Source, DataSettings, str]:
    """The source of data settings, the settings with paths that exist, and the folder to which its paths are relative.

    ``run`` is the folder of a run from before; None: a new run.
    """
    base, catalogue = "", get_catalogue()
    if data.source == HANDED and named_dataset(data.source, domain, catalogue) is None:
        return stored_source(data, run), data, ""
    if run is None:
        _refuse_two_meanings(data.source, domain, catalogue)
    elif place := _place(data, domain, catalogue):
        data, base = located(data, run, place)
    return open_source(data, domain, catalogue), data, base


def _place(data: DataSettings, domain: Domain, catalogue: Catalogue) -> str:
    """The setting that says where the data lies: ``source``, or the first path in the settings of a data set; else empty."""
    if named_dataset(data.source, domain, catalogue) is None:
        return "source" if data.source not in ("", HANDED) and ":" not in data.source else ""
    return next((name for name in data.paths if name not in ("source", "cache") and getattr(data, name)), "")


def _refuse_two_meanings(source: str, domain: Domain, catalogue: Catalogue) -> None:
    """Refuse the name of a data set that is also the name of a file or folder here. Raises DataError."""
    path = Path(source)
    if source and named_dataset(source, domain, catalogue) and path.exists():
        raise DataError(
            f"data {source!r} is a data set of domain {domain.id!r} and also a {'folder' if path.is_dir() else 'file'} "
            f"here: --data .{os.sep}{source} takes the {'folder' if path.is_dir() else 'file'}; for the data set, rename "
            "that or run polygan in another folder"
        )


def open_splits(
    settings: Settings, domain: Domain, progress: bool | None = None, run: Path | None = None
) -> dict[str, Split]:
    """The decoded data of a run: the splits ``train`` and ``held_out``. ``run`` is the folder of a run from before."""
    source, data, base = open_data(settings.data, domain, run)
    splits = _decoded(source, data, base, domain, progress)
    put(splits["train"], (saved_survey(run) if run else None) or {})
    return splits


def _decoded(
    source: Source, data: DataSettings, base: str, domain: Domain, progress: bool | None, receipt: Receipt | None = None
) -> dict[str, Split]:
    store = source.store if isinstance(source, Stored) else build_store(source, data, progress=progress)
    store.read = {} if receipt is None else {"read": receipt.plain()}
    if place := _place(data, domain, get_catalogue()):
        store.base, store.place = base or os.getcwd(), place
    return split_store(store, data.held_out)


def make_job(
    settings: Settings, progress: bool | None = None, run: Path | None = None, start: Facts | None = None
) -> Job:
    """The job that settings describe, with decoded data. ``progress`` None: a bar on a terminal, else plain lines.

    ``run`` is the folder of a run that is continued, ``start`` the facts of the data of the run that a new run starts from.
    What the recipe cannot make is refused before samples are decoded.
    """
    catalogue = get_catalogue()
    kind, domain = kinds(settings.recipe, catalogue)
    metric_ids(settings.run.metrics, domain, catalogue)  # refuses unknown names before the data is opened
    source, data, base = open_data(settings.data, domain, run)
    receipt = receipt_of(source, data, domain.id)
    if progress is not False:
        for line in receipt.brief():
            say(line)
    if len(source) and not store_path(source, data).exists():
        refuse_early(kind, settings, source)
    splits = _decoded(source, data, base, domain, progress, receipt)
    if (saved := saved_survey(run) if run else None) is None:
        add_survey(kind, settings.model, domain, splits["train"], start)
    else:
        put(splits["train"], saved)
    info = splits["train"].store.info
    recipe = kind(settings.model, info)
    metrics = metric_ids(settings.run.metrics, domain, catalogue, recipe, info)
    return Job(settings, catalogue, domain, recipe, splits, metrics)


def read_receipt(settings: Settings) -> Receipt:
    """The receipt of the data that settings name. Nothing is decoded."""
    domain = kinds(settings.recipe, get_catalogue())[1]
    source, data, _ = open_data(settings.data, domain)
    return receipt_of(source, data, domain.id)


def refuse_early(kind: type[Recipe], settings: Settings, source: Source) -> None:
    """Build a recipe's networks and players once, and throw them away, so that what does not fit is an error before decoding.

    The recipe gets the facts that it will get after decoding. Random generators stay as they are.
    """
    with preserved_generators():
        recipe = kind(settings.model, {**json.loads(json.dumps(source.info)), "count": len(source)})
        recipe.players(recipe.networks(), settings.run)
        streams = [name for turn in recipe.turns() for name in turn.streams]
    if "train" in streams and settings.run.batch_size > len(source):
        raise DataError(
            f"batch_size = {settings.run.batch_size} is larger than the data: {plural(len(source), 'sample')}; use a smaller "
            "--batch_size, or more data"
        )


def saved_settings(folder: Path, changes: Mapping[str, object], arguments: Sequence[str] = ()) -> Settings:
    """The settings in a run's config.yaml, overridden by ``changes``, and then by ``arguments``, command-line options.

    The run keeps the name that it was trained under. Its folder may have any other name by now.
    """
    saved = read_yaml(folder / "config.yaml", saved=True)
    recipe = saved.get("recipe")
    if not isinstance(recipe, str):
        raise ConfigError(f"{folder / 'config.yaml'} names no recipe; restore the file, or train a new run")
    try:
        kind, domain = kinds(recipe, get_catalogue())
    except ConfigError as error:
        handed = handed_remedy(recipe, folder)
        raise ConfigError(handed or f"{error}{plugin_remedy(folder, get_catalogue())}") from None
    saved = {**_without_a_set_that_is_gone(saved, domain), **saved_model(kind, saved.get("model"))}
    return resolve(recipe, [saved, {"runs": str(folder.parent)}, changes], arguments)


def saved_model(kind: type[Recipe], model: object) -> dict[str, object]:
    """The group ``model`` of saved settings, without what a user must type each time (``Config.typed_only``); empty without a group."""
    if not isinstance(model, Mapping):
        return {}
    typed = getattr(kind.Config, "typed_only", ())
    return {"model": {name: value for name, value in model.items() if name not in typed}}


def _without_a_set_that_is_gone(saved: Mapping[str, object], domain: Domain) -> Mapping[str, object]:
    """The settings of a run without those of a data set that is no longer installed, because generating needs no data."""
    source, data = source_of([saved]), saved.get("data")
    if not isinstance(data, Mapping) or source in get_catalogue().datasets or Path(source).exists():
        return saved
    known = option_types(domain.Settings)
    return {**saved, "data": {name: value for name, value in data.items() if name in known}}
