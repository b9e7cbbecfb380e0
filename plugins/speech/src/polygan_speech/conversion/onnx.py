"""The generator of voice conversion as one ONNX file, run by onnxruntime and compared."""

from __future__ import annotations

import copy
import dataclasses
import json
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan import CheckpointError, ConfigError
from polygan_audio.optional import need

from .generator import Generator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from polygan import Recipe

TOLERANCE = 1e-4
"""Largest difference of a log-mel between torch and the file."""
_LENGTHS = (11, 30)  # frames that are compared


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
    deviation of ln F0, which convert a pitch linearly, stand in the file's metadata as JSON. ConfigError without onnx and onnxruntime;
    CheckpointError where onnxruntime computes something else.
    """
    onnx, runtime = (need(name, "onnx", "export to ONNX", "use another format") for name in ("onnx", "onnxruntime"))
    generator = networks["generator"]
    if not isinstance(generator, Generator):
        raise ConfigError(f"export to ONNX takes a generator of voices; this is a {type(generator).__name__}")
    module = _Plain(copy.deepcopy(generator).cpu().float().eval())
    path = path if path.suffix == ".onnx" else path.with_name(path.name + ".onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    trials = [_trial(generator, n + 1, frames) for n, frames in enumerate(_LENGTHS)]
    free = {0: "batch", 2: "frames"}
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter by tracing is called old, but needs no onnxscript, and this network has no control flow to lose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            trials[0],
            path,
            input_names=["mel", "label", "pitch"],
            output_names=["made"],
            dynamic_axes={"mel": free, "label": {0: "batch"}, "pitch": {0: "batch", 1: "frames"}, "made": free},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(path)
    for key, value in _facts(recipe, generator).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    for trial in trials:
        given = {name: value.numpy() for name, value in zip(("mel", "label", "pitch"), trial, strict=True)}
        with torch.no_grad():
            gap = (module(*trial) - torch.from_numpy(session.run(None, given)[0])).abs().max()
        if not gap <= TOLERANCE:
            raise CheckpointError(f"{path} computes something else: log-mels differ by {float(gap):.2g}; do not use it")
    return [path]


def _facts(recipe: Recipe[Any], generator: Generator) -> dict[str, Any]:
    return {
        "mel": dataclasses.asdict(generator.mel),
        "speakers": list(recipe.info.get("classes", ())),
        "pitch_mean": generator.pitch_mean.tolist(),
        "pitch_deviation": generator.pitch_deviation.tolist(),
    }


def _trial(generator: Generator, n: int, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Log-mels, speakers and pitches, among them unvoiced frames, by a seed."""
    draw = torch.Generator().manual_seed(0)
    mel = torch.randn(n, generator.mel.n_mels, frames, generator=draw)
    pitch = 80 + 200 * torch.rand(n, frames, generator=draw)
    return mel, torch.arange(n) % len(generator.mel_mean), pitch * (torch.rand(n, frames, generator=draw) > 0.3)
