"""Exported models: one .safetensors file, and the facts to build its networks beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from ..plugins.catalogue import get_catalogue
from ..training.weights import load_module
from .assembly import kinds, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from ..hookspecs import ImportedWeights
    from ..settings.parser import Settings


_FACTS: Mapping[str, type] = {"recipe": str, "model": dict, "info": dict, "step": int, "networks": list}


def read_facts(path: Path) -> dict[str, Any]:
    """What stands beside an exported model. CheckpointError where it does not."""
    beside = path.with_suffix(".json")
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
        for name, kind in _FACTS.items():
            if not isinstance(facts[name], kind):
                raise TypeError(f"{name} is no {kind.__name__}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"{path} is no exported model: {beside.name} beside it cannot be used ({why}); `polygan export` writes both"
        ) from None
    return facts


def import_weights(recipe: str, source: str | Path, out: str | Path, *, format: str = "") -> list[Path]:
    """Write weights of another program as an exported model, which `load` and ``init_from`` take; returns the files.

    ``format`` may be left out where plugins import one format alone for the recipe.
    """
    catalogue = get_catalogue()
    kind, _ = kinds(recipe, catalogue)
    source = Path(source)
    if not source.exists():
        raise CheckpointError(f"{source} does not exist; name the file with the weights")
    found: ImportedWeights = catalogue.resolve(catalogue.format(recipe, format, "import"))(source)
    settings = resolve(recipe, [{"model": found.model}])
    networks = kind(settings.model, found.info).networks()
    for name in found.networks:
        load_module(networks[name], found.networks, name, source)
    return write_model(Path(out), settings, found.info, 0, {name: networks[name] for name in found.networks})


def write_model(
    path: Path, settings: Settings, info: Mapping[str, Any], step: int, networks: Mapping[str, nn.Module]
) -> list[Path]:
    """One .safetensors file with ``NAME.key`` tensors, and what is needed to build their networks beside it (.json)."""
    from safetensors.torch import save_file

    path = path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    facts = {
        "recipe": settings.recipe,
        "model": settings.plain()["model"],
        "info": dict(info),
        "step": step,
        "networks": sorted(networks),
    }
    save_file(tensors, path, {"format": "pt", "recipe": settings.recipe})
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return [path, path.with_suffix(".json")]
