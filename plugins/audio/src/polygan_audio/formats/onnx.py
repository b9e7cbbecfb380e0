"""Vocoders as one ONNX file, run by onnxruntime and compared."""

from __future__ import annotations

import copy
import dataclasses
import json
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan import ConfigError

from ..networks import parallel_wavegan, vocos
from ..networks.excitation import GriffinLim
from ..networks.frontend import FrontEnd
from ..optional import need
from .comparison import agree, folded, trial_mels
from .fourier import Bases, Matrices
from .iterations import Iterations
from .plain_wavegan import PlainWaveGAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polygan import Recipe


def export(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """`export_onnx` of a run's generator."""
    return export_onnx(networks["generator"], path)


def export_onnx(generator: nn.Module, path: str | Path) -> list[Path]:
    """Write a generator as one ONNX file: ``mel`` (batch, n_mels, frames) to ``waveform`` (batch, frames * hop_length).

    A Parallel WaveGAN from noise takes ``noise`` (batch, frames * hop_length), standard normal numbers, beside the mel. Batch and frames are free. The front end stands in the file's metadata as JSON under ``mel``. ConfigError without onnx
    and onnxruntime, in which the file is compared at two lengths; CheckpointError where it differs.
    """
    onnx, runtime = (need(name, "onnx", "export to ONNX", "use another format") for name in ("onnx", "onnxruntime"))
    if not isinstance(generator, FrontEnd):
        raise ConfigError(f"export to ONNX takes the generator of a vocoder; this is a {type(generator).__name__}")
    ours, path = folded(generator), Path(path)
    path = path if path.suffix == ".onnx" else path.with_name(path.name + ".onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    traced, names = traceable(ours)
    free = {
        "mel": {0: "batch", 2: "frames"},
        "waveform": {0: "batch", 1: "samples"},
        "noise": {0: "batch", 1: "samples"},
    }
    inputs = [(mel, *_noise_for(ours, mel)[: len(names) - 1]) for mel in trial_mels(generator.mel)]
    with warnings.catch_warnings():
        # The exporter by tracing is called old, but needs no onnxscript, and these networks have no control flow to lose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced.eval(),
            inputs[0],
            path,
            input_names=names,
            output_names=["waveform"],
            dynamic_axes={name: free[name] for name in (*names, "waveform")},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "mel", json.dumps(dataclasses.asdict(generator.mel))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        for given in inputs:
            made = session.run(None, {name: x.numpy() for name, x in zip(names, given, strict=True)})[0]
            agree(ours(*given), torch.from_numpy(made), path, iterations=getattr(ours, "iterations", 0))
    return [path]


def traceable(ours: FrontEnd) -> tuple[nn.Module, list[str]]:
    """A generator that is `folded`, as ONNX can hold it, and the names of its inputs: ``mel``, and ``noise`` where it takes some."""
    if isinstance(ours, vocos.Generator):
        traced = copy.deepcopy(ours)
        traced.bases = Bases(ours.mel.n_fft)
        traced.frames = partial(Matrices, bases=traced.bases)
        return traced, ["mel"]
    if isinstance(ours, GriffinLim):
        return Iterations(ours), ["mel"]
    if isinstance(ours, parallel_wavegan.Generator):
        traced = PlainWaveGAN(copy.deepcopy(ours))
        if (excite := traced.generator.griffin_lim) is None:
            return traced, ["mel", "noise"]
        traced.bases = Bases(ours.mel.n_fft)
        excite.make_frames = partial(Matrices, bases=traced.bases)
        return traced, ["mel"]
    return ours, ["mel"]


def _noise_for(ours: FrontEnd, mel: Tensor) -> tuple[Tensor]:
    """Noise (B, F * hop_length) for mels (B, n_mels, F)."""
    draw = torch.Generator().manual_seed(mel.shape[2])
    return (torch.randn(len(mel), mel.shape[2] * ours.mel.hop_length, generator=draw),)
