"""HiFi-GAN generators for transformers: a folder that ``SpeechT5HifiGan`` opens, read back and compared."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from polygan import CheckpointError, ConfigError

from ..networks.hifigan import SLOPE, Generator
from ..optional import need
from .comparison import agree, folded, trial_mels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from polygan import Recipe


def export(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """`export_speecht5` of a run's generator."""
    return export_speecht5(networks["generator"], path)


def export_speecht5(generator: nn.Module, folder: str | Path) -> list[Path]:
    """Write a generator that ``transformers.SpeechT5HifiGan.from_pretrained(folder)`` opens; returns the files.

    It takes log-mels (B, frames, n_mels) of this front end, which mel.json describes, without normalisation. ConfigError
    for ResBlock2 (V3), which that class does not have, and without the package; CheckpointError where what was written
    differs.
    """
    transformers = need("transformers", "transformers", "export to SpeechT5HifiGan", "use another format")
    if not isinstance(generator, Generator):
        raise ConfigError(
            f"transformers.SpeechT5HifiGan takes generators of audio/hifigan; this is {type(generator).__module__}."
            f"{type(generator).__name__}; export it to ONNX"
        )
    ours, folder, shape, mel = folded(generator), Path(folder), generator.shape, generator.mel
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
        for x in trial_mels(mel):
            agree(ours(x), again(x.transpose(1, 2)), folder)
    return sorted(p for p in folder.iterdir() if p.name in ("config.json", "mel.json", "model.safetensors"))


def _renamed(key: str) -> str:
    return f"upsampler.{key.removeprefix('ups.')}" if key.startswith("ups.") else key
