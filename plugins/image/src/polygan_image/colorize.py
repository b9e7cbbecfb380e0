"""Colours for grey pictures: regression in Lab, then a game against discriminators of patches that stops by itself."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from polygan import Checked, ConfigError, Context, Player, Turn, losses, ranged

from .colour import delta_e, lightness, srgb_to_lab
from .networks.patches import MultiScale, smallest_side
from .networks.unet import UNet
from .translation.copies import Colouring, ColoursOfCopies
from .translation.lab import TYPICAL, chroma, coloured, seen
from .translation.stopping import NEVER, Stop, replace, replace_where

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from polygan import Batch, TrainerSettings

    from .geometry import Geometry


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """Settings of ``image/colorize``."""

    regression_steps: int = ranged(2000, "[1, inf)", usual=2000)
    """Iterations of regression alone, before the game begins."""
    regression_weight: float = ranged(3.0, "[0, inf)", usual=3)
    """Weight of the regression term in the game: more makes colours truer, less makes them more varied."""
    chroma_weight: float = ranged(0.0, "[0, inf)", usual=0)
    """How much more the regression counts a pixel of chroma 50 than a grey pixel: more makes colours stronger, right ones and wrong ones."""
    loss: Literal["least_squares", "hinge"] = "least_squares"
    """The game."""
    check_every: int = ranged(100, "[0, inf)", usual=100)
    """Iterations between checks on held-out pictures, which choose ``start`` and stop the game; 0: none, as runs without
    held-out pictures need."""
    check_batches: int = ranged(8, "[1, inf)", usual=8)
    """Held-out batches that a check looks at."""
    margin: float = ranged(0.02, "[0, 1)", usual=0.02)
    """A checked step is good if its colour difference is below the grey copy's by more than this share of the grey copy's."""
    patience: int = ranged(5, "[1, inf)", usual=5)
    """The game stops after this many checks in a row that were not good."""
    width: int = ranged(32, "[1, inf)", usual=32)
    """Channels of the generator's first map; deeper maps have up to 8 times as many."""
    depth: int = ranged(5, "[1, 10]", usual=5)
    """How often the generator halves the size."""
    discriminator_width: int = ranged(32, "[1, inf)", usual=32)
    """Channels of a discriminator's first map."""
    discriminator_layers: int = ranged(3, "[1, 6]", usual=3)
    """Strided layers of a discriminator; 3 judge patches of 70 x 70 pixels."""
    scales: int = ranged(2, "[1, 4]", usual=2)
    """Discriminators; each further one sees pictures at half the size."""
    regression_rate: float = ranged(1e-3, "(0, 1]", usual="1e-3")
    """Adam's learning rate at the start of the regression; it falls to the game's by a cosine."""
    generator_rate: float = ranged(4e-4, "(0, 1]", usual="4e-4")
    """Adam's learning rate at the start of the game; it falls to 0 until the run's last step."""
    discriminator_rate: float = ranged(4e-4, "(0, 1]", usual="4e-4")
    """The discriminators' rate at the start of the game; it falls to 0 too."""
    ema_half_life: float = ranged(1000.0, "[0, inf)", usual=1000)
    """Half-life in pictures of the averaged generator, which makes the samples; 0: the generator as it is."""


class Colorize(ColoursOfCopies[Config]):
    """Pictures in colour from grey ones, after NoGAN (Antic 2019) in CIE Lab.

    A grey value v is read as the sRGB colour (v, v, v), whose lightness L the made picture keeps: the network adds a and b alone.
    """

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 6000,
        "batch_size": 16,
        "data.pairs": "grey",
        "data.resolution": 96,
        "data.flip": True,
    }
    first_options: ClassVar[tuple[str, ...]] = ("regression_steps", "regression_weight")
    variants: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "start": {"generator": "start"},
        "last": {"generator": "learner"},
    }

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: `ImageInfo`. Raises ConfigError for data that gives no colours to learn."""
        super().__init__(config, info)
        facts, least = self.facts, smallest_side(config.discriminator_layers, config.scales)
        if facts.get("pairs") != "grey":
            raise ConfigError("image/colorize gives colours to grey pictures; train it with --data.pairs grey")
        if facts["channels"] != 3:
            raise ConfigError(
                f"image/colorize makes 3 channels, and the data has {facts['channels']}; type --data.channels 3"
            )
        if (side := min(facts["height"], facts["width"])) < least:
            raise ConfigError(
                f"the discriminators need pictures of {least} pixels a side, and these have {side}; "
                "use larger pictures, or a smaller --model.discriminator_layers or --model.scales"
            )

    def networks(self) -> dict[str, nn.Module]:
        """``learner`` and ``discriminator`` play. ``generator`` makes the samples, ``start`` begins the game, ``stop`` ends the game."""
        c = self.config
        learner = UNet(1, 2, c.width, c.depth)
        discriminator = MultiScale(3, c.discriminator_width, c.discriminator_layers, scales=c.scales)
        generator, start = copy.deepcopy(learner), copy.deepcopy(learner)
        return {
            "generator": generator,
            "learner": learner,
            "discriminator": discriminator,
            "start": start,
            "stop": Stop(),
        }

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both; the rates fall to 0 at the end of the run."""
        c, begin = self.config, self.config.regression_steps
        learner, discriminator = networks["learner"], networks["discriminator"]
        optimizer = torch.optim.Adam(learner.parameters(), c.regression_rate, betas=(0.5, 0.99))
        opponent = torch.optim.Adam(discriminator.parameters(), c.discriminator_rate, betas=(0.5, 0.99))
        game, length = c.generator_rate / c.regression_rate, max(1, training.steps - begin)

        def rate(n: int) -> float:
            if n < begin:
                return game + (1 - game) * (1 + math.cos(math.pi * n / begin)) / 2
            return game * max(0.0, 1 - (n - begin) / length)

        schedules = torch.optim.lr_scheduler.LambdaLR
        return {
            "learner": Player(learner, optimizer, schedules(optimizer, rate), ema_half_life=c.ema_half_life),
            "discriminator": Player(discriminator, opponent, schedules(opponent, lambda n: max(0.0, 1 - n / length))),
        }

    # The method

    def turns(self) -> list[Turn]:
        """Regression until ``begin``, then the game. Checks on held-out pictures choose ``start``, and stop the game."""
        c, begin = self.config, self.config.regression_steps
        return [
            Turn("regression", ("learner",), self.regression_loss, stop=begin),
            *self._checks(),
            Turn("begin", (), self.begin, data=None, stop=begin + 1),
            Turn("d", ("discriminator",), self.discriminator_loss, start=begin),
            Turn("g", ("learner",), self.generator_loss, start=begin),
            *([] if c.check_every else [Turn("follow", (), self.follow, data=None, start=begin)]),
        ]

    def _checks(self) -> list[Turn]:
        """The checks every so many steps, and the check of the regression's last network, wherever its step lies."""
        c, begin = self.config, self.config.regression_steps
        if not c.check_every:
            return []
        every: tuple[int, int, int | None] = (c.check_every, c.check_every, None)
        times = {"held_out": every} | ({"regressed": (1, begin, begin + 1)} if begin % c.check_every else {})
        made = []
        for name, (often, first, end) in times.items():
            keep, look = "keep" if name == "held_out" else f"keep_{name}", c.check_batches
            made.append(Turn(name, (), self.look, "held_out", often, look, first, end, anew=True))
            made.append(Turn(keep, (), self.keep, None, often, 1, first, end))
        return made

    def regression_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Mean error of a and b."""
        ab = chroma(ctx["learner"], batch["given"])
        with ctx.fp32():
            return {"regression": self._error(ab, srgb_to_lab(batch["image"])[:, 1:])}

    def _error(self, ab: Tensor, truth: Tensor) -> Tensor:
        """Smooth L1 of a and b (n, 2, H, W), in units of 50; pixels count more with their true chroma."""
        weight = 1 + self.config.chroma_weight / TYPICAL * truth.norm(dim=1, keepdim=True)
        error = F.smooth_l1_loss(ab / TYPICAL, truth / TYPICAL, beta=0.1, reduction="none")
        return (weight * error).mean()

    def begin(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """``generator`` follows the averaged learner until the game begins, and is ``start`` then: the best average checked, or the last."""
        average, start = ctx.averaged("learner"), ctx.players["start"].module
        if not self.config.check_every:
            replace(start, average)
        replace(ctx.players["generator"].module, start if ctx.step == self.config.regression_steps else average)
        return {}

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """True against made colours of the same grey pictures; nothing once the game has stopped."""
        with ctx.graph_of("learner"):
            ab = chroma(ctx["learner"], batch["given"])
        ctx.cache["made"] = ab  # the generator's turn has the same batch
        with ctx.fp32():
            light, truth = lightness(batch["given"]), srgb_to_lab(batch["image"])[:, 1:]
        real, fake = (ctx["discriminator"](seen(light, x)) for x in (truth, ab.detach()))
        pairs = [losses.ADVERSARIAL[self.config.loss].discriminator(r, f) for r, f in zip(real, fake, strict=True)]
        middle = 0.5 if self.config.loss == "least_squares" else 0.0
        ctx.observe_logits(real[0] - middle, fake[0] - middle)
        return self._while_playing(ctx, _summed(pairs))

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The game against all scales, and the regression; nothing once the game has stopped."""
        ab = ctx.cache["made"]
        with ctx.fp32():
            light, truth = lightness(batch["given"]), srgb_to_lab(batch["image"])[:, 1:]
            regression = self.config.regression_weight * self._error(ab, truth)
        fake = ctx["discriminator"](seen(light, ab))
        terms = _summed([losses.ADVERSARIAL[self.config.loss].generator(logits) for logits in fake])
        return self._while_playing(ctx, {**terms, "regression": regression})

    def _while_playing(self, ctx: Context, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The terms, times 0 once the game has stopped."""
        playing = 1 - cast("Stop", ctx.players["stop"].module).stopped
        return {name: playing * term for name, term in terms.items()}

    # When the game stops

    def look(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Mean CIEDE2000 of held-out pictures in made colours, and without colours."""
        given = batch["given"]
        with ctx.fp32():
            truth = srgb_to_lab(batch["image"])
            made = coloured(given, chroma(ctx.averaged("learner"), given))
            of_made, of_grey = (
                delta_e(srgb_to_lab(picture), truth).mean() for picture in (made, given.expand(-1, 3, -1, -1))
            )
        cast("Stop", ctx.players["stop"].module).look(of_made, (1 - self.config.margin) * of_grey)
        return {"difference": of_made, "difference_of_grey": of_grey}

    def keep(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """In the regression, ``start`` becomes the averaged learner with the smallest colour difference so far.

        In the game, the generator becomes the averaged learner if its colour difference is small enough.
        """
        stop = cast("Stop", ctx.players["stop"].module)
        if ctx.step <= self.config.regression_steps:
            replace_where(stop.improve(), ctx.players["start"].module, ctx.averaged("learner"))
            return {}
        good = stop.decide(ctx.step, self.config.patience)
        replace_where(good, ctx.players["generator"].module, ctx.averaged("learner"))
        return {"stopped": stop.stopped.clone(), "step": stop.kept.clone()}

    def follow(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """Without checks, the averaged learner is the generator."""
        replace(ctx.players["generator"].module, ctx.averaged("learner"))
        return {}

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """A warning if the run ends before the game begins, or if nothing stops the game."""
        if training.steps <= self.config.regression_steps:
            return (
                f"The game begins at step {self.config.regression_steps:,} and this run ends at {training.steps:,}: "
                "the run is regression alone. Use more --steps, or lower --model.regression_steps.",
            )
        if not self.config.check_every:
            return (
                "Nothing stops the game, because model.check_every = 0. Look at the samples, or set --model.check_every 100.",
            )
        return ()

    def remarks(self, values: Mapping[str, float]) -> Sequence[str]:
        """A sentence once the game has stopped."""
        if values.get("keep/stopped", 0) < 1:  # below 1: a check of this window came before the stop
            return ()
        step, c = values["keep/step"], self.config
        source = f"the network of step {step:,.0f}, the last good one" if step != NEVER else "the regression (`start`)"
        return (
            f"The game stopped: in {c.patience} checks in a row, held-out colours were not closer to the truth than "
            f"{1 - c.margin:.0%} of the grey copy's difference. Samples come from {source}. Further steps change nothing.",
        )

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Mean logits (n,) of a prepared batch, over the places of the first scale."""
        lab = srgb_to_lab(batch["image"])
        return networks["discriminator"](seen(lab[:, :1], lab[:, 1:]))[0].mean((1, 2, 3))

    # Use

    def translator(
        self, networks: Mapping[str, nn.Module], options: Colouring
    ) -> tuple[Callable[[Tensor], Tensor], Geometry]:
        """Grey (n, 1, H, W) to colour (n, 3, H, W) of the same lightness; ``options.strength`` goes from the start to the game."""
        generator, start, strength = networks["generator"], networks["start"], options.strength

        def colour(given: Tensor) -> Tensor:
            if strength in (0.0, 1.0):
                return coloured(given, chroma(generator if strength else start, given))
            return coloured(given, torch.lerp(chroma(start, given), chroma(generator, given), strength))

        return colour, cast("Geometry", generator.geometry)


def _summed(scales: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each term over the scales."""
    return {name: torch.stack([terms[name] for terms in scales]).mean() for name in scales[0]}
