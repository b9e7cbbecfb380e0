"""polygan trains generative adversarial networks of every domain with one core and one trainer.

Each name is imported on first use: ``import polygan`` alone does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DivergenceError,
    PluginError,
    PolyganError,
    Preempted,
    StopTraining,
    did_you_mean,
)
from .hookspecs import (
    API_VERSION,
    CommandSpec,
    DatasetSpec,
    DomainSpec,
    Fetched,
    FormatSpec,
    ImportedWeights,
    MetricSpec,
    RecipeSpec,
    RunEvent,
    SchemeSpec,
    hookimpl,
)

if TYPE_CHECKING:
    from . import graphs, losses, testing
    from .cli.command import read_options
    from .data.cache.folders import cache_folder, remembered
    from .data.decoding import Room
    from .data.domain import Domain, Samples
    from .data.pieces import Passage, Picture, Piece, Sound
    from .data.rows.arrays import Arrays
    from .data.rows.joined import Joined
    from .data.rows.tables import Table, is_table, open_table
    from .data.source import Batch, DataSettings, Fact, Field, LeftOut, Source, left_out_files, passed_over, walk_files
    from .data.store import Split, Store, split_rows
    from .data.stream import Stream, Streams
    from .game.adaptive import AdaptiveAugmentation
    from .game.protocol import Context, Player, Turn
    from .game.recipe import HasCritic, HasLikelihood, HasStream, Recipe, Request, Sides
    from .game.sampling import class_index, classes_of, evaluating, in_chunks, make_samples
    from .reading import decode_text
    from .record.log import read_log
    from .report.comparison import compare
    from .report.scores import score_table
    from .runs.data.receipt import licence_of
    from .runs.exported import import_weights
    from .runs.run import Run, load
    from .runs.train import resume, train
    from .scoring.evaluation import Evaluation, Pairs, Plot, Score
    from .seeding import Noise, mix
    from .settings.formats import parse_yaml
    from .settings.ranges import Checked, ranged
    from .settings.trainer import TrainerSettings
    from .training.checkpoint import Checkpoints
    from .training.distributed import resolve_precision
    from .training.trainer import Listener, Trainer
    from .training.weights import read_tensors

__version__ = "0.1.0"

_HOME = {
    "cli.command": "read_options",
    "data.domain": "Domain Samples",
    "data.pieces": "Passage Picture Piece Sound",
    "data.decoding": "Room",
    "data.cache.folders": "cache_folder remembered",
    "data.rows.arrays": "Arrays",
    "data.rows.joined": "Joined",
    "data.rows.tables": "Table is_table open_table",
    "data.source": "Batch DataSettings Fact Field LeftOut Source left_out_files passed_over walk_files",
    "data.store": "Split Store split_rows",
    "data.stream": "Stream Streams",
    "reading": "decode_text",
    "game.adaptive": "AdaptiveAugmentation",
    "game.protocol": "Context Player Turn",
    "game.recipe": "HasCritic HasLikelihood HasStream Recipe Request Sides",
    "game.sampling": "class_index classes_of evaluating in_chunks make_samples",
    "record.log": "read_log",
    "report.comparison": "compare",
    "report.scores": "score_table",
    "runs.data.receipt": "licence_of",
    "runs.exported": "import_weights",
    "runs.run": "Run load",
    "runs.train": "resume train",
    "scoring.evaluation": "Evaluation Pairs Plot Score",
    "seeding": "Noise mix",
    "settings.formats": "parse_yaml",
    "settings.ranges": "Checked ranged",
    "settings.trainer": "TrainerSettings",
    "training.checkpoint": "Checkpoints",
    "training.distributed": "resolve_precision",
    "training.trainer": "Listener Trainer",
    "training.weights": "read_tensors",
}
_LAZY = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = [
    "API_VERSION",
    "AdaptiveAugmentation",
    "Arrays",
    "Batch",
    "Checked",
    "CheckpointError",
    "Checkpoints",
    "CommandSpec",
    "ConfigError",
    "Context",
    "DataError",
    "DataSettings",
    "DatasetSpec",
    "DivergenceError",
    "Domain",
    "DomainSpec",
    "Evaluation",
    "Fact",
    "Fetched",
    "Field",
    "FormatSpec",
    "HasCritic",
    "HasLikelihood",
    "HasStream",
    "ImportedWeights",
    "Joined",
    "LeftOut",
    "Listener",
    "MetricSpec",
    "Noise",
    "Pairs",
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
    "Request",
    "Room",
    "Run",
    "RunEvent",
    "Samples",
    "SchemeSpec",
    "Score",
    "Sides",
    "Sound",
    "Source",
    "Split",
    "StopTraining",
    "Store",
    "Stream",
    "Streams",
    "Table",
    "Trainer",
    "TrainerSettings",
    "Turn",
    "cache_folder",
    "class_index",
    "classes_of",
    "compare",
    "decode_text",
    "did_you_mean",
    "evaluating",
    "graphs",
    "hookimpl",
    "import_weights",
    "in_chunks",
    "is_table",
    "left_out_files",
    "licence_of",
    "load",
    "losses",
    "make_samples",
    "mix",
    "open_table",
    "parse_yaml",
    "passed_over",
    "ranged",
    "read_log",
    "read_options",
    "read_tensors",
    "remembered",
    "resolve_precision",
    "resume",
    "score_table",
    "split_rows",
    "testing",
    "train",
    "walk_files",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    if name in ("graphs", "losses", "testing"):
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'polygan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
