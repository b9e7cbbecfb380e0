"""What a recipe that speaks texts has, whatever its networks: the facts that it needs, and speech by its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from polygan import ConfigError, Recipe, Samples, mix
from polygan_audio.mel_scales.training import check_given

from .facts import speech_facts
from .settings import Config, Sampling
from .speaking import Voice, joined, longest_text, speakers_of
from .text.given import texts_of
from .text.languages import Languages
from .text.spelling import Spelling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from polygan import Request, Split

_PREVIEWS = 6  # held-out texts in the report


class Speech(Recipe[Config]):
    """Speech from text by way of log-mels, with the front end ``mel``."""

    domain = "audio"
    given = "sentence"
    Config: ClassVar[type] = Config
    Sampling: ClassVar[type] = Sampling
    keeps_time: ClassVar[bool] = False

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: sample_rate (Hz), segment (0), classes, and the facts of `survey`. ConfigError if they do not fit."""
        super().__init__(config, info)
        if info.get("segment"):
            raise ConfigError(
                f"data.segment = {info['segment']}: a text is spoken by a whole clip; use --data.segment 0"
            )
        if "symbols" not in info and "without_text" not in info:
            raise ConfigError(
                "these recordings have no transcripts; give a folder with metadata.csv (id|text) and wavs/, as LJSpeech has"
            )
        self.mel = mel = config.front_end(info["sample_rate"])
        for name, mine in (("n_mels", mel.n_mels), ("mel_hop", mel.hop_length)):
            if info.get(name, mine) != mine:
                raise ConfigError(
                    f"the given mels (data.mels) have {name} = {info[name]}, the front end has {mine}; set --model.n_mels and "
                    "--model.hop_length as they were made"
                )
        self.classes = tuple(info.get("classes", ()))
        self.languages = Languages(config.language, self.classes)
        self.spelling = Spelling(config.symbols, self.languages.known[0], info)
        # With attention a text stands alone, as in the original.
        self.end = len(self.spelling.alphabet) if config.decoder == "parallel" else None

    @classmethod
    def survey(cls, config: Config, domain: Any, split: Split) -> dict[str, Any]:
        """Facts of the training split: symbols and how transcripts are read, mels by band, pitch by speaker (`speech_facts`)."""
        check_given(config, split)
        spec = config.front_end(split.store.info["sample_rate"])
        found = speech_facts(split, spec, config.symbols, config.language)
        # A run that starts from an imported model takes the model's value of each fact that is named here.
        return {**found, "attention_shape": ""} if config.attention_size == "custom" else found

    def preview(self) -> tuple[int, Sampling]:
        """A few held-out transcripts."""
        return _PREVIEWS, Sampling()

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """Each text as one waveform (T,). ``extra``: the texts, log-mels (n_mels, F), and alignments (F, symbols).

        ConfigError for a text of which the model knows no character; a transcript of a recording is silence then.
        """
        given, seed = request.given, _seed(request)
        assert given is not None
        voice, texts, of_users = self._voice(networks, request), texts_of(given), "text" not in given.extra
        speakers, made = speakers_of(given, request.options, self.classes), []
        for i, (text, speaker) in enumerate(zip(texts, speakers, strict=True)):
            parts = [*voice.say(text, speaker, mix(seed, i))]
            if not parts and of_users:
                raise self.spelling.refuse(text)
            made.append(joined(parts or [voice.silence()]))
        extra = {
            "sample_rate": self.mel.sample_rate,
            "text": texts,
            "mel": [m.mel for m in made],
            "alignment": [m.alignment for m in made],
        }
        labels = torch.tensor([s or 0 for s in speakers]) if len(self.classes) > 1 else None
        waveforms = [m.waveform for m in made]
        return Samples(waveforms, labels=labels, classes=self.classes, names=given.names, extra=extra)

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """Texts sentence by sentence, each as soon as it is made; joined they are what `generate` makes."""
        voice, seed, number = self._voice(networks, request), _seed(request), 0
        for piece in pieces:
            speakers = speakers_of(piece, request.options, self.classes)
            names = piece.names or [str(number + i) for i in range(len(piece))]
            for text, speaker, name in zip(texts_of(piece), speakers, names, strict=True):
                spoken = False
                for part in voice.say(text, speaker, mix(seed, number)):
                    spoken = True
                    yield Samples([part.waveform], names=[name], extra={"sample_rate": self.mel.sample_rate})
                if not spoken:
                    raise self.spelling.refuse(text)
                number += 1

    def _voice(self, networks: Mapping[str, nn.Module], request: Request) -> Voice:
        longest = longest_text(self.info)
        return Voice(networks, self.mel, self.spelling, self.languages, request.options, longest, self.end, self.runs)


def _seed(request: Request) -> int:
    return int(request.noise.integers(2**62, 1)[0])
