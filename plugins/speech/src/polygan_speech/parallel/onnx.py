"""The parallel network as a graph, from a sentence's numbers to its log-mel: an ONNX file, or an exported program of torch."""

from __future__ import annotations

import copy
import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from polygan import ConfigError
from polygan.graphs import Graph, agree, write_graph

from ..attention import Tacotron2
from ..formats import attention_onnx
from ..generator import Generator
from ..speech import Speech
from .network import Parallel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from polygan import Recipe
    from polygan.graphs import Kind

LEAST = 3
"""Symbols that a program takes at least, the ends of the sentence among them."""
_TRIALS = (7, 31)  # symbols of the sentences that are compared
_TOLERANCE = 1e-3  # of log-mels


class _Sentence(nn.Module):
    """A generator as the file has it."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        assert isinstance(generator.network, Parallel)
        self.generator, self.network = generator, generator.network

    def forward(
        self, ids: Tensor, pace: Tensor, pitch: Tensor, speaker: Tensor | None = None, language: Tensor | None = None
    ) -> Tensor:
        """(1, S), then four times (1,), to a log-mel (1, n_mels, F)."""
        made, _ = self.network.speak(ids, speaker, pace, pitch, language)
        return self.generator.mel(made)


def export(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the generator: ``ids`` (1, symbols) int64, ``pace`` and ``pitch`` (1,), ``speaker`` and
    ``language`` (1,) int64 where there are several, to ``mel`` (1, n_mels, frames).

    ``pitch`` is in the speaker's deviations. The facts, which are also entries of the file's metadata, hold the front end (``mel``)
    and what numbers the symbols have (``symbols``; ``end``: the number in front of and behind a sentence). They name the ``speakers``
    and ``languages`` in order. With attention there are three files (`attention_onnx.export_onnx`). Errors: `polygan.graphs.write_graph`.
    """
    return _write(recipe, networks, path, "onnx")


def program(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the same as exported programs; a sentence has `LEAST` symbols or more."""
    return _write(recipe, networks, path, "pt2")


def _write(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path, kind: Kind) -> list[Path]:
    generator = networks["generator"]
    if isinstance(generator, Generator) and isinstance(generator.network, Tacotron2):
        return attention_onnx.export(recipe, generator, path, kind)
    if (
        not isinstance(recipe, Speech)
        or not isinstance(generator, Generator)
        or not isinstance(generator.network, Parallel)
    ):
        raise ConfigError(f"this export takes a generator of audio/tacotron2; this is a {type(generator).__name__}")
    sentence = _Sentence(copy.deepcopy(generator).cpu().float().eval().requires_grad_(False))
    known = _facts(recipe)
    graph = Graph(
        sentence,
        [_trial(recipe, count) for count in _TRIALS],
        ["mel"],
        {"ids": {1: "symbols"}, "mel": {2: "frames"}},
        {**recipe.origin, "kind": "speech", **known, **({"least": LEAST} if kind == "pt2" else {})},
        source=sentence,
        dims={"symbols": Dim("symbols", min=LEAST)},
        agree=partial(agree, what="log-mels", most=_TOLERANCE),
        entries=known,
    )
    return [write_graph(graph, path, kind)[0]]


def _facts(recipe: Speech) -> dict[str, Any]:
    alphabet, languages = recipe.spelling.alphabet, recipe.languages
    return {
        "mel": dataclasses.asdict(recipe.mel),
        "symbols": alphabet.symbols,
        "end": len(alphabet),
        "speakers": list(recipe.classes),
        **({"languages": list(languages.known)} if len(languages) > 1 else {}),
    }


def _trial(recipe: Speech, count: int) -> dict[str, Tensor]:
    ids = 1 + torch.arange(count)[None] % max(1, len(recipe.spelling.alphabet) - 1)
    speaker = {"speaker": torch.zeros(1, dtype=torch.int64)} if len(recipe.classes) > 1 else {}
    language = {"language": torch.ones(1, dtype=torch.int64)} if len(recipe.languages) > 1 else {}
    return {"ids": ids, "pace": torch.tensor([1.1]), "pitch": torch.tensor([0.2]), **speaker, **language}
