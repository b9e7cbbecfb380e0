"""Vocoders as graphs: an ONNX file, or an exported program of torch."""

from __future__ import annotations

import copy
import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from polygan import ConfigError
from polygan.graphs import Graph, write_graph

from ..networks import parallel_wavegan, vocos
from ..networks.excitation import GriffinLim
from ..networks.frontend import FrontEnd
from .comparison import EXTRA, agree, folded, trial_mels
from .iterations import Iterations
from .plain_wavegan import PlainWaveGAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polygan import Recipe
    from polygan.graphs import Kind

LEAST = 3
"""Frames that a program takes at least."""


def export(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """`export_onnx` of a run's generator."""
    return _write(networks["generator"], path, "onnx", recipe.origin)


def program(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the same as an exported program, for `LEAST` frames or more; Fourier transforms are torch's own."""
    return _write(networks["generator"], path, "pt2", recipe.origin)


def export_onnx(generator: nn.Module, path: str | Path) -> list[Path]:
    """Write a generator as one ONNX file: ``mel`` (batch, n_mels, frames) to ``waveform`` (batch, frames * hop_length).

    A Parallel WaveGAN from noise takes ``noise`` (batch, frames * hop_length), standard normal numbers, beside the mel. Batch and
    frames are free. The front end stands in the file's metadata as JSON under ``mel``, and in the facts (`polygan.graphs.write_graph`).
    """
    return _write(generator, Path(path), "onnx", {})


def _write(generator: nn.Module, path: Path, kind: Kind, origin: Mapping[str, Any]) -> list[Path]:
    if not isinstance(generator, FrontEnd):
        raise ConfigError(f"a vocoder's export takes the generator of a vocoder; this is a {type(generator).__name__}")
    ours, mel = folded(generator), dataclasses.asdict(generator.mel)
    noisy = hears_noise(ours)
    trials = [{"mel": x, **({"noise": _noise(ours, x)} if noisy else {})} for x in trial_mels(generator.mel)]
    samples = {0: "batch", 1: "samples"}
    frames = Dim("frames", min=LEAST)
    # After iterations by other matrices than torch's, sounds differ in more than rounding.
    iterations = getattr(ours, "iterations", 0) if kind == "onnx" else 0
    graph = Graph(
        _plain(ours) if kind == "pt2" else in_a_file(ours),
        trials,
        ["waveform"],
        {"mel": {0: "batch", 2: "frames"}, "noise": samples, "waveform": samples},
        {**origin, "kind": "vocoder", "mel": mel, **({"least": LEAST} if kind == "pt2" else {})},
        source=lambda **given: ours(*given.values()),
        dims={"frames": frames, "samples": generator.mel.hop_length * frames},
        agree=partial(agree, iterations=iterations),
        entries={"mel": mel},
        extra=EXTRA,
    )
    return [write_graph(graph, path, kind)[0]]


def in_a_file(ours: FrontEnd) -> nn.Module:
    """A generator that is `folded` as an ONNX file has it: without complex numbers, and with Griffin and Lim's iterations as loops."""
    network = copy.deepcopy(ours)
    for part in network.modules():
        if isinstance(part, vocos.Generator | GriffinLim):
            loops = Iterations(part.mel)
            part.make_frames, part.nearer, part.phases = loops.make_frames, loops.nearer, loops.phases
            part.bases = loops.bases
    return _plain(network)


def hears_noise(ours: FrontEnd) -> bool:
    """Whether a generator takes noise (B, F * hop_length) beside the mel."""
    return isinstance(ours, parallel_wavegan.Generator) and ours.griffin_lim is None


def _plain(network: FrontEnd) -> nn.Module:
    return PlainWaveGAN(network) if isinstance(network, parallel_wavegan.Generator) else network


def _noise(ours: FrontEnd, mel: Tensor) -> Tensor:
    """Noise (B, F * hop_length) for mels (B, n_mels, F)."""
    draw = torch.Generator().manual_seed(mel.shape[2])
    return torch.randn(len(mel), mel.shape[2] * ours.mel.hop_length, generator=draw)
