"""Generators of short sounds as graphs: an ONNX file, or an exported program of torch."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import torch

from polygan.graphs import Graph, write_graph

from .comparison import EXTRA, agree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from ..wavegan import WaveGAN


def export(recipe: WaveGAN, networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the generator: ``latent`` (batch, latent_dim) and, with classes, ``label`` (batch,) to ``waveform`` or ``mel``.

    The batch is free. The facts are sample rate, classes and, of mels, the front end; errors: `polygan.graphs.write_graph`.
    """
    return [write_graph(_graph(recipe, networks), path, "onnx")[0]]


def program(recipe: WaveGAN, networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the same as an exported program."""
    return [write_graph(_graph(recipe, networks), path, "pt2")[0]]


def _graph(recipe: WaveGAN, networks: Mapping[str, nn.Module]) -> Graph:
    generator = copy.deepcopy(networks["generator"]).cpu().float().eval().requires_grad_(False)
    made = "mel" if recipe.makes_mels else "waveform"
    free = {name: {0: "batch"} for name in ("latent", "label", made)}
    trials = [_trial(recipe, n) for n in (2, 1, 3)]
    return Graph(generator, trials, [made], free, _facts(recipe), source=generator, agree=agree, extra=EXTRA)


def _trial(recipe: WaveGAN, n: int) -> dict[str, Tensor]:
    latent = torch.randn(n, recipe.config.latent_dim, generator=torch.Generator().manual_seed(n))
    label = {"label": torch.arange(n) % len(recipe.classes)} if recipe.classes else {}
    return {"latent": latent, **label}


def _facts(recipe: WaveGAN) -> dict[str, Any]:
    """What a user of the file has to know."""
    mel = {"mel": dataclasses.asdict(recipe.mel)} if recipe.makes_mels else {}
    own = {"kind": "latents", "latent_size": recipe.config.latent_dim, "sample_rate": recipe.rate}
    return {**recipe.origin, **own, "classes": list(recipe.classes), **mel}
