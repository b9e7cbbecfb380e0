"""HiFi-GAN generators of transformers: folders of ``SpeechT5HifiGan``, read, and written, read back and compared."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from polygan import CheckpointError, ConfigError, ImportedWeights, read_tensors

from ..data.facts import AudioInfo
from ..networks.hifigan import SLOPE, Generator
from ..networks.melspec import PRESETS, MelSpec, resolve
from ..optional import need
from .comparison import agree, folded, trial_mels
from .hifigan import Official, is_count, tensors_of
from .weight_norm import floats_of

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_REMEDY = "use the files that were saved together"

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from polygan import Recipe


def export(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """`export_speecht5` of a run's generator."""
    return export_speecht5(networks["generator"], path)


def export_speecht5(generator: nn.Module, folder: str | Path) -> list[Path]:
    """Write a generator that ``transformers.SpeechT5HifiGan.from_pretrained(folder)`` opens; returns the files.

    It takes log-mels (B, frames, n_mels) of this front end, which mel.json describes. ConfigError
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
        normalize_before=ours.normalised,
    )
    theirs: Any = transformers.SpeechT5HifiGan(config).eval()
    state = {_renamed(k): v for k, v in ours.state_dict().items() if k != "mel_spec"}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    if unexpected or {*missing} != (set() if ours.normalised else {"mean", "scale"}):
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


def import_speecht5(folder: Path) -> ImportedWeights:
    """A folder of ``transformers.SpeechT5HifiGan`` as settings of audio/hifigan, facts of the data, and the generator's tensors.

    ``folder`` holds config.json, and model.safetensors or pytorch_model.bin, which is read without running code. The front end is
    transformers' ``SpeechT5FeatureExtractor`` with a hop of the upsampling rates' product, unless mel.json beside says another, as
    `export_speecht5` writes it. With ``normalize_before``, mean and scale of the bands are kept with the weights. Raises CheckpointError
    for a file that is not what it should be, ConfigError for a configuration that cannot work.
    """
    folder = Path(folder)
    path = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise CheckpointError(
            f"{folder} holds no {' or '.join(_WEIGHTS)}; name a folder that transformers saved, or a file of weights"
        )
    config = Official(folder / "config.json")
    if not config.values.keys() >= {"model_in_dim", "upsample_rates"}:
        raise ConfigError(
            f"{config.path} is of no transformers.SpeechT5HifiGan; use the config.json that came with the weights"
        )
    slope = config.values.get("leaky_relu_slope", SLOPE)
    if slope != SLOPE:
        raise ConfigError(
            f"{config.path}: leaky_relu_slope = {str(slope)[:80]} is not {SLOPE}, the only one that audio/hifigan has"
        )
    config.values.setdefault("resblock", "1")
    shape = config.shape()
    preset, mel = _front_end(config, math.prod(shape.rates))
    normalised = bool(config.values.get("normalize_before", True))  # transformers' default
    state = floats_of(read_tensors(path), path, "generator")
    kept = {name: state.pop(name) for name in ("mean", "scale") if name in state}
    state = {f"ups.{k.removeprefix('upsampler.')}" if k.startswith("upsampler.") else k: v for k, v in state.items()}
    tensors = tensors_of(state, shape, mel, path, config.path)
    if normalised:
        for name in ("mean", "scale"):
            if name not in kept or tuple(kept[name].shape) != (mel.n_mels,):
                raise CheckpointError(
                    f"{path}: {name} is not {mel.n_mels} numbers, and the configuration has normalize_before; {_REMEDY}"
                )
        if not bool((kept["scale"] > 0).all()):
            raise CheckpointError(f"{path}: the scale of the mels is not above 0; {_REMEDY}")
        tensors |= kept
    info = AudioInfo(sample_rate=mel.sample_rate, segment=config.segment(mel))
    model = config.model(shape, mel, preset) | {"normalised": normalised}
    return ImportedWeights(model, dict(info), {"generator": tensors})


def _front_end(config: Official, hop: int) -> tuple[str, MelSpec]:
    """The preset and the front end: of mel.json beside the configuration, else transformers' own."""
    whole = "a whole number from 1 to 1,000,000"
    rate, bands = (config.take(name, is_count, whole) for name in ("sampling_rate", "model_in_dim"))
    place = config.path.with_name("mel.json")
    if not place.is_file():
        return "speecht5", resolve("speecht5", rate, hop_length=hop, n_mels=bands)
    try:
        mel = MelSpec(**json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError, ConfigError) as error:
        why = " ".join(str(error).split())[:160]
        raise ConfigError(f"{place} does not describe a mel front end ({why}); move it away, or export anew") from None
    numbers = {k: getattr(mel, k) for k in ("n_fft", "win_length", "hop_length", "n_mels", "fmin")}
    for preset in PRESETS:
        if not resolve(preset, mel.sample_rate, **numbers, fmax=mel.top).differences(
            dataclasses.replace(mel, fmax=mel.top).facts()
        ):
            return preset, resolve(preset, mel.sample_rate, **numbers, fmax=mel.top)
    raise ConfigError(f"{place} describes a front end of no preset; known are {', '.join(PRESETS)}")


def _renamed(key: str) -> str:
    return f"upsampler.{key.removeprefix('ups.')}" if key.startswith("ups.") else key
