"""What all vocoders share: settings of the front end, the game's terms, re-synthesis of recordings."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar
from weakref import ref

import torch
from torch import Tensor, nn

from polygan import Checked, ConfigError, Context, DataError, Domain, Recipe, Samples, Split, ranged

from . import losses
from .data.encoding import Encoding  # noqa: TC001 - typing.get_type_hints reads the class
from .data.facts import AudioExtra, extra_of, info_of
from .data.made_mels import refuse_other_front_end
from .front_end import MelConfig
from .mel_scales.training import check_given
from .mel_scales.values import Watched
from .networks import melspec
from .networks.discriminators import Discriminators
from .networks.frontend import FrontEnd
from .synthesis import Synthesis, Synthesiser, mel_stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from polygan import Batch, Noise, Request, TrainerSettings

    from .networks.discriminators import Features

_LOGGER = logging.getLogger("polygan")
_PREVIEWS = 6  # held-out recordings in the report
_SEEDS = 2**62
_SEEN = 0.65  # share of the frequencies that a mel shows at least; 8 kHz of 11 kHz are usual


@dataclass(frozen=True, kw_only=True)
class VocoderConfig(MelConfig):
    """The mel front end, optimizers, and the weights of the generator's terms."""

    learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """Learning rate of the generator, and of the discriminators unless they have their own."""
    discriminator_learning_rate: float = ranged(0.0, "[0, 1]", usual=0)
    """Learning rate of the discriminators; 0: the generator's."""
    beta1: float = ranged(0.8, "[0, 1)", usual=0.8)
    """Decay of the mean gradient."""
    beta2: float = ranged(0.99, "[0, 1)", usual=0.99)
    """Decay of the mean squared gradient."""
    weight_decay: float = ranged(0.01, "[0, inf)")
    """Decoupled weight decay (AdamW)."""
    feature_weight: float = ranged(2.0, "[0, inf)")
    """Weight of feature matching (Kong et al. 2020, section 2.4)."""
    mel_weight: float = ranged(45.0, "[0, inf)")
    """Weight of the mean absolute log-mel difference (Kong et al. 2020, section 2.4)."""
    discriminator_warmup: int = ranged(0, "[0, inf)")
    """Iterations before the game in which the discriminators alone learn and the generator stays as it is: for fine-tuning a trained
    generator (--init_from) with discriminators that begin anew."""


@dataclass(frozen=True, kw_only=True)
class Sampling(Checked):
    """How sound is made."""

    chunk: int | None = ranged(None, "[1, inf)")
    """Frames that the network sees at a time; smaller ones sound sooner, larger ones are faster. None: 512 for HiFi-GAN, 1024 for Vocos,
    16 for Parallel WaveGAN."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """auto: bf16 where the hardware multiplies it."""
    latency: Literal["usual", "low"] = "usual"
    """low: sound comes as soon after its mel as the network allows, for more computing; a line says after how many ms."""
    encoding: Encoding = "pcm16"
    """Samples of written files: pcm16 or pcm24 bits, or float, 32-bit floats that nothing clips."""


C = TypeVar("C", bound=VocoderConfig)


class Vocoder(Recipe[C]):
    """A generator from log-mel to waveform, and discriminators of waveforms."""

    domain = "audio"
    given = "audio"
    Sampling: ClassVar[type] = Sampling
    shaping: ClassVar[tuple[str, ...]] = ()
    """The settings, beside those of the front end, that decide the shape of the networks."""
    seeded: ClassVar[bool] = False
    """Whether the generator hears noise, so that another seed gives another sound."""

    def __init__(self, config: C, info: Mapping[str, Any]) -> None:
        """``info``: sample_rate (Hz), segment (samples), and n_mels, mel_hop of given mels. ConfigError if they do not fit."""
        super().__init__(config, info)
        self._kept: tuple[ref[nn.Module], object, Synthesis] | None = None
        facts = info_of(info)
        rate = facts["sample_rate"]
        self.mel = mel = config.front_end(rate)
        self._watched = Watched(mel)
        self.loss_mel = melspec.resolve(config.mel, rate, **config.numbers() | {"fmax": rate / 2})
        segment, hop = facts["segment"], mel.hop_length
        if not segment:
            raise ConfigError(
                f"a vocoder is trained on segments, and data.segment = 0 means whole clips; use e.g. --data.segment {32 * hop}"
            )
        if segment % hop or segment <= mel.pad:
            least = mel.pad // hop + 1
            raise ConfigError(
                f"data.segment = {segment} samples are {segment / hop:g} hops of {hop}, and must be a whole number of at least "
                f"{least}; use e.g. --data.segment {max(least, round(segment / hop)) * hop}"
            )
        for name, mine in (("n_mels", mel.n_mels), ("mel_hop", hop)):
            if info.get(name, mine) != mine:
                raise ConfigError(
                    f"the given mels (data.mels) have {name} = {info[name]}, the front end has {mine}; set --model.n_mels and "
                    "--model.hop_length as they were made"
                )
        refuse_other_front_end(info, mel)

    @classmethod
    def inherited(cls, config: C, info: Mapping[str, Any]) -> dict[str, object]:
        """The front end, the sample rate, the segment, and what `shaping` names."""
        facts = info_of(info)
        rate, spec = facts["sample_rate"], config.front_end(facts["sample_rate"])
        numbers = {name: getattr(spec, name) for name in config.numbers()}
        model = {"mel": config.mel, **numbers, **{name: getattr(config, name) for name in cls.shaping}}
        data = {"sample_rate": rate, "segment": facts["segment"], "hop_length": spec.hop_length}
        return {**{f"model.{k}": v for k, v in model.items()}, **{f"data.{k}": v for k, v in data.items()}}

    def warmup_notes(self, begin: int, training: TrainerSettings) -> list[str]:
        """Where the run ends before the generator plays; ``begin``: the step at which the discriminators come in."""
        start = begin + self.config.discriminator_warmup
        if not self.config.discriminator_warmup or training.steps > start:
            return []
        return [
            f"The generator stays as it is until step {start:,} (--model.discriminator_warmup {self.config.discriminator_warmup}), and "
            f"this run ends at {training.steps:,}: it never learns in the game. Train for more --steps, or lower the warm-up."
        ]

    @classmethod
    def survey(cls, config: C, domain: Domain, split: Split) -> dict[str, Any]:
        """No facts. ConfigError where given mels are on another scale than the front end's (`check_given`)."""
        check_given(config, split)
        return {}

    def refuse_short_segments(self, pad: int, what: str) -> None:
        """ConfigError where segments cannot be padded by reflecting ``pad`` samples."""
        segment, hop = info_of(self.info)["segment"], self.mel.hop_length
        if segment <= pad:
            raise ConfigError(
                f"data.segment = {segment} samples are too short for {what}, which reflect {pad} at each end; use at least "
                f"--data.segment {(pad // hop + 1) * hop}"
            )

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """Where the mel ends far below half the sample rate, so that nothing tells what lies above."""
        top, half = self.mel.top, self.mel.sample_rate / 2
        if top >= _SEEN * half:
            return ()
        return (
            f"The mel ends at {top:,.0f} Hz, and sound of {self.mel.sample_rate:,} Hz reaches {half:,.0f} Hz: what lies above the mel is "
            "guessed, and mel distance and PESQ do not see it. For the whole band take --model.mel bigvgan_44k, or --model.mel vocos_48k, "
            f"or --model.fmax {half:.0f} with more --model.n_mels.",
        )

    # The game's terms

    @property
    def weights(self) -> Sequence[float] | None:
        """The weight of each discriminator in the game; None: 1 each."""
        return None

    def condition(self, batch: Batch) -> Tensor:
        """What the generator is given: the batch's log-mel (B, n_mels, T / hop_length), computed unless the data brings mels."""
        if "mel" in batch:
            return batch["mel"]
        return self.mel(batch["waveform"])[..., : batch["waveform"].shape[-1] // self.mel.hop_length]

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """`discriminator_terms` of all members, real and fake in one pass; the fakes are kept for the generator's turn."""
        with ctx.graph_of("generator"):
            fake = ctx["generator"](self.condition(batch))
        ctx.cache["fake"] = fake
        real, made = _halves(ctx["discriminator"](torch.cat([batch["waveform"], fake.detach()])))
        return self.discriminator_terms(real, made)

    def discriminator_terms(self, real: Features, fake: Features) -> dict[str, Tensor]:
        """Least squares."""
        return losses.discriminator_loss(real, fake)

    def generator_term(self, fake: Features) -> Tensor:
        """Least squares."""
        return losses.generator_loss(fake)

    def adversarial_terms(self, ctx: Context, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """What the discriminators say of fakes (B, T), and feature matching."""
        with torch.no_grad():
            real = ctx["discriminator"](batch["waveform"])
        made = ctx["discriminator"](fake)
        terms = {"adversarial": self.generator_term(made)}
        if self.config.feature_weight:
            terms["features"] = self.config.feature_weight * losses.feature_matching(real, made, self.weights)
        return terms

    def mel_term(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """45 E |log-mel(x) - log-mel(G(s))| up to half the sample rate (Kong et al. 2020, eq. 3)."""
        difference = self.loss_mel(fake) - self.loss_mel(batch["waveform"])
        return {"mel": self.config.mel_weight * difference.abs().mean()}

    def optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        """AdamW with the configured numbers."""
        c = self.config
        rate = c.learning_rate
        if isinstance(module, Discriminators):
            rate = c.discriminator_learning_rate or rate
        return torch.optim.AdamW(module.parameters(), rate, (c.beta1, c.beta2), weight_decay=c.weight_decay)

    # Re-synthesis

    def preview(self) -> tuple[int, Sampling]:
        """A few held-out recordings."""
        return _PREVIEWS, Sampling()

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """Recordings by way of their log-mels, each as long as it was; mels alone are decoded."""
        given = request.given
        assert given is not None
        extra = extra_of(given)
        self._check_rate(extra)
        synthesise, mels, made = self.synthesiser(networks, request.options), extra.get("mel"), []
        seeds = self.seeds(request.noise, len(given.data))
        for i, waveform in enumerate(given.data):
            padded = nn.functional.pad(waveform, (0, -len(waveform) % self.mel.hop_length))
            heard = mel_stream(self.mel, [padded]) if mels is None else [self._checked(mels[i], given, i)]
            sound = [*synthesise.stream(heard, seeds[i])]
            if len(waveform) or mels is None:
                sound = [torch.cat([*sound, torch.zeros(len(waveform))])[: len(waveform)]]
            made.append(torch.cat(sound))
        kept = AudioExtra(**{**extra, "front_end": self.mel, "encoding": request.options.encoding})
        return Samples(made, names=given.names, extra=dict(kept))

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """One recording or mel, piece by piece, in memory that does not depend on its length; whole hops of sound."""
        first = next(pieces, None)
        if first is None:
            return
        self._check_rate(extra_of(first))
        heard = self._mels_of(first, pieces)
        (seed,) = self.seeds(request.noise, 1)
        synthesiser, rate = self._kept_synthesiser(networks, request), self.mel.sample_rate
        if request.options.latency == "low":
            frames, hop = synthesiser.delay, self.mel.hop_length
            _LOGGER.info("sound comes at most %.0f ms after its mel (%d frames)", 1000 * frames * hop / rate, frames)
        for sound in synthesiser.stream(heard, seed):
            extra = AudioExtra(sample_rate=rate, encoding=request.options.encoding)
            yield Samples([sound], names=first.names, extra=dict(extra))

    def seeds(self, noise: Noise, n: int) -> list[int]:
        """A seed of noise for each of ``n`` recordings, which does not depend on ``n``; zeros where no noise is heard."""
        return noise.integers(_SEEDS, n).tolist() if self.seeded else [0] * n

    def synthesiser(self, networks: Mapping[str, nn.Module], options: Sampling) -> Synthesis:
        """What makes sound of mels, in pieces, by the generator among ``networks``."""
        generator = networks["generator"]
        assert isinstance(generator, FrontEnd)
        return Synthesiser(generator, options.chunk, options.precision, prompt=options.latency == "low")

    def _kept_synthesiser(self, networks: Mapping[str, nn.Module], request: Request) -> Synthesis:
        """The synthesiser of the file before, if generator, options and device are the same: a new copy takes as long as a short sound."""
        generator, how = networks["generator"], (request.options, request.device)
        if self._kept is not None and self._kept[0]() is generator and self._kept[1] == how:
            self._kept[2].refresh(generator)
        else:
            self._kept = ref(generator), how, self.synthesiser(networks, request.options)
        return self._kept[2]

    def _check_rate(self, extra: AudioExtra) -> None:
        rate = extra["sample_rate"]
        if rate != self.mel.sample_rate:
            raise ConfigError(f"recordings of {rate} Hz and a vocoder of {self.mel.sample_rate} Hz; resample them")

    def _mels_of(self, first: Samples, more: Iterator[Samples]) -> Iterator[Tensor]:
        """Log-mels (n_mels, f) that follow each other, of the pieces of one recording or of given mels."""
        pieces = chain([first], more)
        if "mel" in first.extra:
            return (
                self._checked(m, piece, i) for piece in pieces for i, m in enumerate(extra_of(piece).get("mel", ()))
            )
        return mel_stream(self.mel, _padded((w for piece in pieces for w in piece.data), self.mel.hop_length))

    def _checked(self, mel: Tensor, given: Samples, index: int) -> Tensor:
        """A given mel. DataError where it has other bands than the front end, or a file's values prove another scale."""
        if mel.shape[0] != self.mel.n_mels:
            name = f"mel {given.names[index]}" if given.names else f"given mel {index}"
            name += f" ({given.origins[index]})" if given.origins else ""
            turned = mel.shape[1] == self.mel.n_mels
            remedy = (
                "it lies the other way round, save [bands, frames]" if turned else "make it with the same front end"
            )
            raise DataError(f"{name} has {mel.shape[0]} bands, this vocoder takes {self.mel.n_mels}; {remedy}")
        if given.names and self.info.get("mels_scale") != "keep":
            self._watched.look(mel, str(given.names[index]))
        return mel


def _padded(blocks: Iterable[Tensor], hop: int) -> Iterator[Tensor]:
    """Blocks (t,) of a waveform, and silence to a whole number of hops."""
    total = 0
    for block in blocks:
        total += len(block)
        yield block
    yield torch.zeros(-total % hop)


def _halves(features: Features) -> tuple[Features, Features]:
    """Features of the first and of the second half of the batch."""
    pairs = [[m.chunk(2) for m in member] for member in features]
    return [[a for a, _ in member] for member in pairs], [[b for _, b in member] for member in pairs]
