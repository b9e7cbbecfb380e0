"""The parallel network as one ONNX file, from a sentence's numbers to its log-mel, run by onnxruntime and compared."""

from __future__ import annotations

import dataclasses
import json
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan import CheckpointError, ConfigError
from polygan_audio.optional import need

from ..attention import Tacotron2
from ..formats import attention_onnx
from ..generator import Generator
from ..speech import Speech
from .network import Parallel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from polygan import Recipe

_TRIALS = (7, 31)  # symbols of the sentences that are compared
_TOLERANCE = 1e-3  # of log-mels


class _Sentence(nn.Module):
    """A generator as the file has it."""

    def __init__(self, generator: Generator, speakers: int, languages: int) -> None:
        super().__init__()
        assert isinstance(generator.network, Parallel)
        self.generator, self.network, self.speakers, self.languages = generator, generator.network, speakers, languages

    def forward(self, ids: Tensor, pace: Tensor, pitch: Tensor, speaker: Tensor, language: Tensor) -> Tensor:
        """(1, S), then four times (1,), to a log-mel (1, n_mels, F)."""
        who, read = (speaker if self.speakers > 1 else None), (language if self.languages > 1 else None)
        made, _ = self.network.speak(ids, who, pace, pitch, read)
        return self.generator.mel(made)


def export(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the generator: ``ids`` (1, symbols) int64, ``pace`` and ``pitch`` (1,), ``speaker`` and
    ``language`` (1,) int64 where there are several, to ``mel`` (1, n_mels, frames).

    ``pitch`` is in the speaker's deviations. The file's metadata holds, as JSON, the front end (``mel``) and what numbers the symbols
    have (``symbols``; ``end``: the number in front of and behind a sentence). It names the ``speakers`` and ``languages`` in order. With attention there are three files
    (`attention_onnx.export_onnx`). ConfigError without onnx and onnxruntime; CheckpointError where a file speaks otherwise.
    """
    onnx, runtime = (need(name, "onnx", "export to ONNX", "use another format") for name in ("onnx", "onnxruntime"))
    generator = networks["generator"]
    if isinstance(generator, Generator) and isinstance(generator.network, Tacotron2):
        return attention_onnx.export(recipe, generator, path)
    if (
        not isinstance(recipe, Speech)
        or not isinstance(generator, Generator)
        or not isinstance(generator.network, Parallel)
    ):
        raise ConfigError(f"export to ONNX takes a generator of audio/tacotron2; this is a {type(generator).__name__}")
    alphabet, classes, languages = recipe.spelling.alphabet, recipe.classes, recipe.languages
    sentence = _Sentence(generator, len(classes), len(languages)).cpu().eval()
    path = path if path.suffix == ".onnx" else path.with_name(path.name + ".onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ["ids", "pace", "pitch", "speaker", "language"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter by tracing is called old, but needs no onnxscript
        torch.onnx.export(
            sentence,
            _trial(_TRIALS[0], len(alphabet)),
            path,
            input_names=names,
            output_names=["mel"],
            dynamic_axes={"ids": {1: "symbols"}, "mel": {2: "frames"}},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(path)
    facts = {
        "mel": dataclasses.asdict(recipe.mel),
        "symbols": alphabet.symbols,
        "end": len(alphabet),
        "speakers": list(classes),
        **({"languages": list(languages.known)} if len(languages) > 1 else {}),
    }
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    taken = {value.name for value in session.get_inputs()}
    for count in _TRIALS:
        given = _trial(count, len(alphabet))
        fed = {name: x.numpy() for name, x in zip(names, given, strict=True) if name in taken}
        with torch.no_grad():
            _compare(sentence(*given), torch.from_numpy(session.run(None, fed)[0]), path)
    return [path]


def _trial(count: int, numbers: int) -> tuple[Tensor, ...]:
    ids = 1 + torch.arange(count)[None] % max(1, numbers - 1)
    speaker = torch.zeros(1, dtype=torch.int64)
    return ids, torch.tensor([1.1]), torch.tensor([0.2]), speaker, speaker + 1


def _compare(ours: Tensor, made: Tensor, path: Path) -> None:
    if ours.shape != made.shape or (ours - made).abs().max().item() > _TOLERANCE:
        shapes = f"{tuple(made.shape)} instead of {tuple(ours.shape)}"
        raise CheckpointError(f"{path} speaks otherwise than the network ({shapes}); use --format safetensors")
