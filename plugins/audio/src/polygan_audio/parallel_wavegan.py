"""Parallel WaveGAN (Yamamoto et al. 2020, arXiv:1910.11480): a WaveNet without recurrence that turns noise into speech."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
from torch import Tensor

from polygan import ConfigError, Context, Player, Turn, ranged

from . import losses
from .cached import CachedSynthesiser
from .data.facts import info_of
from .networks.griffinlim import FEW_UPDATES
from .networks.hifigan import rates_for
from .networks.parallel_wavegan import Discriminator, Generator, Shape
from .normalising import set_statistics, statistics_of
from .vocoder import Sampling, Vocoder, VocoderConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from polygan import Batch, Domain, Split, TrainerSettings

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""n_fft, hop and window in samples (Yamamoto et al. 2020, table 1)."""
SIZES: Mapping[str, Shape] = {
    "original": Shape(),
    "small": Shape(layers=12, stacks=1, channels=32, gates=64, skips=32),
    "streaming": Shape(layers=12, stacks=1, channels=32, gates=64, skips=32, causal=True),
}
_EPSILON = 1e-6  # of RAdam
_GENERATOR_CLIP, _DISCRIMINATOR_CLIP = 10.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Config(VocoderConfig):
    """What is trained; the defaults are the paper's and the reference implementation's."""

    mel: Literal["hifigan", "tacotron2", "vocos", "parallel_wavegan", "speecht5", "bigvgan_44k", "vocos_48k"] = (
        "parallel_wavegan"
    )
    """Preset of the mel front end, at the data's sample rate."""
    size: Literal["original", "small", "streaming"] = "original"
    """Size of the generator: 30 layers of 64 channels, or 12 of 32 for small machines; streaming: the small one, causal."""
    excitation: Literal["noise", "griffin-lim"] = "noise"
    """What the generator turns into speech: noise, or the Griffin-Lim waveform of the mel, to which its result is added."""
    iterations: int = ranged(32, "[1, inf)")
    """Iterations of the Griffin-Lim excitation."""
    updates: int = ranged(FEW_UPDATES, "[0, inf)")
    """Steps that bring the excitation's magnitudes closer to the mel; with 60 iterations and 100 steps the excitation is what
    audio/griffin-lim makes."""
    causal: bool = False
    """Whether no sample depends on later excitation or on later frames of the mel, for synthesis without delay."""
    layers: int = ranged(0, "[0, inf)")
    """Dilated layers of the generator; 0: the size's."""
    stacks: int = ranged(0, "[0, inf)")
    """Groups of layers, in each of which dilations double from 1 on; 0: the size's."""
    channels: int = ranged(0, "[0, inf)")
    """Channels of the generator's layers; 0: the size's."""
    gates: int = ranged(0, "[0, inf)")
    """Channels that the dilated convolutions make; 0: twice the channels."""
    skips: int = ranged(0, "[0, inf)")
    """Channels of the sum that becomes sound; 0: as many as channels."""
    upsample_scales: tuple[int, ...] = ()
    """Upsampling factors, whose product is the hop length; empty: four factors of the hop length."""
    window: int = ranged(2, "[0, inf)")
    """Frames on each side of a frame that the first convolution over the mel sees."""
    discriminator_channels: int = ranged(64, "[1, inf)")
    """Channels of the discriminator."""
    discriminator_start: int = ranged(100_000, "[0, inf)")
    """Iterations of STFT terms alone before the discriminator comes in."""
    adversarial_weight: float = ranged(4.0, "[0, inf)")
    """Weight of the adversarial term (Yamamoto et al. 2020, eq. 8)."""
    convergence_weight: float = ranged(1.0, "[0, inf)")
    """Weight of the spectral convergence (eq. 4)."""
    magnitude_weight: float = ranged(1.0, "[0, inf)")
    """Weight of the log STFT magnitude distance (eq. 5)."""
    feature_weight: float = ranged(0.0, "[0, inf)")
    """Weight of feature matching, which the paper does not have."""
    mel_weight: float = ranged(0.0, "[0, inf)")
    """Weight of the mean absolute log-mel difference, which the paper does not have."""
    learning_rate: float = ranged(1e-4, "(0, 1]", usual="1e-4")
    """First learning rate of the generator."""
    discriminator_learning_rate: float = ranged(5e-5, "[0, 1]", usual="5e-5")
    """First learning rate of the discriminator; 0: the generator's."""
    halve_every: int = ranged(200_000, "[1, inf)")
    """Iterations of a player after which its learning rate is halved."""
    beta1: float = ranged(0.9, "[0, 1)", usual=0.9)
    """Decay of the mean gradient."""
    beta2: float = ranged(0.999, "[0, 1)", usual=0.999)
    """Decay of the mean squared gradient."""
    weight_decay: float = ranged(0.0, "[0, inf)")
    """Weight decay (RAdam)."""
    ema_half_life: float = ranged(0.0, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.convergence_weight or self.magnitude_weight or self.mel_weight) and self.discriminator_start:
            raise ConfigError(
                "model.convergence_weight, model.magnitude_weight and model.mel_weight are all 0, which leaves nothing to learn before "
                "the discriminator comes in; give one of them a weight, or set --model.discriminator_start 0"
            )


class ParallelWaveGAN(Vocoder[Config]):
    """Parallel WaveGAN (Yamamoto et al. 2020), as its reference implementation trains it."""

    Config: ClassVar[type] = Config
    # 100 frames, and those beside them that only their mels are taken of.
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 400_000,
        "batch_size": 6,
        "data.segment": 26_624,
        "sample_every": 5000,
    }
    first_options: ClassVar[tuple[str, ...]] = ("excitation", "size")
    seeded: ClassVar[bool] = True
    shaping: ClassVar[tuple[str, ...]] = (
        *("size", "excitation", "iterations", "updates", "causal", "layers", "stacks", "channels", "gates", "skips"),
        *("upsample_scales", "window", "discriminator_channels"),
    )

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """As `Vocoder`; ConfigError where segments are shorter than the STFT terms need."""
        super().__init__(config, info)
        self.shape = shape_for(config, self.mel.hop_length)
        hop, segment = self.mel.hop_length, info_of(info)["segment"]
        longest = max(RESOLUTIONS[1][0] // 2, self.loss_mel.pad if config.mel_weight else 0)
        if segment - 2 * config.window * hop <= longest:
            least = longest // hop + 1 + 2 * config.window
            raise ConfigError(
                f"data.segment = {segment} samples, less {config.window} frames at each end whose mels alone are heard, leave "
                f"{max(0, segment - 2 * config.window * hop)} for STFT terms, which reflect {longest}; use at least --data.segment "
                f"{least * hop}"
            )

    @classmethod
    def survey(cls, config: Config, domain: Domain, split: Split) -> dict[str, Any]:
        """The mean and the deviation of each band in the log-mels of training clips, which the generator's input is normalised by."""
        super().survey(config, domain, split)
        return statistics_of(config, domain, split)

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator``."""
        c = self.config
        iterations = c.iterations if c.excitation == "griffin-lim" else 0
        generator = Generator(self.shape, self.mel, iterations=iterations, updates=c.updates)
        set_statistics(generator, self.info)
        return {"generator": generator, "discriminator": Discriminator(c.discriminator_channels)}

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Both have RAdam (Liu et al. 2020), whose rate is halved again and again, and bounds of their gradients."""
        c, (generator, discriminator) = self.config, (networks["generator"], networks["discriminator"])
        rates = c.learning_rate, c.discriminator_learning_rate or c.learning_rate
        return {
            "generator": Player(
                generator, *self._optimizer(generator, rates[0]), ema_half_life=c.ema_half_life, clip=_GENERATOR_CLIP
            ),
            "discriminator": Player(discriminator, *self._optimizer(discriminator, rates[1]), clip=_DISCRIMINATOR_CLIP),
        }

    def _optimizer(
        self, module: nn.Module, rate: float
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        c = self.config
        optimizer = torch.optim.RAdam(
            module.parameters(), rate, (c.beta1, c.beta2), _EPSILON, weight_decay=c.weight_decay
        )
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, c.halve_every, 0.5)

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """As `Vocoder`, and where the run ends before the game begins."""
        steps, begin = training.steps, self.config.discriminator_start
        found = [*super().notes(training), *self.warmup_notes(begin, training)]
        if not 0 < steps <= begin:
            return found
        return (
            *found,
            f"The discriminator comes in at step {begin:,} and this run ends at {steps:,}: it never plays. Train for more --steps, "
            f"or lower --model.discriminator_start, e.g. to {max(1, steps // 4)}.",
        )

    # The method

    def turns(self) -> list[Turn]:
        """``g``, then ``d`` on fakes made anew by the generator of now, as in the reference implementation; ``d`` alone in its warm-up."""
        begin, warmup = self.config.discriminator_start, self.config.discriminator_warmup
        game = [
            Turn("g", ("generator",), self.generator_loss, start=begin + warmup),
            Turn("d", ("discriminator",), self.discriminator_loss, start=begin),
        ]
        return [Turn("spectra", ("generator",), self.spectral_loss, stop=begin), *game] if begin else game

    def spectral_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """STFT terms alone."""
        real, fake = self._made(ctx, batch)
        return self._spectral_terms(real, fake)

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """STFT terms and 4 E (1 - D(G(z)))^2 (Yamamoto et al. 2020, eq. 1 and 8)."""
        real, fake = self._made(ctx, batch)
        made, weight = ctx["discriminator"](fake), self.config.feature_weight
        terms = {"adversarial": self.config.adversarial_weight * losses.generator_loss(made)}
        if weight:
            with torch.no_grad():
                wanted = ctx["discriminator"](real)
            terms["features"] = weight * losses.feature_matching([wanted[0][:-1]], [made[0][:-1]])
        return terms | self._spectral_terms(real, fake)

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """E (1 - D(x))^2 + E D(G(z))^2 (Yamamoto et al. 2020, eq. 2), with the excitation of the generator's turn."""
        mel, excitation, real = ctx.cache.pop("heard", None) or self._heard(ctx, batch)
        with torch.no_grad():
            fake = ctx["generator"](mel, excitation, padded=True)
        (found,) = ctx["discriminator"](torch.cat([real, fake]))
        logits = found[-1].chunk(2)
        return losses.discriminator_loss([[logits[0]]], [[logits[1]]])

    def _made(self, ctx: Context, batch: Batch) -> tuple[Tensor, Tensor]:
        """The real waveforms between the outer frames, and what the generator makes there."""
        mel, excitation, real = ctx.cache["heard"] = self._heard(ctx, batch)
        return real, ctx["generator"](mel, excitation, padded=True)

    def _heard(self, ctx: Context, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The mel, the excitation, and the real waveforms between the outer frames."""
        mel, side = self.condition(batch), self.config.window * self.mel.hop_length
        real = batch["waveform"][:, side : batch["waveform"].shape[1] - side]
        if self.config.excitation == "noise":
            excitation = ctx.noise.normal(len(real), real.shape[1]).to(real)
        else:
            generator = cast("Generator", ctx["generator"])
            excitation = generator.excite(mel)[:, side : side + real.shape[1]]
        return mel, excitation, real

    def _spectral_terms(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Means over three resolutions (Yamamoto et al. 2020, eq. 6)."""
        c, terms = self.config, {}
        convergence, magnitude = losses.stft_loss(real, fake, RESOLUTIONS)
        for name, weight, value in (
            ("convergence", c.convergence_weight, convergence),
            ("magnitude", c.magnitude_weight, magnitude),
        ):
            if weight:
                terms[name] = weight * value
        if c.mel_weight:
            terms |= self.mel_term({"waveform": real}, fake)
        return terms

    # Synthesis

    def synthesiser(self, networks: Mapping[str, nn.Module], options: Sampling) -> CachedSynthesiser:
        """Pieces whose layers keep their past."""
        generator = cast("Generator", networks["generator"])
        return CachedSynthesiser(generator, options.chunk, options.precision, prompt=options.latency == "low")


def shape_for(config: Config, hop: int) -> Shape:
    """The generator's shape for a hop length in samples. ConfigError where nothing fits."""
    usual = SIZES[config.size]
    channels = config.channels or usual.channels
    return Shape(
        layers=config.layers or usual.layers,
        stacks=config.stacks or usual.stacks,
        channels=channels,
        gates=config.gates or 2 * channels,
        skips=config.skips or channels,
        scales=config.upsample_scales or rates_for(hop, 4),
        window=config.window,
        causal=config.causal or usual.causal,
    )
