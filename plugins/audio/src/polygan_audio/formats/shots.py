"""Generators of short sounds as graphs: an ONNX file, or an exported program of torch."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import torch

from polygan.graphs import Graph, write_graph

from ..shots.settings import makes_samples
from ..vocoding import GRIFFIN_LIM
from . import named_vocoder
from .comparison import EXTRA, agree

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from ..shots.settings import Exported
    from ..wavegan import WaveGAN


def export(
    recipe: WaveGAN, networks: Mapping[str, nn.Module], path: Path, options: Exported | None = None
) -> list[Path]:
    """Write the generator: ``latent`` (batch, latent_dim) and, with classes, ``label`` (batch,) to ``waveform`` or ``mel``.

    The batch is free. The facts are sample rate, classes and, of mels, the front end. With ``options.vocoder`` a generator of mels becomes
    NAME-generator.onnx, with its vocoder beside it (`named_vocoder.export`). Errors: `polygan.graphs.write_graph`; ConfigError for a
    trained vocoder where the generator makes samples.
    """
    name = options.vocoder if options else ""
    if not name or (name == GRIFFIN_LIM and not recipe.makes_mels):
        return [write_graph(_graph(recipe, networks), path, "onnx")[0]]
    if not recipe.makes_mels:
        raise makes_samples(name)
    heard = named_vocoder.export(name, recipe.mel, path, recipe.origin, recipe.runs)
    return [write_graph(_graph(recipe, networks), path, "onnx", "generator")[0], heard]


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
