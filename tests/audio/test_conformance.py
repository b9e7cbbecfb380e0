"""The vocoders, the domain, its made-up data set and its metrics are held to `polygan.testing`.

Left out are ``audio/dnsmos``, which takes ten seconds, and ``audio/wer``, which needs spoken words with transcripts.
"""

from importlib.util import find_spec

import numpy as np
import soundfile

from polygan.testing import Case, parametrize_with_checks

TONES = {"source": "tones", "size": 12, "segment": 2048}
TINY = {
    "audio/hifigan": {"channels": 16, "discriminator_width": 4, "variant": "v3"},
    "audio/vocos": {"dim": 16, "hidden": 32, "blocks": 2, "iterations": 2, "pretrain_steps": 1},
}
RECIPES = [Case(name, TONES, model, settings={"batch_size": 2}) for name, model in TINY.items()]


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
]
PACKAGES = {"mel-distance": "", "stft-distance": "", "mcd": "", "stoi": "pystoi", "pesq": "pesq"}
METRICS = [
    Case(f"audio/{name}", TONES, TINY["audio/vocos"], "metric", "audio/vocos", {"batch_size": 2})
    for name, package in PACKAGES.items()
    if not package or find_spec(package)
]


@parametrize_with_checks([*RECIPES, *OTHERS, *METRICS])
def test_contract(check):
    check()
