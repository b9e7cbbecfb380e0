"""HiFi-GAN weights of the official code (https://github.com/jik876/hifi-gan), as settings and tensors of ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from polygan import CheckpointError, ConfigError, ImportedWeights, read_tensors

from ..data.facts import AudioInfo
from ..networks.hifigan import VARIANTS, Generator, Shape
from ..networks.melspec import MelSpec, resolve
from .weight_norm import DIRECTION, LENGTH, State, floats_of, normed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor


def import_hifigan(path: Path, config: Path | None = None) -> ImportedWeights:
    """An official checkpoint as settings of audio/hifigan, facts of the data, and tensors by network.

    ``path``: ``g_*`` (a pickle of {"generator": tensors}, read without running code) or a .safetensors file whose names may
    begin with ``generator.``; weight norm of either kind, or folded. ``config``: the official config.json; by default it
    lies beside ``path``, as config.json or under the same name. Discriminators come along from ``do_*`` beside ``g_*``.
    Raises CheckpointError for a file that is not what it should be, ConfigError for a configuration that cannot work.
    """
    path = Path(path)
    place = config or _config_beside(path)
    official = Official(place)
    shape, mel = official.shape(), official.mel()
    networks = {"generator": tensors_of(_generator_state(path), shape, mel, path, place)}
    beside = path.with_name("do_" + path.name.removeprefix("g_"))
    if path.name.startswith("g_") and beside.is_file():
        networks["discriminator"] = _discriminators(beside)
    info = AudioInfo(sample_rate=mel.sample_rate, segment=official.segment(mel))
    return ImportedWeights(official.model(shape, mel), dict(info), networks)


def tensors_of(state: State, shape: Shape, mel: MelSpec, path: Path, config: Path) -> State:
    """A generator's tensors by the names of ours. CheckpointError where one is missing, has another shape, or has no place."""
    with torch.device("meta"):  # nothing is allocated for what a file claims
        wanted = {k: tuple(v.shape) for k, v in Generator(shape, mel).state_dict().items() if k != "mel_spec"}
    found = {k: v for name in _layers(wanted) for k, v in normed(state, name, path.name).items()}
    _compare(wanted, found, state, f"{path} ({config.name})")
    return found | {"mel_spec": mel.facts()}


def _config_beside(path: Path) -> Path:
    for place in (path.with_name("config.json"), path.with_suffix(".json")):
        if place.is_file():
            return place
    raise CheckpointError(
        f"{path} has no config.json beside it, which says what its tensors make; put the official one into {path.parent}"
    )


class Official:
    """The official config.json. Every value is checked when it is taken; ConfigError names the file and the value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            why = error.strerror if isinstance(error, OSError) else f"not JSON: {error}"
            raise ConfigError(
                f"{path} cannot be read ({why}); use the config.json that came with the weights"
            ) from None
        if not isinstance(self.values, dict):
            raise ConfigError(f"{path} holds no settings; use the config.json that came with the weights")

    def take(self, name: str, fits: Callable[[Any], bool], what: str) -> Any:
        """A value that fits."""
        if name not in self.values:
            raise ConfigError(
                f"{self.path} has no {name}, which is {what}; use the official config.json of these weights"
            )
        value = self.values[name]
        if not fits(value):
            raise ConfigError(f"{self.path}: {name} = {str(value)[:80]} is not {what}")
        return value

    def shape(self) -> Shape:
        """Of the generator."""

        def lists(value: Any) -> bool:
            return isinstance(value, list) and len(value) > 0 and all(map(_counts, value))

        rates, kernels, sizes = (
            tuple(self.take(name, _counts, "a list of whole numbers from 1 to 1,000,000"))
            for name in ("upsample_rates", "upsample_kernel_sizes", "resblock_kernel_sizes")
        )
        dilations = tuple(map(tuple, self.take("resblock_dilation_sizes", lists, "a list of lists of whole numbers")))
        block = int(self.take("resblock", lambda v: str(v) in ("1", "2"), '"1" or "2"'))
        channels = self.take("upsample_initial_channel", is_count, "a whole number from 1 to 1,000,000")
        known = VARIANTS["v1" if block == 1 else "v3"]
        if (sizes, dilations) != (known.sizes, known.dilations):
            raise ConfigError(
                f"{self.path}: resblock_kernel_sizes = {list(sizes)} with dilations {list(map(list, dilations))} is no variant "
                f"of the paper; ResBlock{block} has {list(known.sizes)} with {list(map(list, known.dilations))}"
            )
        return Shape(channels=channels, rates=rates, kernels=kernels, block=block, sizes=sizes, dilations=dilations)

    def mel(self) -> MelSpec:
        """The front end: the official code's, with this file's numbers."""
        whole = "a whole number from 1 to 1,000,000"
        rate, n_fft, hop, window, bands = (
            self.take(name, is_count, whole) for name in ("sampling_rate", "n_fft", "hop_size", "win_size", "num_mels")
        )
        fmin = self.take("fmin", _hertz, "a frequency in Hz")
        fmax = self.take("fmax", lambda v: v is None or _hertz(v), "a frequency in Hz, or null")
        return resolve(
            "hifigan",
            rate,
            n_fft=n_fft,
            hop_length=hop,
            win_length=window,
            n_mels=bands,
            fmin=float(fmin),
            fmax=rate / 2 if fmax is None else float(fmax),
        )

    def segment(self, mel: MelSpec) -> int:
        """Samples of a training segment: the file's, in whole hops."""
        given = self.values.get("segment_size", 8192)
        samples = given if is_count(given) else 8192
        hop = mel.hop_length
        return max(mel.pad // hop + 1, samples // hop) * hop

    def model(self, shape: Shape, mel: MelSpec, preset: str = "hifigan") -> dict[str, Any]:
        """Settings of audio/hifigan."""
        small = shape.channels <= VARIANTS["v2"].channels
        return {
            "variant": "v3" if shape.block == 2 else "v2" if small else "v1",
            "channels": shape.channels,
            "upsample_rates": list(shape.rates),
            "upsample_kernels": list(shape.kernels),
            "mel": preset,
            **{k: getattr(mel, k) for k in ("n_fft", "win_length", "hop_length", "n_mels", "fmin", "fmax")},
        }


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000_000


def _counts(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= 64 and all(map(is_count, value))


def _hertz(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9


# Files


def _generator_state(path: Path) -> State:
    found = read_tensors(path)
    if path.suffix == ".safetensors" and any(k.startswith("generator.") for k in found):
        found = {k.removeprefix("generator."): v for k, v in found.items() if k.startswith("generator.")}
    elif isinstance(found, dict) and "generator" in found:
        found = found["generator"]
    return floats_of(found, path, "generator")


# Names and weight norm


def _layers(wanted: Mapping[str, Any]) -> list[str]:
    return [key.removesuffix(".bias") for key in wanted if key.endswith(".bias")]


def _compare(wanted: Mapping[str, Any], found: Mapping[str, Tensor], state: State, where: str) -> None:
    """Everything that a generator needs is there in its shape, and nothing else."""
    for key, shape in wanted.items():
        layer = re.sub(r"\.(bias|parametrizations.*)$", "", key)
        name = {"bias": "bias", LENGTH: "weight_g", DIRECTION: "weight_v"}[key.removeprefix(f"{layer}.")]
        if key not in found:
            raise CheckpointError(f"{where}: {layer}.{name} is missing; the file is no HiFi-GAN generator of that size")
        if tuple(found[key].shape) != shape:
            raise CheckpointError(
                f"{where}: {_setting(wanted, found)}{layer}.{name} has the shape {tuple(found[key].shape)}, the configuration "
                f"makes it {shape}; use the config.json that came with the weights"
            )
    layers = {*_layers(wanted)}
    for key in state:
        if key.rpartition(".")[0] not in layers and key.partition(".parametrizations.")[0] not in layers:
            raise CheckpointError(
                f"{where}: {key} has no place in the generator that the configuration makes; use the config.json that came "
                "with the weights"
            )


def _setting(wanted: Mapping[str, Any], found: Mapping[str, Tensor]) -> str:
    """Which value of config.json the first layer contradicts, with both values; empty: neither of the two it shows."""
    first = f"conv_pre.{DIRECTION}"
    if first not in wanted or first not in found or found[first].dim() != 3:
        return ""
    pairs = zip(("upsample_initial_channel", "num_mels"), found[first].shape, wanted[first], strict=False)
    wrong = (f"the weights have {name} = {has}, config.json says {says}: " for name, has, says in pairs if has != says)
    return next(wrong, "")


def _discriminators(path: Path) -> State:
    """``mpd`` and ``msd`` of a ``do_*`` file by the names of `polygan_audio.networks.discriminators.Discriminators`."""
    found, remedy = read_tensors(path), "or move it away to import the generator alone"
    networks: State = {}
    for official, ours in (("mpd", "periods"), ("msd", "scales")):
        if not isinstance(found, dict) or official not in found:
            raise CheckpointError(f"{path} holds no {official}, as official do_* files do; copy it again, {remedy}")
        state = floats_of(found[official], path, official)
        layers = {key.rpartition(".")[0].partition(".parametrizations")[0] for key in state}
        for layer in layers:
            for key, tensor in normed(state, layer, path.name, turned=official == "mpd").items():
                networks[f"families.{ours}.{key}"] = tensor
    return networks
