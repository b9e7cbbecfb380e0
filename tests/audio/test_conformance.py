"""The vocoders, the domain, its made-up data set and its metrics are held to `polygan.testing`.

Left out are ``audio/dnsmos``, which takes ten seconds, and ``audio/wer``, which needs spoken words with transcripts.
"""

import dataclasses
from importlib.util import find_spec

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
RECIPES = [Case(name, TONES, model, settings={"batch_size": 2}) for name, model in TINY.items()]
RECIPES.append(
    dataclasses.replace(RECIPES[-1], model={**RECIPES[-1].model, "excitation": "griffin-lim", "iterations": 2})
)
OTHERS = [Case("audio", TONES, kind="domain"), Case("tones", {"size": 24}, kind="dataset")]
PACKAGES = {"mel-distance": "", "stft-distance": "", "mcd": "", "stoi": "pystoi", "pesq": "pesq"}
METRICS = [
    Case(f"audio/{name}", TONES, TINY["audio/vocos"], "metric", "audio/vocos", {"batch_size": 2})
    for name, package in PACKAGES.items()
    if not package or find_spec(package)
]


@parametrize_with_checks([*RECIPES, *OTHERS, *METRICS])
def test_contract(check):
    check()
