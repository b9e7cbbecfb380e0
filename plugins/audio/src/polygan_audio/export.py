"""Trained HiFi-GAN generators for other programs: transformers and ONNX. What is written is read back and compared."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from polygan import CheckpointError, ConfigError

from .convolutions import fold
from .hifigan_networks import SLOPE, Generator
from .scores import need

if TYPE_CHECKING:
    from torch import nn

TOLERANCE = 1e-5
"""Largest difference of a sample in [-1, 1] between torch and what was written."""
_LENGTHS = (11, 30)  # frames that are compared


def _folded(generator: nn.Module, target: str) -> Generator:
    """A copy on the CPU, in float32 and evaluation mode, without weight norm."""
    if not isinstance(generator, Generator):
        raise ConfigError(f"{target} takes generators of audio/hifigan; this one is a {type(generator).__name__}")
    folded = fold(generator).cpu().float().eval()
    folded.planar = False
    return folded


def _mels(generator: Generator) -> list[torch.Tensor]:
    """Batches of noise, the first of one and the second of two."""
    draw = torch.Generator().manual_seed(0)
    bands = generator.mel.n_mels
    return [torch.randn(b + 1, bands, frames, generator=draw) for b, frames in enumerate(_LENGTHS)]


def _agree(ours: torch.Tensor, theirs: torch.Tensor, path: Path) -> None:
    gap = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else float("inf")
    if not gap <= TOLERANCE:
        raise CheckpointError(f"{path} does not sound as its source: samples differ by {gap:.2g}; do not use it")


def export_speecht5(generator: nn.Module, folder: str | Path) -> list[Path]:
    """Write a generator that ``transformers.SpeechT5HifiGan.from_pretrained(folder)`` opens; returns the files.

    It takes log-mels (B, frames, n_mels) of this front end, which mel.json describes, without normalisation. ConfigError
    for ResBlock2 (V3), which that class does not have, and without the package; CheckpointError where what was written
    differs.
    """
    transformers = need("transformers", "transformers", "export to SpeechT5HifiGan")
    ours, folder = _folded(generator, "transformers.SpeechT5HifiGan"), Path(folder)
    shape, mel = ours.shape, ours.mel
    if shape.block != 1:
        raise ConfigError(
            "transformers.SpeechT5HifiGan has residual blocks of paired convolutions (ResBlock1) only, and V3 has single ones "
            "(ResBlock2); export V1 or V2, or to ONNX"
        )
    config = transformers.SpeechT5HifiGanConfig(
        model_in_dim=mel.n_mels,
        sampling_rate=mel.sample_rate,
        upsample_initial_channel=shape.channels,
        upsample_rates=list(shape.rates),
        upsample_kernel_sizes=list(shape.kernels),
        resblock_kernel_sizes=list(shape.sizes),
        resblock_dilation_sizes=[list(d) for d in shape.dilations],
        leaky_relu_slope=SLOPE,
        normalize_before=False,
    )
    theirs: Any = transformers.SpeechT5HifiGan(config).eval()
    state = {_renamed(k): v for k, v in ours.state_dict().items() if k != "mel_spec"}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    if unexpected or {*missing} != {"mean", "scale"}:
        raise CheckpointError(
            f"transformers.SpeechT5HifiGan has other tensors: {[*missing, *unexpected][:4]}; report this"
        )
    theirs.save_pretrained(folder)
    (folder / "mel.json").write_text(json.dumps(dataclasses.asdict(mel), indent=2) + "\n", encoding="utf-8")
    again: Any = transformers.SpeechT5HifiGan.from_pretrained(folder).eval()
    with torch.no_grad():
        for x in _mels(ours):
            _agree(ours(x), again(x.transpose(1, 2)), folder)
    return sorted(p for p in folder.iterdir() if p.name in ("config.json", "mel.json", "model.safetensors"))


def _renamed(key: str) -> str:
    return f"upsampler.{key.removeprefix('ups.')}" if key.startswith("ups.") else key


def export_onnx(generator: nn.Module, path: str | Path) -> list[Path]:
    """Write a generator as one ONNX file: ``mel`` (batch, n_mels, frames) to ``waveform`` (batch, frames * hop_length).

    Batch and frames are free. The front end stands in the file's metadata as JSON under ``mel``. ConfigError without onnx
    and onnxruntime, in which the file is compared at two lengths; CheckpointError where it differs.
    """
    onnx, runtime = (need(name, "onnx", "export to ONNX") for name in ("onnx", "onnxruntime"))
    ours, path = _folded(generator, "export to ONNX"), Path(path)
    path = path if path.suffix == ".onnx" else path.with_name(path.name + ".onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    free = {"mel": {0: "batch", 2: "frames"}, "waveform": {0: "batch", 1: "samples"}}
    inputs = _mels(ours)
    with warnings.catch_warnings():
        # The exporter by tracing is called old, but needs no onnxscript, and this network has no control flow to lose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            ours,
            (inputs[0],),
            path,
            input_names=["mel"],
            output_names=["waveform"],
            dynamic_axes=free,
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "mel", json.dumps(dataclasses.asdict(ours.mel))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        for x in inputs:
            _agree(ours(x), torch.from_numpy(session.run(None, {"mel": x.numpy()})[0]), path)
    return [path]
