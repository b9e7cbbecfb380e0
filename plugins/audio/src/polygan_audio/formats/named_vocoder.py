"""The way from a log-mel to sound as an ONNX file of its own, beside the files of a network that makes the log-mel."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan.graphs import Graph, write_graph

from .. import vocoding
from .comparison import EXTRA, agree, folded, trial_mels
from .onnx import hears_noise, in_a_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..networks.melspec import MelSpec

_LOUD, _MIDDLE = 4.0, -7.0  # deviation and mean of the trials' log-mels: some lie below silence


class _Sound(nn.Module):
    """A vocoder as the file has it."""

    def __init__(self, vocoder: nn.Module, mel: MelSpec) -> None:
        super().__init__()
        self.vocoder, self.silence, self.hop = vocoder, mel.silence, mel.hop_length

    def forward(self, mel: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log-mel (1, n_mels, F) and ``noise`` (1, F * hop_length) or None to a waveform (1, F * hop_length) in [-1, 1] and the mel that was heard."""
        heard = mel.clamp(min=self.silence)
        return self.vocoder(heard, *(() if noise is None else (noise,))).clamp(-1, 1), heard


def export(name: str, spec: MelSpec, path: Path, origin: Mapping[str, Any], runs: Path | None = None) -> Path:
    """Write NAME-vocoder.onnx beside ``path`` (NAME.onnx), for the vocoder ``name`` of the front end ``spec`` (`vocoding.decoder`).

    It takes ``mel`` (1, n_mels, frames), and ``noise`` (1, frames * hop_length) where the vocoder hears noise. It gives ``waveform``
    (1, frames * hop_length) in [-1, 1], and ``heard``, the mel with nothing quieter than silence.
    Errors: `polygan.graphs.write_graph` and `vocoding.network`.
    """
    ours = folded(vocoding.network(name, spec, runs))
    trials = []
    for x in trial_mels(spec):
        mel, draw = _LOUD * x[:1] + _MIDDLE, torch.Generator().manual_seed(x.shape[2])
        noise = torch.randn(1, mel.shape[2] * spec.hop_length, generator=draw)
        trials.append({"mel": mel, **({"noise": noise} if hears_noise(ours) else {})})
    graph = Graph(
        _Sound(in_a_file(ours), spec),
        trials,
        ["waveform", "heard"],
        {"mel": {2: "frames"}, "noise": {1: "samples"}, "waveform": {1: "samples"}, "heard": {2: "frames"}},
        {**origin, "kind": "vocoder", "vocoder": name, "mel": asdict(spec)},
        source=_Sound(ours, spec),
        agree=partial(agree, iterations=getattr(ours, "iterations", 0)),
        extra=EXTRA,
    )
    return write_graph(graph, path, "onnx", "vocoder")[0]
