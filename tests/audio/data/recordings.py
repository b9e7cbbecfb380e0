"""Recordings and mels that are made, for the tests of this folder."""

from __future__ import annotations

import numpy as np
import soundfile

from polygan.data import build_store
from polygan_audio.data.domain import AudioDomain

DOMAIN = AudioDomain()


def noise(frames, seed=0, scale=0.1):
    return np.random.default_rng(seed).normal(0, scale, frames).clip(-1, 1).astype(np.float32)


def save(path, samples, rate=16_000, subtype=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype)
    return path


def stored(opened):
    source, settings = opened
    return build_store(source, settings, progress=False)


def lengths(source):
    return [len(source.decode(i)["waveform"]) for i in range(len(source))]


def ljspeech(root, lines, names, frames=9000):
    for i, name in enumerate(names):
        save(root / "wavs" / name, noise(frames, i))
    (root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def mel_for(frames, n_mels=80, seed=0):
    return np.random.default_rng(seed).normal(-5, 1, (n_mels, frames)).astype(np.float32)
