"""Photographs made larger (ESRGAN, Wang et al. 2018, arXiv:1809.00219): regression first, then a relativistic game."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F

from polygan import Checked, ConfigError, Player, Turn, losses, ranged

from .data.values.shrinking import shrink, whole
from .networks.enlarging import Compact, RRDBNet, Small
from .networks.patches import PatchDiscriminator, smallest_side
from .translation.base import PictureToPicture
from .translation.degrade import camera
from .translation.stopping import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, Context, TrainerSettings

    from .geometry import Geometry

_FINAL = 0.1  # share of the learning rate that is left at the end of the regression


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """Settings of enlargement: the network, how photographs become small, and the weights of the game's terms."""

    network: Literal["small", "compact", "rrdb"] = "small"
    """The generator: small (trains on two CPU cores), compact (Real-ESRGAN's SRVGGNetCompact), or rrdb (ESRGAN)."""
    scale: int = ranged(0, "0 or 2 or 4")
    """How many times larger each side becomes; 0: data.factor if the data has pairs, else 2."""
    width: int = ranged(0, "[0, inf)")
    """Channels of the generator's maps; 0: 32 for small, 64 for compact and rrdb."""
    depth: int = ranged(0, "[0, inf)")
    """Blocks of the generator (compact: convolutions between the first and the last); 0: small 4, compact 16, rrdb 23."""
    growth: int = ranged(32, "[1, inf)")
    """Channels that each convolution of a dense block of rrdb adds."""
    degradation: Literal["bicubic", "camera"] = "bicubic"
    """How photographs become small: bicubic (sharp, for clean pictures), or camera (blur, noise and JPEG at random)."""
    regression_steps: int = ranged(4000, "[0, inf)", usual=4000)
    """Iterations of regression alone, before the game begins; the regression's result stays in the run as ``start``."""
    l1_weight: float = ranged(1.0, "[0, inf)", usual=1)
    """Weight, in the game, of the mean absolute difference of pixels."""
    adversarial_weight: float = ranged(0.02, "[0, inf)", usual=0.02)
    """Weight of the generator's adversarial term: more makes pictures crisper, less makes them truer."""
    feature_weight: float = ranged(2.0, "[0, inf)", usual=2)
    """Weight of the perceptual term: the discriminator's maps of made and real pictures agree; 0: none."""
    discriminator_width: int = ranged(32, "[1, inf)")
    """Channels of the discriminator's first map; deeper maps have up to 8 times as many."""
    discriminator_layers: int = ranged(2, "[1, 8]")
    """Strided layers of the discriminator: with 2 a logit judges 34x34 pixels, with 3 70x70."""
    regression_rate: float = ranged(1e-3, "(0, 1]", usual="1e-3")
    """Adam's learning rate at the start of the regression; a cosine takes the rate to a tenth."""
    generator_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """The generator's rate at the start of the game; it falls to 0 until the run's last step."""
    discriminator_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """The discriminator's rate at the start of the game; it falls to 0 too."""
    ema_half_life: float = ranged(5000, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""


class SuperResolution(PictureToPicture[Config]):
    """Enlargement by regression, then by a game of pairs: is the real picture more real than the made one?

    Photographs of the data become small on the device of the training, so the data needs no pairs.
    """

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 7000,
        "batch_size": 16,
        "data.pairs": "smaller",
        "data.crop": 96,
        "data.flip": True,
    }
    first_options: ClassVar[tuple[str, ...]] = ("network", "degradation")
    variants: ClassVar[Mapping[str, Mapping[str, str]]] = {"start": {"generator": "start"}}

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: `ImageInfo`. Raises ConfigError for pairs, sizes or channels that do not fit."""
        super().__init__(config, info)
        pairs = self.facts.get("pairs", "")
        if pairs not in ("", "smaller"):
            raise ConfigError(
                f"image/superres makes its small pictures from large ones, and the data has pairs by {pairs}; use --data.pairs smaller"
            )
        factor = self.facts.get("given", {}).get("factor", 0) if pairs else 0
        self.scale = config.scale or factor or 2
        if factor and factor != self.scale:
            raise ConfigError(
                f"model.scale = {self.scale} and data.factor = {factor} differ; leave --model.scale out, or set both alike"
            )
        if config.degradation == "camera" and self.facts["channels"] not in (1, 3):
            raise ConfigError(
                f"model.degradation = camera takes grey or colour pictures, and these have {self.facts['channels']} channels; "
                "use --data.channels 3, or --model.degradation bicubic"
            )
        least = max(smallest_side(config.discriminator_layers), 2 * self.scale)
        if min(self.facts["height"], self.facts["width"]) < least:
            size = f"{self.facts['width']}x{self.facts['height']}"
            raise ConfigError(
                f"image/superres needs pictures of {least} pixels a side or more, and these have {size}; use larger pictures, "
                "or a smaller --model.discriminator_layers"
            )

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator`` learn; ``start`` keeps the generator of the regression."""
        c, channels = self.config, self.facts["channels"]
        generator = self._generator()
        discriminator = PatchDiscriminator(channels, c.discriminator_width, c.discriminator_layers, "spectral")
        return {"generator": generator, "discriminator": discriminator, "start": copy.deepcopy(generator)}

    def _generator(self) -> Small | Compact | RRDBNet:
        c, channels, scale = self.config, self.facts["channels"], self.scale
        match c.network:
            case "small":
                return Small(channels, scale, c.width or 32, c.depth or 4)
            case "compact":
                return Compact(channels, scale, c.width or 64, c.depth or 16)
            case "rrdb":
                return RRDBNet(channels, scale, c.width or 64, c.depth or 23, c.growth)

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both; the generator is averaged. In the game both rates fall evenly to 0 at the end of the run."""
        c, begin = self.config, self.config.regression_steps
        generator, discriminator = networks["generator"], networks["discriminator"]
        optimizer = torch.optim.Adam(generator.parameters(), c.regression_rate, betas=(0.9, 0.99))
        opponent = torch.optim.Adam(discriminator.parameters(), c.discriminator_rate, betas=(0.9, 0.99))
        length = max(1, training.steps - begin)

        def left(played: int) -> float:
            return max(0.0, 1 - played / length)

        def rate(done: int) -> float:
            if done < begin:
                return _FINAL + (1 - _FINAL) * (1 + math.cos(math.pi * done / begin)) / 2
            return c.generator_rate / c.regression_rate * left(done - begin)

        schedule = torch.optim.lr_scheduler.LambdaLR
        return {
            "generator": Player(generator, optimizer, schedule(optimizer, rate), ema_half_life=c.ema_half_life),
            "discriminator": Player(discriminator, opponent, schedule(opponent, left)),
        }

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """What the run enlarges by, and a sentence if the run ends before the game begins."""
        begin = self.config.regression_steps
        found = [f"Pictures become {self.scale} times larger a side."]
        if training.steps <= begin:
            found.append(
                f"The game begins at step {begin:,} and this run ends at {training.steps:,}: the run is regression alone. "
                "For the game use more --steps, or a smaller --model.regression_steps."
            )
        return found

    # The method

    def turns(self) -> list[Turn]:
        """Regression and the snapshot of it until ``a``, then the discriminator and the generator on the same pictures."""
        a, g = self.config.regression_steps, ("generator",)
        regression = [Turn("regression", g, self.regression_loss, stop=a)] if a else []
        return [
            *regression,
            Turn("start", (), self.keep_start, data=None, stop=a + 1),
            Turn("d", ("discriminator",), self.discriminator_loss, start=a),
            Turn("g", g, self.generator_loss, start=a),
        ]

    def regression_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The mean absolute difference of pixels."""
        small, real = self._pair(ctx, batch)
        made = ctx["generator"](small)
        ctx.observe("psnr", psnr(made, real))
        return {"l1": F.l1_loss(made.float(), real)}

    def keep_start(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """``start`` becomes the averaged generator; the last time is just before the game begins."""
        replace(ctx["start"], ctx.averaged("generator"))
        return {}

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """-log s(D(real) - D(made)), each made picture against its own original (Jolicoeur-Martineau 2018, eq. 4)."""
        small, real = self._pair(ctx, batch)
        with ctx.graph_of("generator"):
            made = ctx["generator"](small)
        ctx.cache["pair"] = made, real
        network = ctx["discriminator"]
        real_logits, made_logits = network(real), network(made.detach())
        ctx.observe_logits(real_logits - made_logits, made_logits - real_logits)
        return losses.relativistic_discriminator(real_logits, made_logits)

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Pixels, the relativistic term and the discriminator's maps (Wang et al. 2018, eq. 3, with D's maps in place of VGG's)."""
        c, network = self.config, ctx["discriminator"]
        made, real = cast("tuple[Tensor, Tensor]", ctx.cache.pop("pair"))
        *made_maps, made_logits = network(made, features=True)
        with torch.no_grad():
            *real_maps, real_logits = network(real, features=True)
        ctx.observe("psnr", psnr(made, real))
        adversarial = losses.relativistic_generator(made_logits, real_logits)["adversarial"]
        terms = {"l1": c.l1_weight * F.l1_loss(made.float(), real), "adversarial": c.adversarial_weight * adversarial}
        if c.feature_weight:
            distances = [F.l1_loss(m.float(), r.float()) for m, r in zip(made_maps, real_maps, strict=True)]
            terms["features"] = c.feature_weight * torch.stack(distances).mean()
        return terms

    def _pair(self, ctx: Context, batch: Batch) -> tuple[Tensor, Tensor]:
        """Photographs (n, C, H, W) made small, and the photographs without the pixels that make no whole small pixel."""
        geometry = cast("Geometry", ctx.players["generator"].module.geometry)
        real = whole(batch["image"], self.scale * geometry.multiple)
        with ctx.fp32(), torch.no_grad():
            if self.config.degradation == "camera":
                return camera(real, self.scale, ctx.noise), real
            return shrink(real, self.scale), real

    # Use

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch: the mean over patches."""
        return networks["discriminator"](batch["image"]).flatten(1).mean(1)

    def translator(
        self, networks: Mapping[str, nn.Module], options: Any
    ) -> tuple[Callable[[Tensor], Tensor], Geometry]:
        """The generator; a strength below 1 blends its pictures with those of the regression, ``start``."""
        generator, strength = networks["generator"], options.strength
        geometry = cast("Geometry", generator.geometry)
        if strength == 1:
            return generator, geometry
        if (start := networks.get("start")) is None:
            raise ConfigError(
                f"strength = {strength:g} blends with the network start, and this model has none; leave --strength out"
            )
        if strength == 0:
            return start, geometry
        return lambda image: torch.lerp(start(image), generator(image), strength), geometry


def psnr(made: Tensor, real: Tensor) -> Tensor:
    """The mean peak signal-to-noise ratio, dB, of pictures (n, C, H, W) in [-1, 1]; at most 100 a picture."""
    squares = (made.detach().float().clamp(-1, 1) - real).square().mean((1, 2, 3))
    return (10 * torch.log10(4 / squares.clamp(min=4e-10))).mean()
