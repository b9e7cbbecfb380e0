"""HiFi-GAN (Kong et al. 2020, arXiv:2010.05646): waveforms that periods and scales of discriminators cannot tell."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from polygan import Context, Player, Turn, ranged

from .data.facts import info_of
from .networks.discriminators import SIZES, Discriminators, multi_period, multi_resolution, multi_scale
from .networks.hifigan import HOP, VARIANTS, Generator, Shape, kernels_for, rates_for
from .normalising import set_statistics, statistics_of
from .vocoder import Vocoder, VocoderConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, Domain, Split, TrainerSettings


@dataclass(frozen=True, kw_only=True)
class Config(VocoderConfig):
    """What is trained; the defaults are the paper's."""

    variant: Literal["v1", "v2", "v3"] = "v1"
    """Size of the generator: 13.9, 0.9 or 1.5 million parameters (at 80 bands and a hop of 256)."""
    channels: int = ranged(0, "[0, inf)")
    """Channels of the generator's first layer; 0: the variant's (512, 128, 256)."""
    upsample_rates: tuple[int, ...] = ()
    """Upsampling factors, whose product is the hop length; empty: the variant's if they fit, else factors of the hop length."""
    upsample_kernels: tuple[int, ...] = ()
    """Sizes of the upsamplings' kernels; empty: twice the rates."""
    normalised: bool = False
    """Whether the generator takes the mean of each band from the mel and divides it by its deviation, as transformers' SpeechT5HifiGan
    may; both are measured in training clips and saved with the weights."""
    scales: Literal["waveform", "spectrogram", "none"] = "waveform"
    """Discriminators beside those of periods: of the waveform at three scales (the paper's), of spectrograms, which cost much
    less, or none."""
    discriminator_width: int = ranged(1, "1 or 2 or 4 or 8")
    """Channels of the discriminators are divided by it."""
    decay: float = ranged(0.999, "(0, 1]", hint="0.999 is the paper's")
    """The learning rate is multiplied by it after each epoch."""
    epoch: int = ranged(0, "[0, inf)")
    """Iterations of an epoch for the decay; 0: as many as batches in the data."""


class HiFiGAN(Vocoder[Config]):
    """HiFi-GAN (Kong et al. 2020), section 2: V1, V2 and V3."""

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 100_000, "batch_size": 16, "sample_every": 1000}
    first_options: ClassVar[tuple[str, ...]] = ("mel", "variant")
    shaping: ClassVar[tuple[str, ...]] = (
        "variant",
        "channels",
        "upsample_rates",
        "upsample_kernels",
        "normalised",
        "scales",
        "discriminator_width",
    )

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """As `Vocoder`; ConfigError where the upsampling does not give a hop."""
        super().__init__(config, info)
        self.shape = shape_for(config, self.mel.hop_length)
        if config.scales == "spectrogram":
            self.refuse_short_segments(max(SIZES) // 2, "the spectrogram discriminators")

    @classmethod
    def inherited(cls, config: Config, info: Mapping[str, Any]) -> dict[str, object]:
        """As `Vocoder`; sizes that the variant has are left to it, so that another variant is another network."""
        found, usual = super().inherited(config, info), VARIANTS[config.variant]
        if config.channels == usual.channels:
            found["model.channels"] = 0
        if (config.upsample_rates, config.upsample_kernels) == (usual.rates, usual.kernels):
            found |= {"model.upsample_rates": (), "model.upsample_kernels": ()}
        return found

    @classmethod
    def survey(cls, config: Config, domain: Domain, split: Split) -> dict[str, Any]:
        """The mean and the deviation of each band, where mels are normalised."""
        super().survey(config, domain, split)
        return statistics_of(config, domain, split) if config.normalised else {}

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator``: periods, and scales of the waveform or its spectrograms."""
        c = self.config
        families = {"periods": multi_period(c.discriminator_width)}
        if c.scales == "waveform":
            families["scales"] = multi_scale(c.discriminator_width)
        elif c.scales == "spectrogram":
            families["resolutions"] = multi_resolution(32 // c.discriminator_width)
        generator = Generator(self.shape, self.mel, normalised=c.normalised)
        if c.normalised:
            set_statistics(generator, self.info)
        return {"generator": generator, "discriminator": Discriminators(families)}

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Both have AdamW, whose rate falls after each epoch."""
        epoch = self._epoch(training)
        players = {}
        for name, module in networks.items():
            optimizer = self.optimizer(module)
            decay = torch.optim.lr_scheduler.StepLR(optimizer, epoch, self.config.decay)
            players[name] = Player(module, optimizer, decay)
        return players

    def _epoch(self, training: TrainerSettings) -> int:
        """Iterations after which the rate falls."""
        return self.config.epoch or max(1, info_of(self.info).get("count", 1) // training.batch_size)

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """As `Vocoder`, and where the learning rate all but ends before the run does."""
        found, epoch = [*super().notes(training), *self.warmup_notes(0, training)], self._epoch(training)
        left = self.config.decay ** (training.steps // epoch)
        if left >= 0.01:
            return found
        return (
            *found,
            f"The learning rate is multiplied by {self.config.decay:g} every {epoch} iterations. At step {training.steps:,} "
            f"it is {left:.0e} of what it was at first; set --model.epoch, e.g. to {max(1, training.steps // 1000)}.",
        )

    # The method

    def turns(self) -> list[Turn]:
        """``d`` over all discriminators, then, after their warm-up, ``g`` on the same fakes."""
        return [
            Turn("d", ("discriminator",), self.discriminator_loss),
            Turn("g", ("generator",), self.generator_loss, start=self.config.discriminator_warmup),
        ]

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Adversarial, feature matching and mel terms (Kong et al. 2020, eq. 6)."""
        fake = ctx.cache.pop("fake")
        return self.adversarial_terms(ctx, batch, fake) | self.mel_term(batch, fake)


def shape_for(config: Config, hop: int) -> Shape:
    """The generator's shape for a hop length in samples. ConfigError where nothing fits."""
    shape = VARIANTS[config.variant]
    rates = config.upsample_rates
    if not rates:
        fits = hop == HOP
        rates = shape.rates if fits else rates_for(hop, len(shape.rates))
        kernels = shape.kernels if fits else kernels_for(rates)
    else:
        kernels = kernels_for(rates)
    return dataclasses.replace(
        shape, channels=config.channels or shape.channels, rates=rates, kernels=config.upsample_kernels or kernels
    )
