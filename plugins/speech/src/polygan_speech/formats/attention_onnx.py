"""The attention decoder as graphs: encoder, one step of the decoder, and postnet; whoever runs them loops over steps."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan.graphs import Graph, agree, write_graph
from polygan_audio.formats.comparison import TOLERANCE

from ..attention import Stop, Tacotron2
from ..attention.decoder import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polygan import Recipe
    from polygan.graphs import Kind

    from ..generator import Generator

Scale = tuple[Tensor, Tensor]

EXTRA = "polygan-speech[onnx]"
"""What brings the packages of ONNX."""
STATES = ("attention_hidden", "attention_cells", "decoder_hidden", "decoder_cells", "context", "places")
"""Tensors that a step takes and gives back (``next_NAME``); all begin at 0."""
_TRIALS = (5, 9)  # symbols of the sentences that are compared


class _Encode(nn.Module):
    """Symbols (1, S) to ``memory`` (1, S, memory) and ``keys`` (1, S, attention)."""

    def __init__(self, network: Tacotron2) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, ids: Tensor, speaker: Tensor | None = None, language: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        memory = self.network.encode(ids, torch.ones_like(ids).sum(1), speaker, language)
        return memory, self.network.decoder.attention_layer.memory_layer(memory)


class _Step(nn.Module):
    """One step. ``kept`` (2, 1, prenet): factors of the prenet's dropout in its two layers, 0 or 1 / (1 - rate)."""

    def __init__(self, network: Tacotron2) -> None:
        super().__init__()
        self.decoder = network.decoder
        self.matrix = nn.Buffer(network.decoder.attention_layer.location_layer.matrix().detach())

    def forward(
        self,
        before: Tensor,
        kept: Tensor,
        memory: Tensor,
        keys: Tensor,
        attention_hidden: Tensor,
        attention_cells: Tensor,
        decoder_hidden: Tensor,
        decoder_cells: Tensor,
        context: Tensor,
        places: Tensor,
    ) -> tuple[Tensor, ...]:
        attention, decoder = (attention_hidden, attention_cells), (decoder_hidden, decoder_cells)
        state = State(attention=attention, decoder=decoder, context=context, places=places)
        for layer, factor in zip(self.decoder.prenet.layers, kept, strict=True):
            before = torch.relu(layer(before)) * factor
        frames, stop = self.decoder.step(before, state, memory, keys, self.matrix)
        return frames, stop, *state.tensors()


def _convolved(places: Tensor, matrix: Tensor) -> Tensor:
    """`LocationAttention.located` as a convolution: ONNX has no windows of a free length."""
    kernel = matrix.T.unflatten(1, (2, -1))
    return F.conv1d(places, kernel, padding=kernel.shape[2] // 2).transpose(1, 2)


class _Correct(nn.Module):
    """Log-mel (1, n_mels, F) of all steps to the corrected log-mel."""

    def __init__(self, network: Tacotron2, scale: Scale | None) -> None:
        super().__init__()
        self.postnet, self.scale = network.postnet, scale

    def forward(self, mel: Tensor) -> Tensor:
        made = mel + self.postnet(mel, None)
        if self.scale is None:
            return made
        mean, deviation = self.scale
        return made * deviation[:, None] + mean[:, None]


def export(
    recipe: Recipe[Any], generator: Generator, path: Path, kind: Kind = "onnx", spoken: Mapping[str, Any] | None = None
) -> list[Path]:
    """`export_onnx` of a run of audio/tacotron2 with attention; the facts are the front end, the symbols (ids 1, 2, ...) and the speakers.

    ``spoken``: what a program needs that speaks, for the facts of the encoder. They then say when a sentence ends, too (``stop``: `Stop`).
    """
    assert isinstance(generator.network, Tacotron2)
    facts = {
        **recipe.origin,
        "mel": asdict(recipe.mel),  # pyright: ignore[reportAttributeAccessIssue]
        "symbols": recipe.spelling.alphabet.symbols,  # pyright: ignore[reportAttributeAccessIssue]
        "speakers": [*recipe.info.get("classes", ())],
    }
    if len(recipe.languages) > 1:  # pyright: ignore[reportAttributeAccessIssue]
        facts["languages"] = [*recipe.languages.known]  # pyright: ignore[reportAttributeAccessIssue]
    more = {**spoken, "stop": asdict(Stop())} if spoken else {}
    scale = generator.mel_mean.cpu(), generator.mel_deviation.cpu()
    return export_onnx(generator.network, path, facts, scale, kind, more)


def export_onnx(
    network: Tacotron2,
    path: str | Path,
    facts: Mapping[str, Any] | None = None,
    scale: Scale | None = None,
    kind: Kind = "onnx",
    of_encoder: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write NAME-encoder.onnx, NAME-step.onnx and NAME-postnet.onnx beside ``path`` (NAME.onnx); with ``kind`` pt2, programs of torch.

    The encoder takes ``ids`` int64 (1, S), and ``speaker`` and ``language`` (1,) where there are several. The step takes the frames made before,
    ``kept`` (ones where no dropout is wanted: a monotone voice), the encoder's outputs and `STATES`. It gives ``frames``
    (1, n_mels * reduction), ``stop_logit`` and the next states; the weights of the step are ``next_places[:, 0]``. The postnet takes
    the frames of all steps, ``mel`` (1, n_mels, F), to ``post``, a log-mel by ``scale`` (mean and deviation of each band). ``facts``
    stand in each file beside the sizes, ``of_encoder`` in the encoder's file alone. Errors: `polygan.graphs.write_graph`.
    """
    ours = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    known = {**(facts or {}), "shape": asdict(ours.shape), "n_mels": ours.n_mels}
    free = {name: {1: "symbols"} for name in ("ids", "memory", "keys")}
    free |= {name: {2: "symbols"} for name in ("places", "next_places")}
    free |= {name: {2: "frames"} for name in ("mel", "post")}
    encode, step, correct = _Encode(ours), _Step(ours), _Correct(ours, scale)
    convolved = _Step(copy.deepcopy(ours))
    convolved.decoder.attention_layer.located = _convolved
    parts = {
        "encoder": (encode, encode, ["memory", "keys"]),
        "step": (convolved, step, ["frames", "stop_logit", *(f"next_{name}" for name in STATES)]),
        "postnet": (correct, correct, ["post"]),
    }
    written = []
    for (part, (module, source, made)), trials in zip(
        parts.items(), zip(*(_inputs(ours, symbols) for symbols in _TRIALS), strict=True), strict=True
    ):
        own = {**known, **(of_encoder or {})} if part == "encoder" else known
        graph = Graph(module, trials, made, free, own, source, agree=_agree, extra=EXTRA)
        written.append(write_graph(graph, Path(path), kind, part)[0])
    return written


def _agree(ours: Tensor, theirs: Tensor, path: Path) -> None:
    agree(ours, theirs, path, most=TOLERANCE * max(1.0, float(ours.abs().max())))


def _inputs(network: Tacotron2, symbols: int) -> tuple[dict[str, Tensor], ...]:
    """What the encoder, the step and the postnet are tried with; the step's text is the encoder's."""
    draw = torch.Generator().manual_seed(symbols)
    rows = network.embedding.num_embeddings
    text = {"ids": torch.randint(0, rows, (1, symbols), generator=draw)}
    if network.speakers is not None:
        text["speaker"] = torch.ones(1, dtype=torch.int64)
    if network.languages is not None:  # a model of several languages has several speakers
        text["language"] = torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        memory, keys = _Encode(network)(*text.values())
        states = network.decoder.begin(memory).tensors()
    shape = network.shape
    step = {
        "before": torch.randn(1, network.n_mels * shape.reduction, generator=draw),
        "kept": 1.0 + torch.rand(2, 1, shape.prenet, generator=draw),
        "memory": memory,
        "keys": keys,
        **{name: state + 0.1 for name, state in zip(STATES, states, strict=True)},
    }
    return text, step, {"mel": torch.randn(1, network.n_mels, symbols, generator=draw)}
