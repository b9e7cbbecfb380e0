"""The attention decoder as ONNX files: encoder, one step of the decoder, and postnet; the program that runs them loops over steps."""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import CheckpointError
from polygan_audio.formats.comparison import TOLERANCE
from polygan_audio.optional import need

from ..attention import Tacotron2
from ..attention.decoder import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polygan import Recipe

    from ..generator import Generator

Scale = tuple[Tensor, Tensor]

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
        network.decoder.attention_layer.located = _convolved

    def forward(
        self, before: Tensor, kept: Tensor, memory: Tensor, keys: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        a, b, c, d, context, places = states
        state = State(attention=(a, b), decoder=(c, d), context=context, places=places)
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


def export(recipe: Recipe[Any], generator: Generator, path: Path) -> list[Path]:
    """`export_onnx` of a run of audio/tacotron2 with attention; the facts are the front end, the symbols (ids 1, 2, ...) and the speakers."""
    assert isinstance(generator.network, Tacotron2)
    facts = {
        "mel": asdict(recipe.mel),  # pyright: ignore[reportAttributeAccessIssue]
        "symbols": recipe.spelling.alphabet.symbols,  # pyright: ignore[reportAttributeAccessIssue]
        "speakers": [*recipe.info.get("classes", ())],
    }
    if len(recipe.languages) > 1:  # pyright: ignore[reportAttributeAccessIssue]
        facts["languages"] = [*recipe.languages.known]  # pyright: ignore[reportAttributeAccessIssue]
    return export_onnx(generator.network, path, facts, (generator.mel_mean.cpu(), generator.mel_deviation.cpu()))


def export_onnx(
    network: Tacotron2, path: str | Path, facts: Mapping[str, Any] | None = None, scale: Scale | None = None
) -> list[Path]:
    """Write NAME-encoder.onnx, NAME-step.onnx and NAME-postnet.onnx beside ``path`` (NAME.onnx).

    The encoder takes ``ids`` int64 (1, S), and ``speaker`` and ``language`` (1,) where there are several. The step takes the frames made before,
    ``kept`` (ones where no dropout is wanted: a monotone voice), the encoder's outputs and `STATES`. It gives ``frames``
    (1, n_mels * reduction), ``stop_logit`` and the next states; the weights of the step are ``next_places[:, 0]``. The postnet takes
    the frames of all steps, ``mel`` (1, n_mels, F), to ``post``, a log-mel by ``scale`` (mean and deviation of each band). ``facts``
    stand in each file's metadata as JSON, beside the sizes. ConfigError without onnx and onnxruntime; CheckpointError where a file
    computes something else than the network.
    """
    onnx, runtime = (need(name, "onnx", "export to ONNX", "use another format") for name in ("onnx", "onnxruntime"))
    ours = copy.deepcopy(network).cpu().float().eval()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = path.stem if path.suffix == ".onnx" else path.name
    known = {**(facts or {}), "shape": asdict(ours.shape), "n_mels": ours.n_mels}
    written: list[Path] = []
    sessions: dict[str, Any] = {}
    for name, (module, inputs, outputs, free) in _parts(ours, scale).items():
        file = path.with_name(f"{stem}-{name}.onnx")
        with warnings.catch_warnings():
            # The exporter by tracing is called old, but needs no onnxscript; these parts have no control flow to lose.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),  # the exporter brings the mode back that it found
                tuple(inputs.values()),
                file,
                input_names=list(inputs),
                output_names=outputs,
                dynamic_axes=free,
                opset_version=17,
                dynamo=False,
            )
        model = onnx.load(file)
        entry = model.metadata_props.add()
        entry.key, entry.value = "polygan", json.dumps(known)
        onnx.checker.check_model(model)
        onnx.save(model, file)
        sessions[name] = runtime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
        written.append(file)
    for symbols in _TRIALS:
        _compare(ours, scale, sessions, symbols, path)
    return written


def _inputs(network: Tacotron2, symbols: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What the encoder and the step are tried with; the step's text is the encoder's."""
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
    return text, step


_Part = tuple[nn.Module, dict[str, Tensor], list[str], dict[str, dict[int, str]]]


def _parts(network: Tacotron2, scale: Scale | None) -> dict[str, _Part]:
    """By name: a module, its inputs, the names of its outputs, and its free axes."""
    text, step = _inputs(network, 7)
    free = {name: {1: "symbols"} for name in ("ids", "memory", "keys")}
    places = {name: {2: "symbols"} for name in ("places", "next_places")}
    frames = {name: {2: "frames"} for name in ("mel", "post")}
    after = ["frames", "stop_logit", *(f"next_{name}" for name in STATES)]
    mel = torch.randn(1, network.n_mels, 12, generator=torch.Generator().manual_seed(0))
    return {
        "encoder": (_Encode(network), text, ["memory", "keys"], free),
        "step": (_Step(network), step, after, {k: v for k, v in free.items() if k != "ids"} | places),
        "postnet": (_Correct(network, scale), {"mel": mel}, ["post"], frames),
    }


@torch.no_grad()
def _compare(network: Tacotron2, scale: Scale | None, sessions: Mapping[str, Any], symbols: int, path: Path) -> None:
    """CheckpointError where a file gives something else than the network at a length that it was not made with."""
    text, step = _inputs(network, symbols)
    mel = {"mel": torch.randn(1, network.n_mels, symbols, generator=torch.Generator().manual_seed(1))}
    parts = {
        "encoder": (_Encode(network), text),
        "step": (_Step(network), step),
        "postnet": (_Correct(network, scale), mel),
    }
    for name, (module, inputs) in parts.items():
        ours = module(*inputs.values())
        theirs = sessions[name].run(None, {key: value.numpy() for key, value in inputs.items()})
        for mine, other in zip(
            [ours] if isinstance(ours, Tensor) else ours, map(torch.from_numpy, theirs), strict=True
        ):
            gap, most = (mine - other).abs().max(), TOLERANCE * max(1.0, float(mine.abs().max()))
            if mine.shape != other.shape or not gap <= most:
                raise CheckpointError(f"{path}: the {name} differs from its source by {gap:.2g}; do not use the files")
