"""Mel front ends: one object for all that must agree between training, a text-to-speech model and synthesis."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from polygan import ConfigError, did_you_mean

from .convolutions import full_precision, wide

if TYPE_CHECKING:
    from collections.abc import Mapping

SCALES = ("slaney", "htk")
NORMS = ("slaney", "none")
LOGS = ("ln", "log10")
PADDINGS = ("same", "center")


@dataclass(frozen=True, kw_only=True)
class MelSpec:
    """A log-mel spectrogram: magnitudes of a Hann-windowed STFT, mel filters, logarithm.

    mel = log(max(filters @ sqrt(re^2 + im^2 + epsilon), floor)).
    """

    sample_rate: int
    """Hz."""
    n_fft: int = 1024
    """Samples of the Fourier transform, even."""
    win_length: int = 1024
    """Samples of the periodic Hann window, at most n_fft; a shorter one lies in the middle."""
    hop_length: int = 256
    """Samples between frames."""
    n_mels: int = 80
    """Bands."""
    fmin: float = 0.0
    """Lower end of the lowest band in Hz."""
    fmax: float | None = None
    """Upper end of the highest band in Hz; None: half the sample rate."""
    padding: Literal["same", "center"] = "same"
    """same: reflected by (n_fft - hop_length) / 2, T // hop_length frames, each in the middle of its hop (HiFi-GAN);
    center: reflected by n_fft / 2, T // hop_length + 1 frames, frame i around sample i * hop_length."""
    epsilon: float = 0.0
    """Added to the squared magnitude under the root."""
    scale: Literal["slaney", "htk"] = "slaney"
    """Mel scale."""
    norm: Literal["slaney", "none"] = "slaney"
    """slaney: filters of equal area; none: of equal height."""
    log: Literal["ln", "log10"] = "ln"
    """The logarithm's base."""
    floor: float = 1e-5
    """Smallest mel magnitude before the logarithm; silence is log(floor)."""

    def __post_init__(self) -> None:
        for name, least in (("sample_rate", 1), ("n_fft", 2), ("win_length", 1), ("hop_length", 1), ("n_mels", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"mel: {name} = {getattr(self, name)} is too small; the least is {least}")
        for name, known in (("scale", SCALES), ("norm", NORMS), ("log", LOGS), ("padding", PADDINGS)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"mel: {name} = {value!r}{did_you_mean(value, known)}; known are {', '.join(known)}")
        if self.n_fft % 2:
            raise ConfigError(f"mel: n_fft = {self.n_fft} is odd; use an even one, e.g. {self.n_fft + 1}")
        if self.win_length > self.n_fft:
            raise ConfigError(
                f"mel: win_length = {self.win_length} samples do not fit n_fft = {self.n_fft}; raise n_fft"
            )
        if self.hop_length > self.win_length:
            raise ConfigError(
                f"mel: hop_length = {self.hop_length} leaves samples out that no window of {self.win_length} sees; lower it"
            )
        if self.padding == "same" and (self.n_fft - self.hop_length) % 2:
            raise ConfigError(
                f"mel: n_fft - hop_length = {self.n_fft} - {self.hop_length} is odd and cannot be padded alike on both "
                "sides; change one, or use padding center"
            )
        if not self.epsilon >= 0 or not self.floor > 0:
            raise ConfigError(f"mel: epsilon = {self.epsilon} must be >= 0 and floor = {self.floor} above 0")
        if self.fmax is not None and self.fmax > self.sample_rate / 2:
            raise ConfigError(
                f"mel: fmax = {self.fmax:g} Hz is over half the sample rate, {self.sample_rate} / 2 = {self.sample_rate / 2:g} "
                "Hz; lower fmax or resample the data (--data.sample_rate)"
            )
        if not 0 <= self.fmin < self.top:
            raise ConfigError(f"mel: fmin = {self.fmin:g} Hz is not in [0, {self.top:g}), the highest band's end")

    @property
    def top(self) -> float:
        """The upper end of the highest band in Hz."""
        return self.sample_rate / 2 if self.fmax is None else self.fmax

    @property
    def silence(self) -> float:
        """The value of a band without energy."""
        return math.log(self.floor) if self.log == "ln" else math.log10(self.floor)

    @property
    def pad(self) -> int:
        """Samples that are reflected at each end."""
        return (self.n_fft - self.hop_length) // 2 if self.padding == "same" else self.n_fft // 2

    def frames(self, samples: int) -> int:
        """Frames of a waveform of so many samples."""
        return samples // self.hop_length + (self.padding == "center")

    def magnitudes(self, waveform: Tensor) -> Tensor:
        """(..., T) in [-1, 1] to (..., n_fft / 2 + 1, frames) STFT magnitudes, float32 and with gradients.

        ConfigError where a waveform is too short to be reflected.
        """
        if waveform.shape[-1] <= self.pad:
            raise ConfigError(
                f"mel: {waveform.shape[-1]} samples are too short for padding by {self.pad} on each side (n_fft = {self.n_fft}, "
                f"hop_length = {self.hop_length}); use longer segments"
            )
        rows = wide(waveform).reshape(-1, 1, waveform.shape[-1])
        rows = F.pad(rows, (self.pad, self.pad), mode="reflect")[:, 0]
        found = self._magnitudes(rows)
        return found.reshape(*waveform.shape[:-1], *found.shape[-2:])[..., : self.frames(waveform.shape[-1])]

    def _magnitudes(self, padded: Tensor) -> Tensor:
        """(B, T) to (B, n_fft / 2 + 1, 1 + (T - n_fft) // hop_length)."""
        with full_precision(padded.device):
            padded = wide(padded)
            window = _window(self.win_length, padded.device).to(padded.dtype)
            spectrum = torch.stft(
                padded, self.n_fft, self.hop_length, self.win_length, window, center=False, return_complex=True
            )
            return self._rooted(spectrum.real.square() + spectrum.imag.square())

    def _rooted(self, squares: Tensor) -> Tensor:
        # Without epsilon the root has no gradient at 0; 1e-24 leaves silence below the floor of every preset.
        return (squares + self.epsilon).sqrt() if self.epsilon else squares.clamp(min=1e-24).sqrt()

    def __call__(self, waveform: Tensor) -> Tensor:
        """(..., T) in [-1, 1] to log-mel (..., n_mels, frames), float32. ConfigError as `magnitudes`."""
        return self._log(self.magnitudes(waveform))

    def of_padded(self, waveform: Tensor) -> Tensor:
        """The log-mel (n_mels, frames) of samples (T,) as they stand, without padding at the ends."""
        return self._log(self._magnitudes(waveform[None])[0])

    def of_squares(self, squares: Tensor) -> Tensor:
        """The log-mel (..., n_mels, frames) of squared STFT magnitudes (..., n_fft / 2 + 1, frames)."""
        return self._log(self._rooted(squares))

    def _log(self, magnitudes: Tensor) -> Tensor:
        with full_precision(magnitudes.device):
            mel = (self.filters(magnitudes.device).to(magnitudes.dtype) @ magnitudes).clamp(min=self.floor)
            return mel.log() if self.log == "ln" else mel.log10()

    def filters(self, device: torch.device | str = "cpu") -> Tensor:
        """(n_mels, n_fft / 2 + 1) weights of the bands."""
        return _filters(
            self.n_fft, self.fmin, self.top, self.n_mels, self.sample_rate, self.norm, self.scale, torch.device(device)
        )

    def facts(self) -> Tensor:
        """(13,) float32: all fields as numbers, to be kept beside weights; `differences` compares them."""
        return torch.tensor([_number(name, value) for name, value in vars(self).items()])

    def differences(self, facts: Tensor) -> str:
        """What `facts` of another front end say differently, or the empty string: ``hop_length 200 instead of 256``."""
        found = []
        for (name, mine), other in zip(vars(self).items(), facts.tolist(), strict=True):
            if not math.isclose(_number(name, mine), other, rel_tol=1e-6, abs_tol=1e-12):
                found.append(f"{name} {_value(name, other)} instead of {mine}")
        return ", ".join(found)


_CHOICES: Mapping[str, tuple[str, ...]] = {"scale": SCALES, "norm": NORMS, "log": LOGS, "padding": PADDINGS}


def _number(name: str, value: Any) -> float:
    if name in _CHOICES:
        return float(_CHOICES[name].index(value))
    return -1.0 if value is None else float(value)


def _value(name: str, number: float) -> Any:
    if name in _CHOICES:
        return _CHOICES[name][round(number)]
    if name == "fmax" and number < 0:
        return None
    return f"{number:g}"


@lru_cache(maxsize=32)
def _window(length: int, device: torch.device) -> Tensor:
    return torch.hann_window(length, device=device)


@lru_cache(maxsize=32)
def _filters(
    n_fft: int, fmin: float, fmax: float, n_mels: int, rate: int, norm: str, scale: str, device: torch.device
) -> Tensor:
    """Triangles between neighbouring mel frequencies, in float64 (torchaudio's are off by 1e-5 after the logarithm)."""
    to_mel, to_hertz = (_slaney, _slaney_hertz) if scale == "slaney" else (_htk, _htk_hertz)
    low, high = to_mel(np.array([fmin, fmax]))
    edges = to_hertz(np.linspace(low, high, n_mels + 2))[:, None]  # (n_mels + 2, 1)
    bins = np.linspace(0, rate / 2, n_fft // 2 + 1)
    up, down = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(up, down))
    if norm == "slaney":
        weights *= 2 / (edges[2:] - edges[:-2])
    return torch.from_numpy(weights).float().to(device)


_LINEAR, _KNEE, _STEP = (
    200 / 3,
    1000.0,
    np.log(6.4) / 27,
)  # Slaney 1998, Auditory Toolbox: linear to 1 kHz, then 27 mels to 6.4 kHz


def _slaney(hertz: np.ndarray) -> np.ndarray:
    return np.where(hertz < _KNEE, hertz / _LINEAR, _KNEE / _LINEAR + np.log(np.maximum(hertz, _KNEE) / _KNEE) / _STEP)


def _slaney_hertz(mel: np.ndarray) -> np.ndarray:
    knee = _KNEE / _LINEAR
    return np.where(mel < knee, mel * _LINEAR, _KNEE * np.exp(_STEP * (np.maximum(mel, knee) - knee)))


def _htk(hertz: np.ndarray) -> np.ndarray:
    return 2595 * np.log10(1 + hertz / 700)


def _htk_hertz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)


_SPEECHT5 = MelSpec(sample_rate=16_000, fmin=80.0, fmax=7600.0, padding="center", log="log10", floor=1e-10)
_VOCOS = MelSpec(sample_rate=24_000, n_mels=100, padding="center", scale="htk", norm="none", floor=1e-7)
PRESETS: Mapping[str, MelSpec] = {
    # The official code of Kong et al. 2020: https://github.com/jik876/hifi-gan
    "hifigan": MelSpec(sample_rate=22_050, fmax=8000.0, epsilon=1e-9),
    # NVIDIA's Tacotron 2
    "tacotron2": MelSpec(sample_rate=22_050, fmax=8000.0, padding="center"),
    # The 24 kHz model of Siuzdak 2023
    "vocos": _VOCOS,
    # kan-bayashi's ParallelWaveGAN, LJSpeech recipes (without their normalisation by a corpus's mean and deviation)
    "parallel_wavegan": dataclasses.replace(_SPEECHT5, sample_rate=22_050),
    # transformers.SpeechT5FeatureExtractor
    "speecht5": _SPEECHT5,
    # Sound up to half the rate. NVIDIA's BigVGAN v2 (Lee et al. 2023), model bigvgan_v2_44khz_128band_512x
    "bigvgan_44k": MelSpec(sample_rate=44_100, n_fft=2048, win_length=2048, hop_length=512, n_mels=128, epsilon=1e-9),
    # Vocos' front end at twice its rate: windows and hops last as long as at 24 kHz
    "vocos_48k": dataclasses.replace(
        _VOCOS, sample_rate=48_000, n_fft=2048, win_length=2048, hop_length=512, n_mels=128
    ),
}


def resolve(preset: str, sample_rate: int, **changes: Any) -> MelSpec:
    """A preset at the data's sample rate, with what ``changes`` set (None: the preset's value).

    ConfigError for an unknown preset, or a result that cannot work.
    """
    if preset not in PRESETS:
        raise ConfigError(f"mel preset {preset!r}{did_you_mean(preset, PRESETS)}; known are {', '.join(PRESETS)}")
    changes = {k: v for k, v in changes.items() if v is not None}
    if "n_fft" in changes and "win_length" not in changes:
        changes["win_length"] = changes["n_fft"]
    return dataclasses.replace(PRESETS[preset], sample_rate=sample_rate, **changes)
