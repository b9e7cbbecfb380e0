"""polygan trains generative adversarial networks of every domain with one core and one trainer.

Names are imported on first use: ``import polygan`` alone does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DivergenceError,
    PluginError,
    PolyganError,
    Preempted,
    did_you_mean,
)
from .hookspecs import (
    API_VERSION,
    DatasetSpec,
    DomainSpec,
    MetricSpec,
    RecipeSpec,
    RunEvent,
    hookimpl,
)

if TYPE_CHECKING:
    from . import losses, testing
    from .checkpoint import Checkpoints
    from .data import Split, Stream, split_rows
    from .domain import (
        Batch,
        DataSettings,
        Domain,
        Evaluation,
        Field,
        Passage,
        Picture,
        Piece,
        Plot,
        Samples,
        Score,
        Sound,
        Source,
    )
    from .protocol import Context, Player, Turn
    from .recipe import Recipe, in_chunks
    from .run import resume, train
    from .seeding import Noise, mix
    from .settings import TrainerSettings, resolve_precision
    from .store import Store
    from .trained import Run, import_weights, load
    from .trainer import Listener, Trainer

__version__ = "0.1.0"

_HOME = {
    "checkpoint": "Checkpoints",
    "data": "Split Stream split_rows",
    "domain": "Batch DataSettings Domain Evaluation Field Passage Picture Piece Plot Samples Score Sound Source",
    "protocol": "Context Player Turn",
    "recipe": "Recipe in_chunks",
    "run": "resume train",
    "seeding": "Noise mix",
    "settings": "TrainerSettings resolve_precision",
    "store": "Store",
    "trained": "Run import_weights load",
    "trainer": "Listener Trainer",
}
_LAZY = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "API_VERSION",
    "Batch",
    "CheckpointError",
    "Checkpoints",
    "ConfigError",
    "Context",
    "DataError",
    "DataSettings",
    "DatasetSpec",
    "DivergenceError",
    "Domain",
    "DomainSpec",
    "Evaluation",
    "Field",
    "Listener",
    "MetricSpec",
    "Noise",
    "Passage",
    "Picture",
    "Piece",
    "Player",
    "Plot",
    "PluginError",
    "PolyganError",
    "Preempted",
    "Recipe",
    "RecipeSpec",
    "Run",
    "RunEvent",
    "Samples",
    "Score",
    "Sound",
    "Source",
    "Split",
    "Store",
    "Stream",
    "Trainer",
    "TrainerSettings",
    "Turn",
    "did_you_mean",
    "hookimpl",
    "import_weights",
    "in_chunks",
    "load",
    "losses",
    "mix",
    "resolve_precision",
    "resume",
    "split_rows",
    "testing",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    if name in ("losses", "testing"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'polygan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
