"""A small model of speech, batches of tones that stand for letters, and a folder of such recordings, for the tests of this folder."""

from __future__ import annotations

import numpy as np
import soundfile
import torch

from polygan import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_speech.settings import Config
from polygan_speech.tacotron2 import TextToSpeech

RATE = 8_000
LETTERS = "abcde "
TEXTS = ("abcab", "deed", "cab bed", "a bad ace", "bead", "decade")
INFO = {
    "sample_rate": RATE,
    "segment": 0,
    "symbols": "".join(sorted(LETTERS)),
    "spoken": {},
    "frames_per_symbol": 6.0,
    "longest_text": 12,
    "count": 12,
}
SMALL = {
    "n_fft": 256,
    "hop_length": 64,
    "n_mels": 20,
    "fmax": 4000,
    "dim": 16,
    "hidden": 32,
    "encoder_blocks": 1,
    "decoder_blocks": 2,
    "window": 16,
    "discriminator_width": 4,
    "align_steps": 1,
    "pretrain_steps": 2,
    "warmup": 0,
}


def speech(info=INFO, **options):
    return TextToSpeech(Config(**{**SMALL, **options}), info)


def sound(text, seed=0, seconds=0.05, rate=RATE):
    """A tone with harmonics for each letter, silence for anything else."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    parts = []
    for letter in text:
        if letter not in LETTERS.strip():
            parts.append(np.zeros(len(time)))
            continue
        pitch = 120 * (1 + LETTERS.index(letter) / 4)
        parts.append(sum(np.sin(2 * np.pi * k * pitch * time) / k for k in (1, 2, 3)) * 0.2)
    waveform = np.concatenate(parts)
    return (waveform + 0.002 * rng.standard_normal(len(waveform))).astype(np.float32)


def batch_of(texts, labels=None, width=0):
    """A prepared batch of whole clips, padded to ``width`` samples or the longest."""
    sounds = [sound(text, i) for i, text in enumerate(texts)]
    longest = max(width, *map(len, sounds))
    raw = [text.encode() for text in texts]
    most = max(map(len, raw))
    batch = {
        "waveform": torch.stack([torch.from_numpy(np.pad(w, (0, longest - len(w)))) for w in sounds]),
        "waveform_length": torch.tensor([len(w) for w in sounds]),
        "text": torch.stack([torch.tensor([*r, *[0] * (most - len(r))], dtype=torch.uint8) for r in raw]),
        "text_length": torch.tensor([len(r) for r in raw]),
    }
    return batch if labels is None else {**batch, "label": torch.tensor(labels)}


def trainer(recipe, batch, **settings):
    run = {"steps": 100, "batch_size": len(batch["waveform"]), "precision": "fp32", "hang_timeout": 0, **settings}
    return Trainer(recipe, {"train": RepeatedBatch(batch)}, TrainerSettings(**run))


def corpus(folder, texts=TEXTS * 4, speakers=()):
    """The layout of LJSpeech: metadata.csv and wavs/; with ``speakers`` a folder of each."""
    for speaker in speakers or [""]:
        place = folder / speaker
        (place / "wavs").mkdir(parents=True)
        lines = []
        for i, text in enumerate(texts):
            soundfile.write(place / f"wavs/{i:03d}.wav", sound(text, i), RATE)
            lines.append(f"{i:03d}|{text}\n")
        (place / "metadata.csv").write_text("".join(lines))
    return folder
