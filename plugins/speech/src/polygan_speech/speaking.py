"""From texts to sound with a trained model: sentence by sentence, each spoken alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from polygan import ConfigError, did_you_mean, mix
from polygan_audio import vocoding

from .aligning.forward_sum import posteriors
from .generator import Generator
from .parallel.network import Parallel
from .text.sentences import sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from polygan import Samples
    from polygan_audio.networks.melspec import MelSpec

    from .settings import Sampling
    from .text.languages import Languages
    from .text.spelling import Spelling

LONGEST = 200
"""Characters of a sentence that is spoken at once, at most; a model of short clips has fewer."""


SEMITONE = 0.0577622650
"""ln 2 / 12."""


def longest_text(info: Mapping[str, Any]) -> int:
    """Characters of a sentence that a model speaks at once, from the facts of its training split."""
    return min(LONGEST, max(40, int(info.get("longest_text", 200))))


def most_frames(spec: MelSpec, seconds: float) -> int:
    """Frames of the longest sentence."""
    return max(1, int(seconds * spec.sample_rate / spec.hop_length))


class Spoken(NamedTuple):
    """A sentence that was spoken."""

    waveform: Tensor
    """(F * hop_length,) float32 in [-1, 1], on the CPU."""
    mel: Tensor
    """(n_mels, F) log-mel."""
    alignment: Tensor
    """(F, S): how much each frame is of each symbol."""


class Voice:
    """A model made ready to speak: its networks, how it reads, and from mels to sound."""

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        spec: MelSpec,
        spelling: Spelling,
        languages: Languages,
        options: Sampling,
        longest_text: int,
        end: int | None,
        runs: Path | None = None,
    ) -> None:
        """``longest_text``: as `longest_text`; ``end``: the number around each text, or None; ``runs``: where a
        vocoder that is named without a path is looked for, too.

        ConfigError for a language of ``options`` that is none of ``languages``.
        """
        generator = networks["generator"]
        assert isinstance(generator, Generator)
        self.generator, self.aligner = generator, networks.get("aligner")
        self.spec, self.options, self.end = spec, options, end
        self.languages, self.spellings = languages, [spelling.of(name) for name in languages.known]
        self._asked = languages.number(options.language) if options.language else None
        self.most = longest_text
        self.device = generator.mel_mean.device
        self.decode: Callable[[Tensor], Tensor] = vocoding.decoder(options.vocoder, spec, self.device, runs)

    def say(self, text: str, speaker: int | None, seed: int) -> Iterator[Spoken]:
        """The sentences of a text, each as soon as it is made, with the pause that follows another one in front.

        Yields nothing where the model knows no character of the text. The same seed gives the same sound.
        """
        first, language = True, self.language_of(speaker)
        spelling = self.spellings[language]
        for number, sentence in enumerate(sentences(spelling.written(text), self.most)):
            ids = spelling.encode(sentence)
            if not any(ids):
                continue
            mel, alignment = self._mel(ids, speaker, language, mix(seed, number))
            sound = self.decode(mel)
            yield Spoken(sound, mel, alignment) if first else self._after_a_pause(Spoken(sound, mel, alignment))
            first = False

    def language_of(self, speaker: int | None) -> int:
        """The number of the language that a speaker's text is read in: the one of ``options``, else the speaker's own."""
        return self.languages.of_speakers[speaker or 0] if self._asked is None else self._asked

    def silence(self) -> Spoken:
        """A tenth of a second of silence, for a text of which nothing can be spoken."""
        frames = max(2, round(0.1 * self.spec.sample_rate / self.spec.hop_length))
        mel = torch.full((self.spec.n_mels, frames), self.spec.silence)
        return Spoken(torch.zeros(frames * self.spec.hop_length), mel, torch.ones(frames, 1))

    def _after_a_pause(self, spoken: Spoken) -> Spoken:
        frames = round(self.options.pause * self.spec.sample_rate / self.spec.hop_length)
        mel = torch.full((self.spec.n_mels, frames), self.spec.silence)
        return Spoken(
            torch.cat([torch.zeros(frames * self.spec.hop_length), spoken.waveform]),
            torch.cat([mel, spoken.mel], 1),
            torch.cat([torch.zeros(frames, spoken.alignment.shape[1]), spoken.alignment]),
        )

    def _mel(self, ids: list[int], speaker: int | None, language: int, seed: int) -> tuple[Tensor, Tensor]:
        """The log-mel (n_mels, F) of a sentence's numbers, and its alignment (F, S), on the CPU."""
        numbers = ids if self.end is None else [self.end, *ids, self.end]
        given = torch.tensor([numbers], device=self.device)
        who = None if speaker is None else torch.tensor([speaker], device=self.device)
        read = torch.tensor([language], device=self.device) if len(self.languages) > 1 else None
        o, network, most = self.options, self.generator.network, most_frames(self.spec, self.options.longest)
        if isinstance(network, Parallel):
            semitones = o.pitch * SEMITONE / float(self.generator.pitch_deviation[speaker or 0])
            made, durations = network.speak(given, who, o.pace, semitones, read)
            made = made[..., :most]
            alignment = self._heard(given, made, who, durations)
        else:
            source = torch.Generator("cpu").manual_seed(seed)
            post, alignment = network.infer(given, source, who, most, language=read)  # pyright: ignore[reportCallIssue]
            made = post[None]
        mel = self.generator.mel(made)[0].clamp(min=self.spec.silence)
        return mel.float().cpu(), alignment.float().cpu()

    def _heard(self, ids: Tensor, mel: Tensor, speaker: Tensor | None, durations: Tensor) -> Tensor:
        """Which symbols the aligner hears in a normalised mel (1, n_mels, F), in their order but without a preference for the diagonal.

        These are (F, S) posteriors of a hidden Markov model; the planned ``durations`` where there is no aligner, or too few frames.
        """
        if self.aligner is None or mel.shape[2] < ids.shape[1]:
            return torch.repeat_interleave(torch.eye(ids.shape[1], device=ids.device), durations[0], 0)[: mel.shape[2]]
        tokens, frames = (torch.tensor([n], device=ids.device) for n in (ids.shape[1], mel.shape[2]))
        return posteriors(self.aligner(ids, tokens, mel, frames, speaker, prior=False), frames, tokens)[1][0]


def joined(parts: Sequence[Spoken]) -> Spoken:
    """The sentences of a text as one; alignments stand along the diagonal."""
    return Spoken(
        torch.cat([part.waveform for part in parts]),
        torch.cat([part.mel for part in parts], 1),
        torch.block_diag(*(part.alignment for part in parts)),
    )


def speakers_of(given: Samples, options: Any, classes: Sequence[str]) -> list[int | None]:
    """Who speaks each given sample: the speaker that the options name, else that of the recording, for models of several voices.

    ConfigError for a speaker that there is not, and where several voices are known and none is named.
    """
    name = options.speaker
    if len(classes) < 2:
        if name and name not in classes:
            raise ConfigError(f"speaker = {name!r}: this model has one voice; leave --speaker out")
        return [None] * len(given)
    if name in classes:
        return [list(classes).index(name)] * len(given)
    if name.isdecimal() and int(name) < len(classes):
        return [int(name)] * len(given)
    known = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    if name:
        raise ConfigError(f"speaker = {name!r}: no such voice{did_you_mean(name, classes)}; there are {known}")
    if given.labels is None:
        raise ConfigError(f"this model has several voices; name one with --speaker: {known}")
    return [int(label) for label in given.labels]
