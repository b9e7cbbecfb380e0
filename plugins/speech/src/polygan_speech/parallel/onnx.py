"""The parallel network as one ONNX file, from a sentence's numbers to its log-mel, run by onnxruntime and compared."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from polygan import CheckpointError, ConfigError
from polygan_audio import vocoding
from polygan_audio.formats.comparison import agree, folded
from polygan_audio.formats.onnx import traceable
from polygan_audio.optional import need

from ..attention import Tacotron2
from ..formats import attention_onnx
from ..generator import Generator
from ..settings import Exported, Sampling
from ..speaking import SEMITONE, longest_text, most_frames
from ..speech import Speech
from ..text.reading import reading_facts
from .network import Parallel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polygan import Recipe
    from polygan_audio.networks.melspec import MelSpec

_TRIALS = (7, 31)  # symbols of the sentences that are compared
_TOLERANCE = 1e-3  # of log-mels
_NAMES = ("ids", "pace", "pitch", "speaker", "language")
_LOOP = (
    "a network with attention (model.decoder = attention) makes its frames in a loop: no file holds it with a vocoder or with words, and no "
    "page speaks with it; leave --vocoder and --words out (--format onnx), or train with --model.decoder parallel"
)


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


class _Sound(nn.Module):
    """A sentence to its sound, as the file has it with a vocoder."""

    def __init__(self, sentence: _Sentence, vocoder: nn.Module, mel: MelSpec, seconds: float) -> None:
        super().__init__()
        self.sentence, self.vocoder, self.silence, self.hop = sentence, vocoder, mel.silence, mel.hop_length
        self.most = most_frames(mel, seconds)

    def forward(
        self, ids: Tensor, pace: Tensor, pitch: Tensor, speaker: Tensor, language: Tensor, noise: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `_Sentence`, and ``noise`` (1, most samples) or None, to a waveform (1, T) in [-1, 1] and its log-mel (1, n_mels, F)."""
        mel = self.sentence(ids, pace, pitch, speaker, language)[..., : self.most].clamp(min=self.silence)
        beside = () if noise is None else (noise[:, : mel.shape[2] * self.hop],)
        return self.vocoder(mel, *beside).clamp(-1, 1), mel


def export(
    recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path, options: Exported | None = None
) -> list[Path]:
    """Write the generator: ``ids`` (1, symbols) int64, ``pace`` and ``pitch`` (1,), ``speaker`` and
    ``language`` (1,) int64 where there are several, to ``mel`` (1, n_mels, frames).

    ``pitch`` is in the speaker's deviations. With ``options.vocoder`` the file gives ``waveform`` (1, samples) and then ``mel``, which ends
    after the longest sentence (`Sampling.longest`); a vocoder that hears noise takes ``noise`` (1, samples of the longest sentence).
    The file's metadata holds, as JSON, the front end (``mel``) and what numbers the symbols
    have (``symbols``; ``end``: the number in front of and behind a sentence). It names the ``speakers`` and ``languages`` in order. With options, ``polygan``
    says how a text is read (`reading_facts`), and what else a program needs that speaks. With attention there are three files
    (`attention_onnx.export_onnx`). ConfigError without onnx and onnxruntime; CheckpointError where a file speaks otherwise.
    """
    options = options or Exported()
    onnx, runtime = (need(name, "onnx", "export to ONNX", "use another format") for name in ("onnx", "onnxruntime"))
    generator = networks["generator"]
    if isinstance(generator, Generator) and isinstance(generator.network, Tacotron2):
        if options != Exported():
            raise ConfigError(_LOOP)
        return attention_onnx.export(recipe, generator, path)
    if (
        not isinstance(recipe, Speech)
        or not isinstance(generator, Generator)
        or not isinstance(generator.network, Parallel)
    ):
        raise ConfigError(f"export to ONNX takes a generator of audio/tacotron2; this is a {type(generator).__name__}")
    known = {} if options == Exported() else {"polygan": _facts(recipe, generator, options)}
    alphabet, classes, languages = recipe.spelling.alphabet, recipe.classes, recipe.languages
    sentence = _Sentence(generator, len(classes), len(languages)).cpu().eval()
    path = path if path.suffix == ".onnx" else path.with_name(path.name + ".onnx")
    path.parent.mkdir(parents=True, exist_ok=True)
    names, made, trials = [*_NAMES], ["mel"], [_trial(count, len(alphabet)) for count in _TRIALS]
    traced: nn.Module = sentence
    heard = vocoding.network(options.vocoder, recipe.mel, recipe.runs) if options.vocoder else None
    if heard is not None:
        module, taken = traceable(folded(heard))
        traced = _Sound(sentence, module, recipe.mel, Sampling().longest)
        made = ["waveform", "mel"]
        if "noise" in taken:
            names.append("noise")
            draw = torch.Generator().manual_seed(0)
            trials = [(*t, torch.randn(1, traced.most * recipe.mel.hop_length, generator=draw)) for t in trials]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter by tracing is called old, but needs no onnxscript
        torch.onnx.export(
            traced.eval(),
            trials[0],
            path,
            input_names=names,
            output_names=made,
            dynamic_axes={"ids": {1: "symbols"}, "mel": {2: "frames"}}
            | ({"waveform": {1: "samples"}} if heard else {}),
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
        **known,
    }
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, json.dumps(value)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    taken = {value.name for value in session.get_inputs()}
    for given in trials:
        fed = {name: x.numpy() for name, x in zip(names, given, strict=True) if name in taken}
        *sound, mel = map(torch.from_numpy, session.run(made, fed))
        with torch.no_grad():
            ours = sentence(*given[: len(_NAMES)])
            _compare(ours.clamp(min=recipe.mel.silence) if heard is not None else ours, mel, path)
            if heard is not None and isinstance(traced, _Sound):
                beside = [noise[:, : mel.shape[2] * recipe.mel.hop_length] for noise in given[len(_NAMES) :]]
                said = traced.vocoder(mel, *beside).clamp(
                    -1, 1
                )  # of the file's own mel: iterations enlarge differences
                agree(said, sound[0], path, iterations=getattr(heard, "iterations", 0))
    return [path]


def _facts(recipe: Speech, generator: Generator, options: Exported) -> dict[str, Any]:
    """What a program needs that speaks, as JSON."""
    usual, info = Sampling(), recipe.info
    return {
        **recipe.origin,
        "kind": "speech",
        "sample_rate": recipe.mel.sample_rate,
        "hop_length": recipe.mel.hop_length,
        "silence": recipe.mel.silence,
        "most_frames": most_frames(recipe.mel, usual.longest),
        "vocoder": options.vocoder,
        "end": recipe.end,
        "speakers": list(recipe.classes),
        "language_of_speakers": list(recipe.languages.of_speakers),
        "semitones": [SEMITONE / d for d in generator.pitch_deviation.tolist()],  # in each speaker's deviations
        "longest_text": longest_text(info),
        "pause": usual.pause,
        "reading": reading_facts(
            recipe.spelling, recipe.languages, info, Path(options.words) if options.words else None
        ),
    }


def _trial(count: int, numbers: int) -> tuple[Tensor, ...]:
    ids = 1 + torch.arange(count)[None] % max(1, numbers - 1)
    speaker = torch.zeros(1, dtype=torch.int64)
    return ids, torch.tensor([1.1]), torch.tensor([0.2]), speaker, speaker + 1


def _compare(ours: Tensor, made: Tensor, path: Path) -> None:
    if ours.shape != made.shape or (ours - made).abs().max().item() > _TOLERANCE:
        shapes = f"{tuple(made.shape)} instead of {tuple(ours.shape)}"
        raise CheckpointError(f"{path} speaks otherwise than the network ({shapes}); use --format safetensors")
