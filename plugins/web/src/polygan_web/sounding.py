"""The facts of a page of sounds whose generator makes log-mels, which a vocoder turns into sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from polygan import ConfigError

from . import graphs
from .directions import directions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .graphs import Graph

PARTS = ("generator", "vocoder")
MAIN = "generator"
"""The part whose file tells what the whole is."""


def facts_of(parts: Mapping[str, Graph]) -> dict[str, Any]:
    """What a page of sounds does with both graphs, as JSON. ConfigError for other graphs.

    Directions are those along which log-mels change most: sounds of Griffin and Lim's iterations would differ by their phases alone.
    """
    generator, vocoder = parts["generator"], parts["vocoder"]
    found = graphs.latents_of(generator)
    if found is None or [*generator.outputs] != ["mel"] or not {"mel"} <= {*vocoder.inputs} <= {"mel", "noise"}:
        raise ConfigError("no page shows this generator and vocoder: use --format onnx and a program of your own")
    pictures = _Pictures(*found)
    one = pictures.make(np.zeros((1, found.size), np.float32), np.zeros(1, np.int64))
    _, _, bands, frames = one.shape
    samples = frames * int(generator.facts["mel"]["hop_length"])
    return {
        "kind": "sound",
        "latents": found.latents,
        "size": found.size,
        "label": found.label,
        "classes": list(found.classes),
        "made": "waveform",
        "directions": np.round(directions(pictures), 5).tolist(),
        "shift": 0,
        "samples": samples,
        "rate": int(generator.facts["sample_rate"]),
        "truncation": None,
        "mel": {"bands": bands, "frames": frames, "noise": samples if "noise" in vocoder.inputs else 0},
        "vocoder": str(vocoder.facts.get("vocoder", "")),
    }


class _Pictures(graphs.Latents):
    """Log-mels as pictures of one channel (n, 1, bands, frames)."""

    def make(self, latents: NDArray[np.float32], classes: NDArray[np.int64]) -> NDArray[Any]:
        return super().make(latents, classes)[:, None]
