"""The parallel network as a graph, from a sentence's numbers to its log-mel: an ONNX file, or an exported program of torch."""

from __future__ import annotations

import copy
import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from polygan import ConfigError
from polygan.graphs import Graph, agree, write_graph
from polygan_audio import vocoding
from polygan_audio.formats import named_vocoder
from polygan_audio.formats.comparison import agree as sounds_agree
from polygan_audio.formats.comparison import folded
from polygan_audio.formats.onnx import hears_noise, in_a_file

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
    from polygan.graphs import Kind
    from polygan_audio.networks.melspec import MelSpec

LEAST = 3
"""Symbols that a program takes at least, the ends of the sentence among them."""
_TRIALS = (7, 31)  # symbols of the sentences that are compared
_TOLERANCE = 1e-3  # of log-mels


class _Sentence(nn.Module):
    """A generator as the file has it."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        assert isinstance(generator.network, Parallel)
        self.generator, self.network = generator, generator.network

    def forward(
        self, ids: Tensor, pace: Tensor, pitch: Tensor, speaker: Tensor | None = None, language: Tensor | None = None
    ) -> Tensor:
        """(1, S), then four times (1,), to a log-mel (1, n_mels, F)."""
        made, _ = self.network.speak(ids, speaker, pace, pitch, language)
        return self.generator.mel(made)


class _Sound(nn.Module):
    """A sentence to its sound, as the file has it with a vocoder."""

    def __init__(self, sentence: _Sentence, vocoder: nn.Module, mel: MelSpec) -> None:
        super().__init__()
        self.sentence, self.vocoder, self.silence, self.hop = sentence, vocoder, mel.silence, mel.hop_length
        self.most = most_frames(mel, Sampling().longest)

    def forward(
        self,
        ids: Tensor,
        pace: Tensor,
        pitch: Tensor,
        speaker: Tensor | None = None,
        language: Tensor | None = None,
        noise: Tensor | None = None,
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

    The facts, of which the first are also entries of the file's metadata, hold the front end (``mel``) and what numbers the symbols have
    (``symbols``; ``end``: the number in front of and behind a sentence). They name the ``speakers`` and ``languages`` in order. With options,
    they say how a text is read (`reading_facts`), and what else a program needs that speaks. With attention there are three files
    (`attention_onnx.export_onnx`), whose encoder has these facts, and a fourth one with a vocoder (`named_vocoder.export`).
    Errors: `polygan.graphs.write_graph`.
    """
    return _write(recipe, networks, path, "onnx", options or Exported())


def program(recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path) -> list[Path]:
    """Write the same as exported programs; a sentence has `LEAST` symbols or more."""
    return _write(recipe, networks, path, "pt2", Exported())


def _write(
    recipe: Recipe[Any], networks: Mapping[str, nn.Module], path: Path, kind: Kind, options: Exported
) -> list[Path]:
    generator = networks["generator"]
    if isinstance(generator, Generator) and isinstance(generator.network, Tacotron2):
        assert isinstance(recipe, Speech)
        return _write_loop(recipe, generator, path, kind, options)
    if (
        not isinstance(recipe, Speech)
        or not isinstance(generator, Generator)
        or not isinstance(generator.network, Parallel)
    ):
        raise ConfigError(f"this export takes a generator of audio/tacotron2; this is a {type(generator).__name__}")
    sentence = _Sentence(copy.deepcopy(generator).cpu().float().eval().requires_grad_(False))
    known = _facts(recipe)
    spoken = {} if options == Exported() else _spoken_facts(recipe, generator, options)
    facts = {**recipe.origin, "kind": "speech", **known, **spoken}
    if options.vocoder:
        heard = folded(vocoding.network(options.vocoder, recipe.mel, recipe.runs))
        return [
            _write_sound(
                recipe,
                sentence,
                heard,
                Graph(sentence, [], [], {}, facts, entries=known, extra=attention_onnx.EXTRA),
                path,
            )
        ]
    graph = Graph(
        sentence,
        [_trial(recipe, count) for count in _TRIALS],
        ["mel"],
        {"ids": {1: "symbols"}, "mel": {2: "frames"}},
        {**facts, **({"least": LEAST} if kind == "pt2" else {})},
        source=sentence,
        dims={"symbols": Dim("symbols", min=LEAST)},
        agree=partial(agree, what="log-mels", most=_TOLERANCE),
        entries=known,
        extra=attention_onnx.EXTRA,
    )
    return [write_graph(graph, path, kind)[0]]


def _write_loop(recipe: Speech, generator: Generator, path: Path, kind: Kind, options: Exported) -> list[Path]:
    """The files of a network with attention, and that of its vocoder."""
    if options == Exported():
        return attention_onnx.export(recipe, generator, path, kind)
    spoken, heard = {"kind": "speech", **_spoken_facts(recipe, generator, options)}, []
    if options.vocoder:
        heard = [named_vocoder.export(options.vocoder, recipe.mel, path, recipe.origin, recipe.runs)]
    return [*attention_onnx.export(recipe, generator, path, kind, spoken), *heard]


def _write_sound(recipe: Speech, sentence: _Sentence, heard: Any, bare: Graph, path: Path) -> Path:
    """The ONNX file of a sentence's sound by the vocoder ``heard``; ``bare`` has its facts. Compared here: with the vocoder's sound of the
    file's own mel, since iterations enlarge the last digits of a mel."""
    spec, sound = recipe.mel, _Sound(sentence, in_a_file(heard), recipe.mel)
    draw = torch.Generator().manual_seed(0)
    noise = {"noise": torch.randn(1, sound.most * spec.hop_length, generator=draw)} if hears_noise(heard) else {}
    trials = [{**_trial(recipe, count), **noise} for count in _TRIALS]
    free = {"ids": {1: "symbols"}, "waveform": {1: "samples"}, "mel": {2: "frames"}}
    graph = bare._replace(module=sound, trials=trials, made=["waveform", "mel"], free=free)
    path, run = write_graph(graph, path, "onnx")
    for trial in trials:
        waveform, mel = run(**trial)
        with torch.no_grad():
            wanted = sentence(**_without_noise(trial))[..., : sound.most].clamp(min=spec.silence)
            agree(wanted, mel, path, "log-mels", _TOLERANCE)
            beside = [x[:, : mel.shape[2] * spec.hop_length] for x in noise.values()]
            sounds_agree(heard(mel, *beside).clamp(-1, 1), waveform, path, iterations=getattr(heard, "iterations", 0))
    return path


def _without_noise(trial: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: x for name, x in trial.items() if name != "noise"}


def _spoken_facts(recipe: Speech, generator: Generator, options: Exported) -> dict[str, Any]:
    """What a program needs that speaks, beside `_facts`."""
    usual, info = Sampling(), recipe.info
    words = Path(options.words) if options.words else None
    return {
        "sample_rate": recipe.mel.sample_rate,
        "hop_length": recipe.mel.hop_length,
        "silence": recipe.mel.silence,
        "most_frames": most_frames(recipe.mel, usual.longest),
        "vocoder": options.vocoder,
        "end": recipe.end,
        "language_of_speakers": list(recipe.languages.of_speakers),
        "semitones": [SEMITONE / d for d in generator.pitch_deviation.tolist()],  # in each speaker's deviations
        "longest_text": longest_text(info),
        "pause": usual.pause,
        "reading": reading_facts(recipe.spelling, recipe.languages, info, words),
    }


def _facts(recipe: Speech) -> dict[str, Any]:
    alphabet, languages = recipe.spelling.alphabet, recipe.languages
    return {
        "mel": dataclasses.asdict(recipe.mel),
        "symbols": alphabet.symbols,
        "end": len(alphabet),
        "speakers": list(recipe.classes),
        **({"languages": list(languages.known)} if len(languages) > 1 else {}),
    }


def _trial(recipe: Speech, count: int) -> dict[str, Tensor]:
    ids = 1 + torch.arange(count)[None] % max(1, len(recipe.spelling.alphabet) - 1)
    speaker = {"speaker": torch.zeros(1, dtype=torch.int64)} if len(recipe.classes) > 1 else {}
    language = {"language": torch.ones(1, dtype=torch.int64)} if len(recipe.languages) > 1 else {}
    return {"ids": ids, "pace": torch.tensor([1.1]), "pitch": torch.tensor([0.2]), **speaker, **language}
