"""What a recipe that speaks texts has, whatever its networks: the facts that it needs, and speech by its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from polygan import ConfigError, Recipe, Samples, mix
from polygan_audio.data.made_mels import refuse_other_front_end
from polygan_audio.mel_scales.training import check_given

from .facts import speech_facts
from .recorded_mels import write_mels
from .settings import Config, Sampling
from .speaking import Voice, joined, longest_text, speakers_of
from .teacher_forcing import Clip, spoken_again
from .text.given import texts_of
from .text.languages import Languages
from .text.spelling import Spelling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from polygan import Request, Split

    from .speaking import Spoken

_PREVIEWS = 6  # held-out texts in the report
_NO_RECORDINGS = (
    "prosody = recorded needs recordings with their transcripts, and these are texts alone; name their folder (metadata.csv and wavs/) "
    "with --input, or leave --prosody out"
)


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
        refuse_other_front_end(info, mel)
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

        With ``prosody`` recorded the texts are those of recordings, whose timing, pitch and energy are kept (`spoken_again`).
        ConfigError for a text of which the model knows no character; a transcript of a recording is silence then. ConfigError
        where the prosody of recordings is asked for and there are none.
        """
        given, seed = request.given, _seed(request)
        assert given is not None
        voice, texts = self._voice(networks, request.options), texts_of(given)
        speakers = speakers_of(given, request.options, self.classes)
        if request.options.prosody == "recorded":
            made = spoken_again(voice, self._clips(given, texts, speakers), seed)
        else:
            of_users = "text" not in given.extra
            made = [
                self._spoken(voice, text, speaker, mix(seed, i), of_users)
                for i, (text, speaker) in enumerate(zip(texts, speakers, strict=True))
            ]
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
        if request.options.prosody == "recorded":
            raise ConfigError(_NO_RECORDINGS)
        voice, seed, number = self._voice(networks, request.options), _seed(request), 0
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

    def convert_data(
        self, run: Any, source: Path, out: str | Path, format: str, seed: int, options: Sampling
    ) -> list[Path] | None:
        """With ``prosody`` recorded: a mel NAME.npy for each recording of ``source``, as ``--data.mels`` reads it (`recorded_mels`)."""
        if options.prosody != "recorded":
            return None
        if format not in ("", "npy"):
            raise ConfigError(
                f"format = {format!r}: with prosody = recorded each recording gets a mel NAME.npy; leave --format out"
            )
        if options.vocoder != Sampling.vocoder:
            raise ConfigError(
                f"vocoder = {options.vocoder!r}: with prosody = recorded mels are written and no sound; leave --vocoder out"
            )
        voice = self._voice(run.networks, options)
        return write_mels(run, voice, self.classes, source, out, seed)

    def _spoken(self, voice: Voice, text: str, speaker: int | None, seed: int, of_user: bool) -> Spoken:
        """One text. ConfigError where nothing of a user's text can be spoken; a transcript is silence then."""
        parts = [*voice.say(text, speaker, seed)]
        if not parts and of_user:
            raise self.spelling.refuse(text)
        return joined(parts or [voice.silence()])

    def _clips(self, given: Samples, texts: Sequence[str], speakers: Sequence[int | None]) -> list[Clip]:
        """Given recordings. ConfigError for texts alone, and for another sample rate."""
        if not all(isinstance(waveform, torch.Tensor) for waveform in given.data):
            raise ConfigError(_NO_RECORDINGS)
        if (rate := given.extra["sample_rate"]) != self.mel.sample_rate:
            raise ConfigError(f"recordings of {rate} Hz and a model of {self.mel.sample_rate} Hz; resample them")
        return [Clip(t, w.float().cpu(), s) for t, w, s in zip(texts, given.data, speakers, strict=True)]

    def _voice(self, networks: Mapping[str, nn.Module], options: Sampling) -> Voice:
        longest = longest_text(self.info)
        return Voice(networks, self.mel, self.spelling, self.languages, options, longest, self.end, self.runs)


def _seed(request: Request) -> int:
    return int(request.noise.integers(2**62, 1)[0])
