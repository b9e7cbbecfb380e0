"""Trained generators for other programs: transformers and ONNX. What is written is read back and compared."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan import CheckpointError, ConfigError

from . import vocos_networks
from .convolutions import fold
from .frames import Frames
from .frontend import FrontEnd
from .hifigan_networks import SLOPE, Generator
from .scores import need

if TYPE_CHECKING:
    from .melspec import MelSpec

TOLERANCE = 1e-5
"""Largest difference of a sample between torch and what was written, relative to the loudest beyond full scale."""
ROUGH = 0.01
"""Largest root mean square of differences after Griffin and Lim's iterations, relative to that of the sound."""
_LENGTHS = (11, 30)  # frames that are compared


def _folded(generator: nn.Module) -> Any:
    """A copy on the CPU, in float32 and evaluation mode, without weight norm."""
    folded: Any = fold(generator).cpu().float().eval()
    folded.planar = False
    return folded


def _mels(spec: MelSpec) -> list[Tensor]:
    """Log-mels of noise, a batch of one and one of two; bands vary as those of sound do."""
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(b + 1, spec.n_mels, frames, generator=draw) for b, frames in enumerate(_LENGTHS)]


def _agree(ours: Tensor, theirs: Tensor, path: Path, *, iterations: int = 0) -> None:
    """CheckpointError where samples differ by more than `TOLERANCE`.

    Through Griffin and Lim's iterations a difference in the last digit grows a few times in each: after them the root mean
    square of all differences counts, and may be `ROUGH` of that of the sound.
    """
    if ours.shape != theirs.shape:
        raise CheckpointError(f"{path} gives {[*theirs.shape]} samples in place of {[*ours.shape]}; do not use it")
    gap, most = (ours - theirs).abs().max(), TOLERANCE * max(1.0, float(ours.abs().max()))
    if iterations:
        gap, most = (ours - theirs).square().mean().sqrt(), ROUGH * ours.square().mean().sqrt()
    if not gap <= most:
        raise CheckpointError(f"{path} does not sound as its source: samples differ by {gap:.2g}; do not use it")


def export_speecht5(generator: nn.Module, folder: str | Path) -> list[Path]:
    """Write a generator that ``transformers.SpeechT5HifiGan.from_pretrained(folder)`` opens; returns the files.

    It takes log-mels (B, frames, n_mels) of this front end, which mel.json describes, without normalisation. ConfigError
    for ResBlock2 (V3), which that class does not have, and without the package; CheckpointError where what was written
    differs.
    """
    transformers = need("transformers", "transformers", "export to SpeechT5HifiGan")
    if not isinstance(generator, Generator):
        raise ConfigError(
            f"transformers.SpeechT5HifiGan takes generators of audio/hifigan; this is {type(generator).__module__}."
            f"{type(generator).__name__}; export it to ONNX"
        )
    ours, folder, shape, mel = _folded(generator), Path(folder), generator.shape, generator.mel
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
        for x in _mels(mel):
            _agree(ours(x), again(x.transpose(1, 2)), folder)
    return sorted(p for p in folder.iterdir() if p.name in ("config.json", "mel.json", "model.safetensors"))


def _renamed(key: str) -> str:
    return f"upsampler.{key.removeprefix('ups.')}" if key.startswith("ups.") else key


class _Bases(nn.Module):
    """The matrices of the Fourier transform of ``n`` samples and its inverse, which stand in a file once."""

    def __init__(self, n: int) -> None:
        super().__init__()
        angle = 2 * math.pi / n * torch.outer(torch.arange(n // 2 + 1.0), torch.arange(float(n))).double()
        twice = torch.full((n // 2 + 1, 1), 2.0, dtype=torch.float64)  # all bins but 0 and n / 2 stand for two
        twice[0] = twice[-1] = 1
        self.bins = nn.Buffer(torch.cat([angle.cos(), -angle.sin()]).T.contiguous())  # (n_fft, n_fft + 2)
        self.samples = nn.Buffer(torch.cat([twice / n * angle.cos(), -twice / n * angle.sin()]))


class _Matrices(Frames):
    """The two transforms as products with matrices: ONNX has no complex numbers."""

    def __init__(self, mel: MelSpec, like: Tensor, bases: _Bases) -> None:
        super().__init__(mel, like)
        self.bins, self.samples = bases.bins.to(like.dtype), bases.samples.to(like.dtype)

    def consistent(self, spectra: Tensor, out: Tensor) -> Tensor:
        return self.analyse(self.synthesise(spectra))

    def cut(self, sound: Tensor) -> Tensor:
        return torch.cat([sound[:, i : i + self.count] for i in range(self.pieces)], 2)[..., : self.n_fft]

    def to_samples(self, spectra: Tensor) -> Tensor:
        return torch.cat(spectra.unbind(-1), 2) @ self.samples

    def to_spectra(self, frames: Tensor) -> Tensor:
        return torch.stack((frames @ self.bins).chunk(2, 2), -1)


def export_onnx(generator: nn.Module, path: str | Path) -> list[Path]:
    """Write a generator as one ONNX file: ``mel`` (batch, n_mels, frames) to ``waveform`` (batch, frames * hop_length).

    Batch and frames are free. The front end stands in the file's metadata as JSON under ``mel``. ConfigError without onnx
    and onnxruntime, in which the file is compared at two lengths; CheckpointError where it differs.
    """
    onnx, runtime = (need(name, "onnx", "export to ONNX") for name in ("onnx", "onnxruntime"))
    if not isinstance(generator, FrontEnd):
        raise ConfigError(f"export to ONNX takes the generator of a vocoder; this is a {type(generator).__name__}")
    ours, path = _folded(generator), Path(path)
    path = path if path.suffix == ".onnx" else path.with_name(path.name + ".onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    free = {"mel": {0: "batch", 2: "frames"}, "waveform": {0: "batch", 1: "samples"}}
    inputs = _mels(generator.mel)
    traced = ours
    if isinstance(ours, vocos_networks.Generator):
        traced = copy.deepcopy(ours)
        traced.bases = _Bases(ours.mel.n_fft)
        traced.frames = partial(_Matrices, bases=traced.bases)
    with warnings.catch_warnings():
        # The exporter by tracing is called old, but needs no onnxscript, and these networks have no control flow to lose.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traced.eval(),
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
    entry.key, entry.value = "mel", json.dumps(dataclasses.asdict(generator.mel))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        for x in inputs:
            made = torch.from_numpy(session.run(None, {"mel": x.numpy()})[0])
            _agree(ours(x), made, path, iterations=getattr(ours, "iterations", 0))
    return [path]
