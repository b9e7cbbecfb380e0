"""Weights of the reference implementation of Parallel WaveGAN (https://github.com/kan-bayashi/ParallelWaveGAN)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from polygan import CheckpointError, ConfigError, ImportedWeights, read_tensors

from ..data.facts import AudioInfo
from ..networks.melspec import MelSpec, resolve
from ..networks.parallel_wavegan import Discriminator, Generator, Shape
from ..optional import need
from .published_settings import read_settings
from .weight_norm import State, floats_of, normed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

_STATS = ("stats.h5", "stats.npy")
_LAYERS = 1000  # more are no network that anybody trained
_REMEDY = "use the config.yml that came with the weights"


def import_parallel_wavegan(path: Path, config: Path | None = None) -> ImportedWeights:
    """A checkpoint as settings of audio/parallel-wavegan, facts of the data, and tensors by network.

    ``path``: ``checkpoint-400000steps.pkl``, a pickle of {"model": {"generator": tensors, "discriminator": tensors}} that is read
    without running code, or a .safetensors file with names ``generator.NAME``. ``config``: config.yml, by default beside ``path``.
    The statistics of the mels lie beside as stats.h5 or stats.npy, unless the weights hold them. Raises CheckpointError for a file
    that is not what it should be, ConfigError for a configuration that cannot work.
    """
    path = Path(path)
    settings = _Settings(config or _beside(path, ("config.yml", "config.yaml"), "which says what its tensors make"))
    shape, mel = settings.shape(), settings.mel()
    found = _networks(path)
    generator = floats_of(found.get("generator"), path, "generator")
    kept = {name: generator.pop(name) for name in ("mean", "scale") if name in generator}
    if len(kept) < 2:
        kept = _statistics(_beside(path, _STATS, "the mean and the scale of the mels that it was trained on"))
    _check_statistics(kept, mel, path)
    with torch.device("meta"):  # nothing is allocated for what a file claims
        wanted = Generator(shape, mel), Discriminator(settings.discriminator() or 1)
    networks = {"generator": _renamed(wanted[0], generator, path, settings.path) | kept | {"mel_spec": mel.facts()}}
    if settings.discriminator() and "discriminator" in found:
        state = floats_of(found["discriminator"], path, "discriminator")
        networks["discriminator"] = _renamed(wanted[1], state, path, settings.path)
    info = AudioInfo(sample_rate=mel.sample_rate, segment=settings.segment(shape, mel))
    return ImportedWeights(settings.model(shape, mel), dict(info), networks)


def _beside(path: Path, names: tuple[str, ...], what: str) -> Path:
    for name in names:
        if (path.parent / name).is_file():
            return path.parent / name
    raise CheckpointError(
        f"{path} has no {' or '.join(names)} beside it, {what}; put the official one into {path.parent}"
    )


class _Settings:
    """config.yml. Every value is checked when it is taken; ConfigError names the file and the value."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, Any] = {}
        values = read_settings(path, _REMEDY)
        if not isinstance(values, dict):
            raise ConfigError(f"{path} holds no settings; {_REMEDY}")
        self.values |= values
        self._refuse_others()

    def group(self, name: str) -> dict[str, Any]:
        """A mapping of settings; empty where the file has none."""
        found = self.values.get(name)
        return found if isinstance(found, dict) else {}

    def _refuse_others(self) -> None:
        """ConfigError for a generator that is no Parallel WaveGAN, or one that does what the paper's does not."""
        params = self.group("generator_params")
        usual: dict[str, Any] = {
            "generator_type": (self.values, "ParallelWaveGANGenerator"),
            "window": (self.values, "hann"),
            "log_base": (self.values, 10.0),
            "in_channels": (params, 1),
            "out_channels": (params, 1),
            "kernel_size": (params, 3),
            "bias": (params, True),
            "use_pitch_embed": (params, False),
            "upsample_net": (params, "ConvInUpsampleNetwork"),
        }
        scales = params.get("upsample_params")
        for name, value in (
            ("nonlinear_activation", None),
            ("interpolate_mode", "nearest"),
            ("freq_axis_kernel_size", 1),
        ):
            usual[name] = (scales if isinstance(scales, dict) else {}, value)
        for name, (where, value) in usual.items():
            if where.get(name, value) != value:
                raise ConfigError(
                    f"{self.path}: {name} = {str(where[name])[:80]} is not {value}, the only one that audio/parallel-wavegan has; "
                    "use weights of a Parallel WaveGAN as the paper has it"
                )

    def count(self, where: Mapping[str, Any], name: str, usual: int, least: int = 1, most: int = 1_000_000) -> int:
        """A whole number."""
        value = where.get(name, usual)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigError(
                f"{self.path}: {name} = {str(value)[:80]} is not a whole number from {least} to {most:,}; {_REMEDY}"
            )
        return value

    def shape(self) -> Shape:
        """Of the generator."""
        params, usual = self.group("generator_params"), Shape()
        scales = params.get("upsample_params")
        scales = scales.get("upsample_scales") if isinstance(scales, dict) else list(usual.scales)
        if not isinstance(scales, list) or not 0 < len(scales) <= 16:
            raise ConfigError(
                f"{self.path}: upsample_scales = {str(scales)[:80]} is no list of whole numbers; {_REMEDY}"
            )
        return Shape(
            layers=self.count(params, "layers", usual.layers, most=_LAYERS),
            stacks=self.count(params, "stacks", usual.stacks),
            channels=self.count(params, "residual_channels", usual.channels),
            gates=self.count(params, "gate_channels", usual.gates),
            skips=self.count(params, "skip_channels", usual.skips),
            scales=tuple(self.count({"upsample_scales": n}, "upsample_scales", 1) for n in scales),
            window=self.count(params, "aux_context_window", usual.window, 0),
            causal=bool(params.get("use_causal_conv", False)),
        )

    def mel(self) -> MelSpec:
        """The front end of the reference implementation, with this file's numbers."""
        values = self.values
        rate, n_fft = self.count(values, "sampling_rate", 0), self.count(values, "fft_size", 0)
        bands = self.count(values, "num_mels", 80)
        window = n_fft if values.get("win_length") is None else self.count(values, "win_length", 0)
        ends: list[float] = []
        for name, usual in (("fmin", 0.0), ("fmax", rate / 2)):
            value = usual if values.get(name) is None else values[name]
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ConfigError(f"{self.path}: {name} = {str(value)[:80]} is not a frequency in Hz; {_REMEDY}")
            ends.append(float(value))
        if self.count(self.group("generator_params"), "aux_channels", bands) != bands:
            raise ConfigError(f"{self.path}: aux_channels is not num_mels = {bands}; {_REMEDY}")
        hop = self.count(values, "hop_size", 0)
        return resolve(
            "parallel_wavegan",
            rate,
            n_fft=n_fft,
            win_length=window,
            hop_length=hop,
            n_mels=bands,
            fmin=ends[0],
            fmax=ends[1],
        )

    def discriminator(self) -> int:
        """Channels of the discriminator; 0: it is none of the paper's, and is left out."""
        params = self.group("discriminator_params")
        fits = self.values.get("discriminator_type", "ParallelWaveGANDiscriminator") == "ParallelWaveGANDiscriminator"
        for name, value in (("layers", 10), ("kernel_size", 3), ("dilation_factor", 1), ("bias", True)):
            fits = fits and params.get(name, value) == value
        return self.count(params, "conv_channels", 64) if fits else 0

    def segment(self, shape: Shape, mel: MelSpec) -> int:
        """Samples of a training segment: the file's, in whole hops, with the frames beside it."""
        hops = self.count(self.values, "batch_max_steps", 25_600) // mel.hop_length + 2 * shape.window
        return max(hops, 1024 // mel.hop_length + 1 + 2 * shape.window, mel.pad // mel.hop_length + 1) * mel.hop_length

    def model(self, shape: Shape, mel: MelSpec) -> dict[str, Any]:
        """Settings of audio/parallel-wavegan."""
        return {
            **{
                name: getattr(shape, name)
                for name in ("layers", "stacks", "channels", "gates", "skips", "window", "causal")
            },
            "upsample_scales": list(shape.scales),
            "discriminator_channels": self.discriminator() or 64,
            "mel": "parallel_wavegan",
            **{k: getattr(mel, k) for k in ("n_fft", "win_length", "hop_length", "n_mels", "fmin", "fmax")},
        }


# Files


def _networks(path: Path) -> dict[str, Any]:
    """The state of each network."""
    found = read_tensors(path)
    if path.suffix == ".safetensors":
        networks: dict[str, Any] = {}
        for key, value in found.items():
            name, _, rest = key.partition(".")
            networks.setdefault(name, {})[rest] = value
        return networks
    model = found.get("model", found) if isinstance(found, dict) else None
    if not isinstance(model, dict) or "generator" not in model:
        raise CheckpointError(f"{path} holds no model.generator, as checkpoints of the reference implementation do")
    return model


def _statistics(path: Path) -> State:
    """``mean`` and ``scale`` of each band."""
    try:
        if path.suffix == ".npy":
            mean, scale = np.load(path, allow_pickle=False)
        else:
            h5py = need(
                "h5py", "h5", f"{path.name} beside the weights", "save its mean and scale as one array in stats.npy"
            )
            with h5py.File(path) as file:
                mean, scale = (np.asarray(file[name]) for name in ("mean", "scale"))
        return {"mean": torch.from_numpy(mean).float().flatten(), "scale": torch.from_numpy(scale).float().flatten()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} holds no mean and scale of mels ({error}); use the file that came with the weights"
        ) from None


def _check_statistics(kept: State, mel: MelSpec, path: Path) -> None:
    for name, value in kept.items():
        if tuple(value.shape) != (mel.n_mels,) or not bool(value.isfinite().all()):
            raise CheckpointError(
                f"{path}: the {name} of the mels is not {mel.n_mels} finite numbers; use the statistics that came with the weights"
            )
    if not bool((kept["scale"] > 0).all()):
        raise CheckpointError(
            f"{path}: the scale of the mels is not above 0; use the statistics that came with the weights"
        )


def _renamed(network: nn.Module, state: Mapping[str, Tensor], path: Path, config: Path) -> State:
    """Tensors by our names. CheckpointError where one is missing, has another shape, or has no place."""
    left_out = ("mean", "scale", "mel_spec")
    wanted = {k: tuple(v.shape) for k, v in network.state_dict().items() if k not in left_out}
    layers = {key.partition(".parametrizations.")[0] for key in wanted if ".parametrizations." in key}
    found = {k: v for layer in layers for k, v in normed(state, layer, path.name).items()}
    where = f"{path} ({config.name})"
    for key in state:
        if key.partition(".parametrizations.")[0] not in layers and key.rpartition(".")[0] not in layers:
            raise CheckpointError(f"{where}: {key} has no place in the network that the configuration makes; {_REMEDY}")
    for key, shape in wanted.items():
        if key not in found:
            raise CheckpointError(f"{where}: {key} is missing; the file is no Parallel WaveGAN of that size")
        if tuple(found[key].shape) != shape:
            raise CheckpointError(
                f"{where}: {key} has the shape {tuple(found[key].shape)}, the configuration makes it {shape}; {_REMEDY}"
            )
    return found
