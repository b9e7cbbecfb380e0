"""The generator of voice conversion as a graph: an ONNX file, or an exported program of torch."""

from __future__ import annotations

import copy
import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan import ConfigError
from polygan.graphs import Graph, agree, write_graph

from ..formats.attention_onnx import EXTRA
from .generator import Generator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from polygan import Recipe
    from polygan.graphs import Kind

_SIZES = (2, 30), (1, 11)  # batch and frames that are compared


class _Plain(nn.Module):
    """The generator without what only training needs."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, mel: Tensor, label: Tensor, pitch: Tensor) -> Tensor:
        return self.generator(mel, label, pitch)


def export(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the generator: ``mel`` (batch, n_mels, frames), ``label`` (batch,) and ``pitch`` (batch, frames) to ``made``.

    Batch and frames are free. ``pitch`` is the pitch to make in Hz, 0 where unvoiced. The front end, the speakers and their mean and
    deviation of ln F0, which convert a pitch linearly, are the facts (`polygan.graphs.write_graph`) and entries of the file's metadata.
    """
    return _write(recipe, networks, path, "onnx")


def program(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the same as an exported program."""
    return _write(recipe, networks, path, "pt2")


def _write(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path, kind: Kind) -> list[Path]:
    generator = networks["generator"]
    if not isinstance(generator, Generator):
        raise ConfigError(f"this export takes a generator of voices; this is a {type(generator).__name__}")
    module = _Plain(copy.deepcopy(generator).cpu().float().eval().requires_grad_(False))
    frames, known = {0: "batch", 2: "frames"}, facts(recipe, generator)
    graph = Graph(
        module,
        [_trial(generator, *size) for size in _SIZES],
        ["made"],
        {"mel": frames, "label": {0: "batch"}, "pitch": {0: "batch", 1: "frames"}, "made": frames},
        {**recipe.origin, "kind": "voices", **known},
        source=module,
        agree=partial(agree, what="log-mels"),
        entries=known,
        extra=EXTRA,
    )
    return [write_graph(graph, path, kind)[0]]


def facts(recipe: Recipe[Any], generator: Generator) -> dict[str, Any]:
    return {
        "mel": dataclasses.asdict(generator.mel),
        "speakers": list(recipe.info.get("classes", ())),
        "pitch_mean": generator.pitch_mean.tolist(),
        "pitch_deviation": generator.pitch_deviation.tolist(),
    }


def _trial(generator: Generator, n: int, frames: int) -> dict[str, Tensor]:
    """Log-mels, speakers and pitches, among them unvoiced frames, by a seed."""
    draw = torch.Generator().manual_seed(0)
    mel = torch.randn(n, generator.mel.n_mels, frames, generator=draw)
    pitch = 80 + 200 * torch.rand(n, frames, generator=draw)
    pitch = pitch * (torch.rand(n, frames, generator=draw) > 0.3)
    return {"mel": mel, "label": torch.arange(n) % len(generator.mel_mean), "pitch": pitch}
