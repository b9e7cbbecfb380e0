"""Voice conversion without its game: the data it takes, the facts of voices, and how recordings are converted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch

from polygan import ConfigError, Recipe, Samples, Sides, class_index
from polygan_audio import vocoding
from polygan_audio.data.facts import extra_of, info_of

from .making import Converter, sound_of
from .settings import Config, Sampling
from .transcripts import heard
from .voices import Voices, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

    from polygan import Domain, Request, Split

_PREVIEWS = 6  # held-out recordings in the report


class Conversion(Recipe[Config]):
    """Recordings of one speaker in the voice of another, by a generator of mels and a vocoder."""

    domain = "audio"
    given = "audio"
    Config: ClassVar[type] = Config
    Sampling: ClassVar[type] = Sampling
    keeps_time: ClassVar[bool] = False
    """A conversion has the frames of its source, but it is compared with the other speaker's recordings."""

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: sample_rate, segment 0, classes (speakers), and the facts of `survey`. ConfigError for other data."""
        super().__init__(config, info)
        facts = info_of(info)
        self.mel = config.front_end(facts["sample_rate"])
        self.speakers = tuple(info.get("classes") or ())
        if len(self.speakers) < 2:
            found = f"one speaker, {self.speakers[0]}" if self.speakers else "no speakers"
            raise ConfigError(
                f"audio/voice-conversion learns from two speakers or more, and this data has {found}; put each speaker's recordings "
                "into a folder of its own below --data and type --data.speakers folders"
            )
        if facts.get("segment"):
            raise ConfigError(
                f"data.segment = {facts['segment']}: audio/voice-conversion takes whole clips, whose transcripts it reads; "
                "type --data.segment 0"
            )
        self.voices = Voices.of_info(info, self.mel, self.speakers)
        symbols = str(info.get("symbols") or "")
        self.alphabet = heard(symbols) if symbols and config.recogniser_steps and config.content else None

    @classmethod
    def survey(cls, config: Config, domain: Domain, split: Split) -> Mapping[str, Any]:
        """Mean and deviation of log-mels by speaker and band, and of ln F0 by speaker (`Voices`)."""
        del domain
        info = split.store.info
        spec, speakers = config.front_end(info["sample_rate"]), info.get("classes") or ()
        return survey(spec, split, speakers) if "label" in split.store.fields else {}

    def preview(self) -> tuple[int, Sampling]:
        """A few held-out recordings of the first speaker."""
        return _PREVIEWS, Sampling()

    def sides(self, options: Sampling) -> Sides:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The speaker that is given and the one that is made: from the first to the second where ``options`` name nobody."""
        made = self._index("speaker", options.speaker)
        given = self._index("source", options.source)
        made = (1 if given != 1 else 0) if made is None else made
        given = (0 if made else 1) if given is None else given
        return Sides(self.speakers[given], self.speakers[made])

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """Recordings in the voice of another speaker, each as long as it was, with its mel in ``extra["mel"]``."""
        given = request.given
        assert given is not None
        decode = self._decoder(request, extra_of(given)["sample_rate"])
        sounds, mels = [], []
        for i, waveform in enumerate(self._recordings(given)):
            label = None if given.labels is None else int(given.labels[i])
            converter = self._converter(networks, request.options, label)
            mel = torch.cat([*converter.stream(_whole(iter([waveform]), self.mel.hop_length))], 1)
            sound = torch.cat([*sound_of([mel], decode, self.mel.hop_length)])
            sounds.append(sound[: len(waveform)])
            mels.append(mel)
        extra = {k: v for k, v in given.extra.items() if k != "mel"} | {"mel": mels}
        return Samples(sounds, names=given.names, extra=extra)

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """One recording, piece by piece, in memory that does not depend on its length; whole hops of sound."""
        first = next(pieces, None)
        if first is None:
            return
        hop = self.mel.hop_length
        decode = self._decoder(request, extra_of(first)["sample_rate"])
        converter = self._converter(networks, request.options, None)
        for sound in sound_of(converter.stream(_whole(self._blocks(first, pieces), hop)), decode, hop):
            yield Samples([sound], names=first.names, extra={"sample_rate": self.mel.sample_rate})

    def _blocks(self, first: Samples, more: Iterator[Samples]) -> Iterator[Tensor]:
        yield from self._recordings(first)
        for piece in more:
            yield from self._recordings(piece)

    def _recordings(self, given: Samples) -> Iterator[Tensor]:
        """Waveforms (T,); a mel that was given alone becomes sound first, in which its pitch is found."""
        mels = extra_of(given).get("mel", ())
        for i, waveform in enumerate(given.data):
            yield waveform if len(waveform) or not mels else self._sound_of(mels[i])

    def _sound_of(self, mel: Tensor) -> Tensor:
        if mel.shape[0] != self.mel.n_mels:
            raise ConfigError(
                f"a given mel has {mel.shape[0]} bands, this model takes {self.mel.n_mels}; save [bands, frames] of the same front end"
            )
        return vocoding.decoder(vocoding.GRIFFIN_LIM, self.mel)(mel)

    def _decoder(self, request: Request, rate: int) -> Callable[[Tensor], Tensor]:
        if rate != self.mel.sample_rate:
            raise ConfigError(f"recordings of {rate} Hz and a model of {self.mel.sample_rate} Hz; resample them")
        return vocoding.decoder(request.options.vocoder, self.mel, request.device, self.runs)

    def _converter(self, networks: Mapping[str, nn.Module], options: Sampling, label: int | None) -> Converter:
        """From the speaker ``label``, or the one that ``options`` name, to the one that ``options`` name."""
        generator = networks["generator"]
        target, source = self._index("speaker", options.speaker), self._index("source", options.source)
        source = label if source is None else source
        two = len(self.speakers) == 2
        if target is None and not two and label is None:
            raise ConfigError(f"name the speaker to convert to with --speaker; there are {', '.join(self.speakers)}")
        if target is None:
            target = 1 if source != 1 else 0
        if source is None and two:
            source = 1 - target
        return Converter(generator, -1 if source is None else source, target)  # pyright: ignore[reportArgumentType]

    def _index(self, option: str, name: str) -> int | None:
        """The number of a speaker; None for the empty name. ConfigError that lists all for an unknown one."""
        try:
            return class_index(name or None, self.speakers)
        except ConfigError as error:
            raise ConfigError(str(error).replace("label =", f"{option} =").replace("class", "speaker")) from None


def _whole(blocks: Iterator[Tensor], hop: int) -> Iterator[Tensor]:
    """Blocks of a recording, and silence to a whole number of hops."""
    total = 0
    for block in blocks:
        total += len(block)
        yield block
    yield torch.zeros(max(hop - total, -total % hop))
