"""The vocoders, the domain, its made-up data set and its metrics are held to `polygan.testing`.

Left out are ``audio/dnsmos``, which takes ten seconds, ``audio/wer``, which needs spoken words with transcripts, and
``audio/speaker-of-source``, which needs two speakers.
"""

import dataclasses
from importlib.util import find_spec

import numpy as np
import soundfile

from polygan.testing import Case, parametrize_with_checks

TONES = {"source": "tones", "size": 12, "segment": 2048}
TINY = {
    "audio/hifigan": {"channels": 16, "discriminator_width": 4, "variant": "v3"},
    "audio/vocos": {"dim": 16, "hidden": 32, "blocks": 2, "iterations": 2, "pretrain_steps": 1},
    "audio/parallel-wavegan": {
        "layers": 4,
        "stacks": 2,
        "channels": 4,
        "discriminator_channels": 4,
        "discriminator_start": 2,
    }
    | {"n_fft": 512, "hop_length": 128},
}
TINY["audio/griffin-lim"] = {"n_fft": 256, "hop_length": 64, "iterations": 2, "updates": 2}
RECIPES = [Case(name, TONES, model, settings={"batch_size": 2}) for name, model in TINY.items()]
RECIPES.append(
    dataclasses.replace(RECIPES[-2], model={**RECIPES[-2].model, "excitation": "griffin-lim", "iterations": 2})
)
DRUMS = {"source": "tones", "kind": "drums", "size": 48, "segment": 1024, "sample_rate": 4000}
NOTES = {**DRUMS, "kind": "notes"}
SHOTS = {"width": 2, "latent_dim": 4, "spectra": [256], "penalty_every": 2}
MELS = {**SHOTS, "generator": "spectrogram", "n_fft": 256, "hop_length": 64, "n_mels": 16, "fmax": 2000.0}
RECIPES += [Case("audio/wavegan", DRUMS, SHOTS), Case("audio/wavegan", NOTES, MELS)]


def speakers(folder):
    """Two speakers with transcripts, each in a folder of the LJSpeech layout, as whole clips."""
    rng = np.random.default_rng(0)
    for name in ("anna", "bert"):
        (folder / name / "wavs").mkdir(parents=True)
        for i in range(6):
            soundfile.write(folder / name / f"wavs/{i}.wav", rng.normal(0, 0.1, 4000 + 500 * i), 16_000)
        (folder / name / "metadata.csv").write_text("".join(f"{i}|text {'of' * i}\n" for i in range(6)))
    return {"source": str(folder), "segment": 0, "speakers": "folders"}


OTHERS = [
    Case("audio", speakers, kind="domain"),
    Case("audio", TONES, kind="domain"),
    Case("tones", {"size": 24}, kind="dataset"),
    Case("tones", {"size": 24, "kind": "drums"}, kind="dataset"),
]
PACKAGES = {
    **dict.fromkeys(("mel-distance", "stft-distance", "mcd", "mcd-dtw", "duration", "sharpness"), ""),
    **dict.fromkeys(("bands", "dc", "clipping"), ""),
    "stoi": "pystoi",
    "pesq": "pesq",
    "speaker": "resemblyzer",
}
METRICS = [
    Case(f"audio/{name}", TONES, TINY["audio/vocos"], "metric", "audio/vocos", {"batch_size": 2})
    for name, package in PACKAGES.items()
    if not package or find_spec(package)
]
METRICS += [
    Case(f"audio/{name}", NOTES, SHOTS, "metric", "audio/wavegan")
    for name in ("feature-distance", "nearest", "pitch", "class-agreement")
]


@parametrize_with_checks([*RECIPES, *OTHERS, *METRICS])
def test_contract(check):
    check()
