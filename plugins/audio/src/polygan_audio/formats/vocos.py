"""Vocos weights of the official code (https://github.com/gemelo-ai/vocos), as settings and tensors of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from polygan import CheckpointError, ConfigError, ImportedWeights, read_tensors

from ..data.facts import AudioInfo
from ..networks.melspec import MelSpec, resolve
from ..networks.vocos import Generator
from .published_settings import read_settings
from .weight_norm import State, floats_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONFIGS = ("config.yaml", "config.yml")
_REMEDY = "use the config.yaml that came with the weights"
_SEGMENT = 16_384  # samples of a training segment, as the official configurations have
_CLASSES = {
    "feature_extractor": ("vocos.feature_extractors.MelSpectrogramFeatures", "the Vocos that takes mels"),
    "backbone": ("vocos.models.VocosBackbone", "the backbone of ConvNeXt blocks"),
    "head": ("vocos.heads.ISTFTHead", "the head with an inverse STFT"),
}
_NAMES = {
    "backbone.embed": "embed",
    "backbone.norm": "norm",
    "backbone.final_layer_norm": "final_norm",
    "head.out": "head",
}
_LAYERS = {"dwconv": "depthwise", "norm": "norm", "pwconv1": "widen", "pwconv2": "narrow"}


def import_vocos(path: Path, config: Path | None = None) -> ImportedWeights:
    """An official checkpoint as settings of audio/vocos, facts of the data, and the generator's tensors.

    ``path``: ``pytorch_model.bin`` (read without running code), a training checkpoint with ``state_dict``, or a .safetensors file;
    names are ``backbone.*`` and ``head.*``, and what else there is (the front end's constants, discriminators) is left out. ``config``:
    the official config.yaml, by default beside ``path``. Raises CheckpointError for a file that is not what it should be, ConfigError for
    a Vocos of another kind (EnCodec tokens, MDCT heads, padding "same").
    """
    path = Path(path)
    place = config or next((path.with_name(n) for n in _CONFIGS if path.with_name(n).is_file()), None)
    if place is None:
        raise CheckpointError(
            f"{path} has no config.yaml beside it, which says what its tensors make; put the official one into {path.parent}"
        )
    settings = _Settings(place)
    mel, dim, hidden, blocks = settings.mel(), *settings.sizes()
    found = read_tensors(path)
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    kept = (
        {k: v for k, v in found.items() if str(k).startswith(("backbone.", "head.out."))}
        if isinstance(found, dict)
        else {}
    )
    if not kept:
        raise CheckpointError(f"{path} holds no backbone.* and head.*, as official Vocos files do")
    with torch.device("meta"):  # nothing is allocated for what a file claims
        wanted = {k: tuple(v.shape) for k, v in Generator(mel, dim, hidden, blocks, prior="none").state_dict().items()}
    del wanted["mel_spec"]
    networks = {"generator": _renamed(floats_of(kept, path, "generator"), wanted, f"{path} ({place.name})")}
    networks["generator"]["mel_spec"] = mel.facts()
    hop = mel.hop_length
    info = AudioInfo(sample_rate=mel.sample_rate, segment=-(-_SEGMENT // hop) * hop)
    model = {"dim": dim, "hidden": hidden, "blocks": blocks, "prior": "none", "discriminators": "paper", "mel": "vocos"}
    names = ("n_fft", "win_length", "hop_length", "n_mels", "fmin", "fmax")
    return ImportedWeights(model | {k: getattr(mel, k) for k in names}, dict(info), networks)


class _Settings:
    """config.yaml. Every value is checked when it is taken; ConfigError names the file and the value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        values = read_settings(path, _REMEDY)
        model = values.get("model") if isinstance(values, dict) else None
        inner = model.get("init_args") if isinstance(model, dict) else None  # a configuration of training
        self.values: Mapping[str, Any] = (
            inner if isinstance(inner, dict) else values if isinstance(values, dict) else {}
        )
        for name, (known, what) in _CLASSES.items():
            group = self.values.get(name)
            if not isinstance(group, dict) or group.get("class_path") != known:
                has = str(group.get("class_path") if isinstance(group, dict) else group)[:80]
                raise ConfigError(
                    f"{path}: {name} is {has}, and audio/vocos has {known}, {what}; use weights of such a Vocos"
                )

    def arguments(self, name: str) -> Mapping[str, Any]:
        """The arguments of a part."""
        found = self.values[name].get("init_args", {})
        return found if isinstance(found, dict) else {}

    def count(self, group: str, name: str, usual: int) -> int:
        """A whole number."""
        value = self.arguments(group).get(name, usual)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1_000_000:
            raise ConfigError(
                f"{self.path}: {name} = {str(value)[:80]} is not a whole number from 1 to 1,000,000; {_REMEDY}"
            )
        return value

    def mel(self) -> MelSpec:
        """The front end of the official code, with this file's numbers; the defaults are those of its classes."""
        features, head = "feature_extractor", self.arguments("head")
        for name, found in (
            (features, self.arguments(features).get("padding", "center")),
            ("head", head.get("padding", "same")),
        ):
            if found != "center":
                raise ConfigError(
                    f"{self.path}: {name} has padding = {str(found)[:80]}, and the mels of audio/vocos with these filters have center; use "
                    "weights with padding: center"
                )
        n_fft, hop = self.count(features, "n_fft", 1024), self.count(features, "hop_length", 256)
        for name, mine in (("n_fft", n_fft), ("hop_length", hop)):
            if self.count("head", name, mine) != mine:
                raise ConfigError(f"{self.path}: {name} of the head is {head[name]} and of the mels {mine}; {_REMEDY}")
        rate, bands = self.count(features, "sample_rate", 24_000), self.count(features, "n_mels", 100)
        if self.count("backbone", "input_channels", bands) != bands:
            raise ConfigError(f"{self.path}: input_channels of the backbone is not n_mels = {bands}; {_REMEDY}")
        return resolve(
            "vocos", rate, n_fft=n_fft, win_length=n_fft, hop_length=hop, n_mels=bands, fmin=0.0, fmax=rate / 2
        )

    def sizes(self) -> tuple[int, int, int]:
        """Channels, width of the dense layers, and number of blocks."""
        if self.arguments("backbone").get("adanorm_num_embeddings"):
            raise ConfigError(
                f"{self.path}: adanorm_num_embeddings is set, and audio/vocos has plain layer norms; use weights of the Vocos for mels"
            )
        dim = self.count("backbone", "dim", 512)
        if self.count("head", "dim", dim) != dim:
            raise ConfigError(f"{self.path}: dim of the head is not the backbone's {dim}; {_REMEDY}")
        blocks = self.count("backbone", "num_layers", 8)
        if blocks > 1000:
            raise ConfigError(f"{self.path}: num_layers = {blocks:,} is no network that anybody trained; {_REMEDY}")
        return dim, self.count("backbone", "intermediate_dim", 1536), blocks


def _renamed(state: State, wanted: Mapping[str, tuple[int, ...]], where: str) -> State:
    """Tensors by our names and in our shapes. CheckpointError where one is missing, has another shape, or has no place."""
    found: State = {}
    for key, tensor in state.items():
        name = _name(key)
        shape = wanted.get(name)
        if shape is None:
            raise CheckpointError(f"{where}: {key} has no place in the network that the configuration makes; {_REMEDY}")
        if tuple(tensor.shape) != _flat(shape):
            raise CheckpointError(
                f"{where}: {key} has the shape {tuple(tensor.shape)}, the configuration makes it {_flat(shape)}; {_REMEDY}"
            )
        found[name] = tensor.reshape(shape)  # convolutions along time are two-dimensional here
    if missing := [name for name in wanted if name not in found]:
        raise CheckpointError(f"{where}: {missing[0]} is missing; the file is no Vocos of that size")
    return found


def _flat(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that the official convolutions have: (out, in, 1, size) is (out, in, size) there."""
    return shape[:2] + shape[3:] if len(shape) == 4 else shape


def _name(key: str) -> str:
    """Our name of an official tensor; names that there are not lead nowhere."""
    layer, _, kind = key.rpartition(".")
    if layer in _NAMES:
        return f"{_NAMES[layer]}.{kind}"
    words = key.split(".")  # backbone.convnext.3.dwconv.weight, backbone.convnext.3.gamma
    if words[:2] == ["backbone", "convnext"] and len(words) > 3:
        if words[3:] == ["gamma"]:
            return f"blocks.{words[2]}.scale"
        if len(words) == 5 and words[3] in _LAYERS:
            return f"blocks.{words[2]}.{_LAYERS[words[3]]}.{words[4]}"
    return ""
