"""Puts what a script hands in into the catalogue of a block, so that the run is made and read as every other run."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...data.domain import Domain
from ...data.rows.arrays import arrays_of, is_handed
from ...errors import ConfigError
from ...game.recipe import Recipe
from ...hookspecs import DatasetSpec, DomainSpec, MetricSpec, RecipeSpec
from ...plugins.catalogue import get_catalogue
from ...plugins.handed import Handed, add_plugins, using
from ...settings.parser import Settings, read_yaml
from ..exported import read_facts
from ..folder import NETWORKS, run_folder
from .networks import OPTIONS, networks_recipe
from .tensors import HANDED, TensorDomain, sliced_wasserstein

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...plugins.catalogue import Catalogue
    from ...plugins.kinds import Spec

TENSOR = "tensor"
"""The domain of samples that belong to no other domain."""

DomainLike = str | Domain | type[Domain] | None
Objects = list[tuple["Spec", object]]


class Named(NamedTuple):
    """What `resolve` takes for things that were handed in."""

    recipe: str | Settings
    layer: Mapping[str, object]
    """The groups ``data`` and ``model`` of settings, as far as they are given."""
    settings: Mapping[str, object]
    """The settings of the run."""


@contextmanager
def handed_in(
    recipe: object,
    data: object,
    model: Mapping[str, object] | None,
    settings: Mapping[str, object],
    domain: DomainLike = None,
    plugins: Sequence[object] = (),
) -> Iterator[Named]:
    """Give names to a class of a recipe, to networks and to data; within the block the catalogue knows these names."""
    add_plugins(plugins)
    groups = {k: v for k, v in (("data", data), ("model", model)) if v is not None}
    settings = dict(settings)
    if not isinstance(recipe, str | Settings | type):
        model = {**_network_options(settings), **(model or {})}
        groups["model"] = model
    objects: Objects = []
    name = recipe if isinstance(recipe, str | Settings) else _recipe(recipe, domain, objects)
    catalogue = _with(objects)
    source = data.get("source") if isinstance(data, Mapping) else data
    if is_handed(source):
        if isinstance(name, Settings):
            raise ConfigError(
                "resolved Settings name their data already: pass the recipe's id with data=samples instead"
            )
        catalogue = _with_data(name, source, catalogue)
        groups["data"] = {**(data if isinstance(data, Mapping) else {}), "source": HANDED}
    with using(catalogue):
        yield Named(name, groups, settings)


@contextmanager
def handed_again(
    path: str | Path,
    networks: object = None,
    recipe: type[Recipe[Any]] | None = None,
    domain: DomainLike = None,
    data: object = None,
    plugins: Sequence[object] = (),
) -> Iterator[None]:
    """Hand in what a run or an exported model was made with. ConfigError where the run was made with something else."""
    add_plugins(plugins)
    if networks is None and recipe is None and data is None:
        yield
        return
    saved, objects = _saved_recipe(Path(path)), []
    if networks is not None and not saved.endswith(NETWORKS):
        raise ConfigError(f"{path} was trained with {saved}, which brings its own networks: leave networks out")
    given = networks if networks is not None else recipe
    if given is not None:
        found = _recipe(given, domain or saved.rpartition("/")[0], objects)
        if found != saved:
            raise ConfigError(
                f"{path} was trained with {saved}, and {found} was handed in: hand over the class of {saved}"
            )
    catalogue = _with(objects)
    with using(catalogue if data is None else _with_data(saved, data, catalogue)):
        yield


def _saved_recipe(path: Path) -> str:
    if path.suffix == ".safetensors":
        return read_facts(path)["recipe"]
    return str(read_yaml(run_folder(path) / "config.yaml", saved=True).get("recipe"))


def _network_options(settings: dict[str, object]) -> dict[str, object]:
    """The options of networks, taken out of the settings of a run."""
    found = {name: settings.pop(name) for name in OPTIONS if name in settings}
    if isinstance(found.get("loss"), str):
        loss = str(found["loss"]).replace("-", "_")
        found["loss"] = {"non_saturating": "minimax"}.get(loss, loss)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}


def _recipe(recipe: object, domain: DomainLike, objects: Objects) -> str:
    """The id of a class of a recipe, or of networks. Adds their specs, and the spec of their domain, to ``objects``."""
    base = get_catalogue()
    if domain is not None and not isinstance(domain, str):
        kind = domain if isinstance(domain, type) else type(domain)
        objects.append((DomainSpec(kind.id, "script:domain", "a domain of a script"), kind))
        domain = kind.id
    if isinstance(recipe, type):
        if not issubclass(recipe, Recipe):
            raise ConfigError(
                f"{recipe.__name__} is no polygan.Recipe: hand over a subclass, or (generator, discriminator)"
            )
        kind, name = recipe, recipe.__name__
    else:
        kind, name = networks_recipe(recipe, domain or TENSOR), NETWORKS[1:]
    own = getattr(kind, "domain", None) or TENSOR
    if own == TENSOR and TENSOR not in base.domains:
        objects.append((DomainSpec(TENSOR, "script:domain", "samples of one shape"), TensorDomain))
        metric = MetricSpec(
            "tensor/sliced_wasserstein", "script:metric", "distance of distributions", needs_noise=False
        )
        objects.append((metric, sliced_wasserstein))
    id = f"{own}/{name}"
    target = f"{kind.__module__}:{kind.__qualname__}"
    if known := [spec.id for spec in base.recipes.values() if spec.target == target]:
        return known[0]
    if id in base.recipes and id not in base.handed:
        raise ConfigError(f"recipe {id!r} is registered by {base.owner('recipe', id)}: rename the class {name}")
    objects.append((RecipeSpec(id, "script:recipe", "a recipe of a script"), kind))
    return id


def _with(objects: Objects) -> Catalogue:
    base = get_catalogue()
    if not objects:
        return base
    found = Handed(base, objects)
    found.handed |= {spec.id: _place(target) for spec, target in objects if isinstance(spec, RecipeSpec)}
    return found


def _place(target: object) -> str:
    try:
        return str(inspect.getsourcefile(target))  # pyright: ignore[reportArgumentType]  # a class, or TypeError
    except TypeError:
        return "a script"


def _with_data(recipe: str, data: object, catalogue: Catalogue) -> Catalogue:
    """The catalogue with handed-in data as a data set of the recipe's domain."""
    kind = catalogue.resolve(catalogue.recipe(recipe))
    domain = catalogue.resolve(catalogue.domain(kind.domain))()
    arrays = arrays_of(data)
    spec = DatasetSpec(HANDED, kind.domain, "script:data", "data of a script")
    return Handed(catalogue, [(spec, lambda settings: domain.source_of(arrays, settings))])
