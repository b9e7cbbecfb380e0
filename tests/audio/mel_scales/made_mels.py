"""Made speech-like sounds, and mels of them on the scales that other programs use."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from torch.nn.functional import pad

from polygan_audio.networks.melspec import MelSpec, resolve

RATE = 16_000
OURS = resolve("hifigan", RATE)
LN10 = math.log(10)


def speech(seed: int, seconds: float = 1.0) -> torch.Tensor:
    """(T,) syllables of harmonics under resonances, some of noise, with pauses and a hiss 70 dB below, after silence."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    sound, at = rng.normal(0, 3e-4, len(time)), 0.1
    while at < seconds - 0.2:
        length = rng.uniform(0.12, 0.25)
        inside = (time >= at) & (time < at + length)
        t = time[inside] - at
        shape = np.minimum(1, np.minimum(t / 0.02, (length - t) / 0.03))
        if rng.random() < 0.3:
            voice = np.convolve(rng.normal(0, 1, len(t)), rng.normal(0, 1, 8), "same")
        else:
            pitch, peaks = rng.uniform(90, 220), rng.uniform([300, 900, 2200], [800, 2000, 3400])
            voice = np.zeros(len(t))
            for f in np.arange(pitch, 0.45 * RATE, pitch):
                height = sum(1 / (1 + ((f - peak) / (90 + 0.05 * peak)) ** 2) for peak in peaks) + 1e-3
                voice += height * np.sin(2 * np.pi * f * t * (1 + 0.02 * t) + rng.uniform(0, 6))
        sound[inside] += 0.8 * shape * voice / np.abs(voice).max()
        at += length + rng.uniform(0.02, 0.08)
    sound[: int(0.08 * RATE)] = 0
    return torch.tensor(sound, dtype=torch.float32)


SOUNDS = [speech(seed) for seed in range(4)]
_ALL = torch.cat([OURS(sound) for sound in SOUNDS], 1)


def power(sound: torch.Tensor) -> torch.Tensor:
    """Mel bands of squared magnitudes."""
    return (OURS.filters() @ OURS.magnitudes(sound).square()).clamp(min=1e-10)


def decibels(sound: torch.Tensor) -> torch.Tensor:
    return OURS(sound) * 20 / LN10


def symmetric(sound: torch.Tensor) -> torch.Tensor:
    """As implementations of Tacotron normalise: 100 dB below a level of 20 dB become [-4, 4]."""
    return ((decibels(sound) - 20 + 100) / 100 * 8 - 4).clamp(-4, 4)


def predicted(sound: torch.Tensor) -> torch.Tensor:
    """As a text-to-speech network makes mels: blurred, and with errors."""
    generator = torch.Generator().manual_seed(len(sound))
    mel = torch.nn.functional.avg_pool1d(OURS(sound)[None], 5, 1, 2)[0]
    return mel + 0.3 * torch.randn(mel.shape, generator=generator)


def other(**changes) -> MelSpec:
    return dataclasses.replace(OURS, **changes)


SCALES = {
    "ln": OURS,
    "log10": lambda x: OURS(x) / LN10,
    "dB": decibels,
    "[-4, 4]": symmetric,
    "[0, 1]": lambda x: (symmetric(x) + 4) / 8,
    "mean and deviation": lambda x: (OURS(x) - _ALL.mean()) / _ALL.std(),
    "by band": lambda x: (OURS(x) - _ALL.mean(1, keepdim=True)) / _ALL.std(1, keepdim=True),
    "by file": lambda x: (OURS(x) - OURS(x).mean()) / OURS(x).std(),
    "magnitudes": lambda x: OURS(x).exp(),
    "power": power,
    "ln of power": lambda x: power(x).log(),
    "dB of power": lambda x: 10 * power(x).log10(),
    "below the loudest": lambda x: 10 * (power(x) / power(x).max()).log10().clamp(min=-8),
    "integers": lambda x: OURS(x * 32768),
    "half as loud": lambda x: OURS(x / 2),
    "own peak": lambda x: OURS(x / x.abs().max()),
    "fmax": other(fmax=7000.0),
    "not normalised": other(norm="none"),
    "htk": other(scale="htk"),
    "centred": other(padding="center"),
    "late": lambda x: pad(OURS(x), (1, 0), value=OURS.silence),
    "predicted": predicted,
    "predicted log10": lambda x: predicted(x) / LN10,
    "parallel_wavegan": resolve("parallel_wavegan", RATE),
    "dB of parallel_wavegan": lambda x: 20 * resolve("parallel_wavegan", RATE)(x),
}
