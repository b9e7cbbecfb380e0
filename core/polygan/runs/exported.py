"""Exported models: one .safetensors file, and the facts to build its networks beside it."""

from __future__ import annotations
import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
import torch
from ..training.weights import load_module
from .assembly import kinds, metric_ids, open_splits, resolve, saved_settings
from ..training.checkpoint import Checkpoints
from ..training.weights import load_weights
from ..settings.parser import Settings, build
from ..training.device import choose_device
from ..errors import CheckpointError, ConfigError, DataError, did_you_mean
from .folder import check_data, read_json, run_folder
from ..plugins.catalogue import get_catalogue
from ..game.sampling import evaluating
from ..game.recipe import sample_from
from ..scoring.scores import compute_scores, flat, make_evaluation
from ..record.log import append_record
from ..seeding import seed_everything

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from ..data.store import Split
    from ..data.domain import Domain, Samples
    from ..scoring.evaluation import Score
    from ..game.recipe import Recipe


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


def import_weights(recipe: str, source: str | Path, out: str | Path) -> list[Path]:
    """Write weights of another program as an exported model, which `load` and ``init_from`` take; returns the files."""
    kind, _ = kinds(recipe, get_catalogue())
    source = Path(source)
    if not source.exists():
        raise CheckpointError(f"{source} does not exist; name the file with the weights")
    model, info, networks = kind.import_weights(source)
    settings = resolve(recipe, [{"model": model}])
    with without_compiler():
        players = kind(settings.model, info).players()
    for name in networks:
        load_module(players[name].module, networks, name, source)
    return write_model(Path(out), settings, info, 0, {name: players[name].module for name in networks})


@contextmanager
def without_compiler() -> Iterator[None]:
    """Optimizers are made without torch's compiler, which the first of them imports for 2 to 3 s only to hide itself from it.

    A model that is opened is not trained. Where torch has no such mark, optimizers are made as ever.
    """
    function, mark = getattr(torch.optim.Optimizer.add_param_group, "__wrapped__", None), "__dynamo_disable"
    if function is None or hasattr(function, mark):
        yield
        return
    setattr(function, mark, function)
    try:
        yield
    finally:
        delattr(function, mark)


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
