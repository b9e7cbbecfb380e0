"""Tacotron 2 of NVIDIA (https://github.com/NVIDIA/tacotron2) and of torchaudio's bundles, as settings and tensors of ours."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from polygan import CheckpointError, ConfigError, ImportedWeights, read_tensors
from polygan_audio.networks.melspec import PRESETS

from ..attention import ORIGINAL, SMALL, Shape, Tacotron2
from ..generator import Generator
from .arpabet import NVIDIA, TORCHAUDIO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

State = dict[str, "Tensor"]
_PHONEMES = 96  # symbols of torchaudio's bundles that take ARPAbet from a phonemiser
_COUNTS = ".num_batches_tracked"


@dataclass(frozen=True)
class Converted:
    """What a state dict says: tensors by the names of `Tacotron2`, and what builds the network."""

    shape: Shape
    n_mels: int
    symbols: int
    """Rows of the embedding, that of the pad among them."""
    tensors: State

    def network(self, **changes: Any) -> Tacotron2:
        """The network in evaluation mode; ``changes`` are fields of `Shape` that no tensor shows (dropouts)."""
        made = Tacotron2(self.symbols, self.n_mels, replace(self.shape, **changes))
        made.load_state_dict(self.tensors)
        return made.eval()


def import_nvidia(path: Path) -> ImportedWeights:
    """A published checkpoint as settings of audio/tacotron2 with the attention decoder, facts of the data, and tensors.

    ``path``: NVIDIA's pickle of {"state_dict": tensors} (read without running code, names may begin with ``module.``),
    torchaudio's .pth of bare tensors, or either as .safetensors. The symbols are NVIDIA's 148 (text in small letters, ARPAbet in
    braces: `arpabet.with_arpabet`) or torchaudio's 38 characters. Mels are those of the preset ``tacotron2`` at 22,050 Hz.
    CheckpointError for a file that is not what it should be, or whose symbols or front end are not those.
    """
    if "wavernn" in path.name:
        raise CheckpointError(
            f"{path} makes mels for torchaudio's WaveRNN, which no preset here has; use the bundle of the same name without wavernn"
        )
    found = convert(tensors_of(path), str(path))
    alphabets = {1 + len(symbols): symbols for symbols in (NVIDIA, TORCHAUDIO)}
    if found.symbols not in alphabets:
        what = "torchaudio's bundle of phonemes" if found.symbols == _PHONEMES else "weights of an unknown alphabet"
        raise CheckpointError(
            f"{path} has {found.symbols} symbols ({what}); import weights with NVIDIA's 148 symbols or torchaudio's 38 characters"
        )
    mel = PRESETS["tacotron2"]
    if found.n_mels != mel.n_mels:
        raise CheckpointError(
            f"{path} makes {found.n_mels} mel bands, NVIDIA's front end {mel.n_mels}; import weights of that front end"
        )
    info = {"sample_rate": mel.sample_rate, "segment": 0, "classes": [], "symbols": alphabets[found.symbols]}
    if size(found.shape) == "custom":
        info["attention_shape"] = json.dumps(asdict(found.shape))
    model = {"decoder": "attention", "attention_size": size(found.shape), "mel": "tacotron2"}
    tensors = {f"network.{name}": tensor for name, tensor in found.tensors.items()}
    tensors |= Generator(nn.Identity(), mel.n_mels, 0, {}).state_dict()  # these weights make log-mels as they stand
    return ImportedWeights(model, info, {"generator": tensors})


def size(shape: Shape) -> str:
    """The name of a shape: small, original, or custom."""
    return {ORIGINAL: "original", SMALL: "small"}.get(shape, "custom")


def tensors_of(path: Path) -> State:
    """The state dict of a file. CheckpointError where it holds none."""
    found = read_tensors(path)
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not found or not all(isinstance(k, str) for k in found):
        raise CheckpointError(
            f'{path} holds no tensors of a Tacotron 2; published files hold {{"state_dict": tensors}}'
        )
    for key, value in found.items():
        if not isinstance(value, torch.Tensor):
            raise CheckpointError(f"{path}: {key!r} is a {type(value).__name__} and not a tensor")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise CheckpointError(f"{path}: {key!r} has NaN or infinite values; use an earlier checkpoint")
    return found


def convert(state: Mapping[str, Tensor], where: str = "the state dict") -> Converted:
    """A state dict of NVIDIA's or torchaudio's Tacotron 2; the tensors' shapes give the network's.

    CheckpointError names the tensor that is missing, has another shape, or has no place. ``where``: the file, for errors.
    """
    tensors = {_ours(key): v.detach().float() if v.is_floating_point() else v for key, v in state.items()}
    sizes = _Sizes(tensors, where)
    shape, n_mels, symbols = sizes.shape()
    with torch.device("meta"):  # nothing is allocated for what a file claims
        wanted = {k: tuple(v.shape) for k, v in Tacotron2(symbols, n_mels, shape).state_dict().items()}
    for key in wanted:
        if key.endswith(_COUNTS):  # files of old lack the count, and nothing reads it where momentum is set
            tensors.setdefault(key, torch.zeros((), dtype=torch.int64))
        if sizes.of(key, len(wanted[key])) != wanted[key]:
            raise CheckpointError(
                f"{where}: {key} has the shape {tuple(tensors[key].shape)}, the other tensors make it {wanted[key]}; download or "
                "copy the file again"
            )
    for key in tensors:
        if key not in wanted:
            raise CheckpointError(f"{where}: {key} has no place in a Tacotron 2; import weights of Tacotron 2 alone")
    return Converted(shape, n_mels, symbols, tensors)


def _ours(name: str) -> str:
    """The name of a tensor here. NVIDIA wraps its layers (``.linear_layer``, ``.conv``); torchaudio does not."""
    name = re.sub(r"^(module\.|model\.)+", "", name)
    name = re.sub(r"\.(linear_layer|conv)\.(weight|bias)$", r".\2", name)
    found = re.fullmatch(r"encoder\.lstm\.(\w+_l0)(_reverse)?", name)
    return f"encoder.{'back' if found[2] else 'ahead'}.{found[1]}" if found else name


class _Sizes:
    """Sizes read off tensors. CheckpointError names a tensor that is missing or cannot be."""

    def __init__(self, tensors: Mapping[str, Tensor], where: str) -> None:
        self.tensors, self.where = tensors, where

    def of(self, name: str, dimensions: int) -> tuple[int, ...]:
        if name not in self.tensors:
            raise CheckpointError(f"{self.where}: {name} is missing; the file is no Tacotron 2 of NVIDIA or torchaudio")
        found = tuple(self.tensors[name].shape)
        if len(found) != dimensions:
            raise CheckpointError(
                f"{self.where}: {name} has the shape {found}, which should have {dimensions} dimensions"
            )
        return found

    def layers(self, part: str) -> int:
        return sum(re.fullmatch(rf"{part}\.convolutions\.\d+\.0\.weight", name) is not None for name in self.tensors)

    def shape(self) -> tuple[Shape, int, int]:
        """The shape, mel bands, and rows of the embedding."""
        symbols, width = self.of("embedding.weight", 2)
        encoder, postnet = self.layers("encoder"), self.layers("postnet")
        last = f"postnet.convolutions.{max(postnet, 2) - 1}.0.weight"
        n_mels, channels, kernel = self.of(last, 3)
        made, _ = self.of("decoder.linear_projection.weight", 2)
        filters, _, location = self.of("decoder.attention_layer.location_layer.location_conv.weight", 3)
        if made % n_mels:
            raise CheckpointError(f"{self.where}: a step makes {made} values, which are no frames of {n_mels} bands")
        try:
            shape = Shape(
                width=width,
                encoder_layers=encoder,
                encoder_kernel=self.of("encoder.convolutions.0.0.weight", 3)[2] if encoder else 5,
                prenet=self.of("decoder.prenet.layers.0.weight", 2)[0],
                attention_units=self.of("decoder.attention_rnn.weight_hh", 2)[1],
                decoder_units=self.of("decoder.decoder_rnn.weight_hh", 2)[1],
                attention=self.of("decoder.attention_layer.memory_layer.weight", 2)[0],
                location_filters=filters,
                location_kernel=location,
                postnet=channels,
                postnet_layers=postnet,
                postnet_kernel=kernel,
                reduction=made // n_mels,
            )
        except ConfigError as error:
            raise CheckpointError(f"{self.where}: {error}") from None
        return shape, n_mels, symbols
