"""Vocos (Siuzdak 2023, arXiv:2306.00814): a vocoder at the frame rate, small enough to train on two cores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from polygan import ConfigError, Context, Player, Turn, ranged

from . import losses
from .networks.discriminators import (
    PERIODS,
    SIZES,
    SMALL_PERIODS,
    SMALL_SIZES,
    Discriminators,
    multi_period,
    multi_resolution,
    small_multi_period,
    small_multi_resolution,
)
from .networks.griffinlim import FEW_UPDATES
from .networks.vocos import Generator
from .vocoder import Vocoder, VocoderConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, TrainerSettings

    from .networks.discriminators import Family, Features

_LONG = 0.05  # seconds of a window; the presets at their own rates have at most 46 ms, 64 ms at 16 kHz


@dataclass(frozen=True, kw_only=True)
class Config(VocoderConfig):
    """What is trained: small by default; the paper's generator has dim 512, hidden 1536, 8 blocks."""

    dim: int = ranged(256, "[1, inf)")
    """Channels of the ConvNeXt blocks."""
    hidden: int = ranged(768, "[1, inf)")
    """Width of the dense layers in the blocks."""
    blocks: int = ranged(6, "[1, inf)")
    """Number of ConvNeXt blocks."""
    pretrain_steps: int = ranged(15_000, "[0, inf)")
    """Iterations of mel and STFT terms alone before the discriminators come in."""
    prior: Literal["griffin-lim", "pseudo-inverse", "none"] = "griffin-lim"
    """What the network corrects: magnitudes and phases that Griffin and Lim's iterations find (cf. Masuyama et al. 2019), magnitudes
    alone that the mel filters' pseudo-inverse gives (Lv et al. 2024, FreeV), or nothing."""
    iterations: int = ranged(32, "[1, inf)")
    """Iterations of Griffin and Lim, with that prior."""
    updates: int = ranged(FEW_UPDATES, "[0, inf)")
    """Steps that bring magnitudes closer to the mel before these iterations."""
    stft_weight: float = ranged(20.0, "[0, inf)")
    """Weight of the multi-resolution STFT terms, which teach phases better than the mel does."""
    feature_weight: float = ranged(1.0, "[0, inf)")
    """Weight of feature matching."""
    period_weight: float = ranged(1.0, "[0, inf)")
    """Weight of the discriminators of periods; 0: there are none."""
    resolution_weight: float = ranged(0.1, "[0, inf)")
    """Weight of the discriminators of spectrograms; 0: there are none."""
    discriminators: Literal["small", "paper"] = "small"
    """Size of the discriminators; the paper's cost more than twenty times as much as the generator."""
    learning_rate: float = ranged(5e-4, "(0, 1]", usual="5e-4")
    """First learning rate of the generator, and of the discriminators unless they have their own; learning rates fall to 0 along a
    cosine (Siuzdak 2023, section 4)."""
    ema_half_life: float = ranged(0.0, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.period_weight and not self.resolution_weight:
            raise ConfigError(
                "model.period_weight and model.resolution_weight are both 0, which leaves no discriminator; for spectral terms alone "
                "set --model.pretrain_steps to the run's --steps"
            )


class Vocos(Vocoder[Config]):
    """Vocos (Siuzdak 2023), with spectral terms alone at first, which teach most of what two cores can afford."""

    Config: ClassVar[type] = Config
    # Segments longer than what the network sees: in short ones every frame is near an end, whose padding tells where it is.
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 20_000,
        "batch_size": 2,
        "data.segment": 32_768,
        "sample_every": 1000,
    }
    first_options: ClassVar[tuple[str, ...]] = ("mel", "pretrain_steps")
    shaping: ClassVar[tuple[str, ...]] = (
        "dim",
        "hidden",
        "blocks",
        "prior",
        "iterations",
        "updates",
        "discriminators",
        "period_weight",
        "resolution_weight",
    )

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """As `Vocoder`; ConfigError where segments are shorter than the spectrograms need."""
        super().__init__(config, info)
        self.refuse_short_segments(max(SIZES) // 2, "the spectrogram discriminators and the STFT terms")

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator``: of periods and of spectrograms, those that have a weight."""
        c = self.config
        generator = Generator(
            self.mel, c.dim, c.hidden, c.blocks, prior=c.prior, iterations=c.iterations, updates=c.updates
        )
        small = c.discriminators == "small"
        families: dict[str, Family] = {}
        if c.period_weight:
            families["periods"] = small_multi_period() if small else multi_period()
        if c.resolution_weight:
            families["resolutions"] = small_multi_resolution() if small else multi_resolution()
        return {"generator": generator, "discriminator": Discriminators(families)}

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Rates fall along a cosine: that of the discriminators from where they come in."""
        c, (generator, discriminator) = self.config, (networks["generator"], networks["discriminator"])
        return {
            "generator": Player(
                generator,
                *self._optimizer(generator, training.steps - c.discriminator_warmup),
                ema_half_life=c.ema_half_life,
            ),
            "discriminator": Player(discriminator, *self._optimizer(discriminator, training.steps - c.pretrain_steps)),
        }

    def _optimizer(
        self, module: nn.Module, steps: int
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """AdamW whose rate falls along a cosine over ``steps`` iterations of the module."""
        optimizer, steps = self.optimizer(module), max(1, steps)

        def factor(n: int) -> float:
            return 0.5 + 0.5 * math.cos(math.pi * min(1.0, n / steps))

        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """As `Vocoder`, where windows are long for Griffin-Lim's phases, and where the run ends before the game begins."""
        steps, begin = training.steps, self.config.pretrain_steps
        found = [*super().notes(training), *self._long(), *self.warmup_notes(begin, training)]
        if not 0 < steps <= begin:
            return found
        return (
            *found,
            f"The discriminators come in at step {begin:,} and this run ends at {steps:,}: they never play. Train for more --steps, "
            f"or lower --model.pretrain_steps, e.g. to {2 * steps // 3}.",
        )

    def _long(self) -> list[str]:
        """A note where the phases of the prior would be found better in shorter windows, and nothing says that the mels are given."""
        mel = self.mel
        if self.config.prior != "griffin-lim" or mel.win_length <= _LONG * mel.sample_rate or "mel_hop" in self.info:
            return []
        shorter = 2 ** int(math.log2(0.045 * mel.sample_rate))
        return [
            f"Windows of {1000 * mel.win_length / mel.sample_rate:.0f} ms are long for the Griffin-Lim prior: with shorter ones it finds better "
            f"phases, and sound comes out sooner. Unless mels of another program set them, take --model.n_fft {shorter} "
            f"--model.hop_length {shorter // 4}."
        ]

    # The method

    @property
    def weights(self) -> Sequence[float]:
        """The mean over the members of each family, as in the official code; families without a weight have no members."""
        c, small = self.config, self.config.discriminators == "small"
        p, r = (len(SMALL_PERIODS), len(SMALL_SIZES)) if small else (len(PERIODS), len(SIZES))
        families = ((c.period_weight, p), (c.resolution_weight, r))
        return [weight / count for weight, count in families if weight for _ in range(count)]

    def discriminator_terms(self, real: Features, fake: Features) -> dict[str, Tensor]:
        """Hinge."""
        return losses.hinge_discriminator_loss(real, fake, self.weights)

    def generator_term(self, fake: Features) -> Tensor:
        """Hinge."""
        return losses.hinge_generator_loss(fake, self.weights)

    def turns(self) -> list[Turn]:
        """``pretrain`` on spectra, then ``d``, and after its warm-up ``g``."""
        begin, warmup = self.config.pretrain_steps, self.config.discriminator_warmup
        game = [
            Turn("d", ("discriminator",), self.discriminator_loss, start=begin),
            Turn("g", ("generator",), self.generator_loss, start=begin + warmup),
        ]
        return [Turn("pretrain", ("generator",), self.spectral_loss, stop=begin), *game] if begin else game

    def spectral_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Mel and multi-resolution STFT terms."""
        return self._spectral_terms(batch, ctx["generator"](self.condition(batch)))

    def _spectral_terms(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        terms = self.mel_term(batch, fake)
        if self.config.stft_weight:
            convergence, logarithm = losses.stft_loss(batch["waveform"], fake)
            terms["stft"] = self.config.stft_weight * (convergence + logarithm)
        return terms

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Adversarial and feature matching terms beside the spectral ones."""
        fake = ctx.cache.pop("fake")
        return self.adversarial_terms(ctx, batch, fake) | self._spectral_terms(batch, fake)
