"""CUT and FastCUT (Park et al. 2020, arXiv:2007.15651): pictures of one class become pictures of another, in one direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F

from polygan import Checked, Player, Sides, Turn, losses, ranged

from .game import Game
from .networks.patches import PatchDiscriminator, PatchNorm, smallest_side
from .networks.resnet import DOUBLINGS, Norm, ResNetGenerator, Up
from .pix2pix import linear_decay, sum_of
from .translation.base import PictureToPicture
from .translation.contrast import Projection, gathered, patch_nce, positions
from .translation.two_sides import picture_side, two_classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, Context, TrainerSettings

GAME = Game("least_squares")
CONTRAST, FAST_CONTRAST = 1.0, 10.0
"""Weights of the contrast of CUT and of FastCUT (section 4.1)."""


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """Settings of CUT. Losses and optimizer are the paper's; the generator has another norm, so that large pictures come in exact
    tiles."""

    fast: bool = False
    """FastCUT: a stronger contrast, no identity term, and mirrored pictures. Lighter, and further from the given picture's colours."""
    contrast: float = ranged(0.0, "[0, inf)", hint="0 is the paper's: 1, with fast 10")
    """Weight of the contrast of patches; 0: 1, or 10 with ``fast``."""
    patches: int = ranged(256, "[2, inf)")
    """Patches of a picture that each layer compares."""
    temperature: float = ranged(0.07, "(0, inf)", usual=0.07)
    """Temperature of the contrast; a lower one tells near patches apart more sharply."""
    width: int = ranged(64, "[1, inf)")
    """Channels of the generator's first map; deeper maps have 2 and 4 times as many."""
    blocks: int = ranged(9, "[1, inf)")
    """Residual blocks of the generator."""
    norm: Norm = "pixel"
    """Norm of the generator: pixel (over the channels of each pixel), none, batch, or instance (the paper's), with which no tile is
    exact."""
    up: Up = "antialias"
    """How the generator doubles the size: antialias (the official code's) halves and doubles with filters; resize repeats pixels and is
    faster; transposed is CycleGAN's."""
    projection_width: int = ranged(256, "[1, inf)")
    """Numbers by which a patch is compared."""
    discriminator_width: int = ranged(64, "[1, inf)")
    """Channels of the discriminator's first map; deeper maps have 2, 4, at most 8 times as many."""
    discriminator_layers: int = ranged(3, "[1, 8]")
    """Halvings of the discriminator: with 3 a logit judges 70x70 pixels, with 2 it judges 34x34, with 1 it judges 16x16."""
    discriminator_norm: PatchNorm = "instance"
    """Norm of the discriminator: instance (the paper's), spectral (of the weights), batch, pixel, none."""
    learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """Learning rate of all networks."""
    beta1: float = ranged(0.5, "[0, 1)")
    """Decay of Adam's mean gradient."""
    beta2: float = ranged(0.999, "[0, 1)")
    """Decay of Adam's mean squared gradient."""
    decay: float = ranged(0.5, "[0, 1]")
    """Share of the run, at its end, in which the learning rates fall evenly to 0; 0: the rates stay."""
    ema_half_life: float = ranged(1_000, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""


class Made(NamedTuple):
    """What the discriminator's turn keeps for the generator's turn."""

    fake: Tensor
    same: Tensor = torch.empty(0)
    """CUT: pictures of the made side after the generator."""
    maps: Sequence[Tensor] = ()
    """CUT: the generator's maps of the given pictures, then of the made side's, without graph."""
    flips: Tensor = torch.empty(0)
    """FastCUT: which pictures (n,) were mirrored."""


class CUT(PictureToPicture[Config]):
    """A generator, a patch discriminator of the made side, and a projection of the generator's maps.

    Each patch of a made picture must be nearer to the same patch of the given picture than to the others.
    """

    Config: ClassVar[type] = Config
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 50_000, "batch_size": 1, "data.labels": "folders"}
    first_options = ("fast", "blocks")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: `ImageInfo` with two classes. Raises ConfigError for other data, and for pictures that are too small."""
        super().__init__(config, info)
        self.classes = two_classes(info, "image/cut")
        picture_side(self.facts, smallest_side(config.discriminator_layers), "image/cut")
        self.weight = config.contrast or (FAST_CONTRAST if config.fast else CONTRAST)

    def sides(self, options: object) -> Sides:
        """The first class is given, the second made."""
        return Sides(*self.classes)

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """Which side is made, the weight of the contrast, and what the norm means for large pictures."""
        first, second = self.classes
        told = [f"the generator makes {first} into {second}; rename the folders for the other direction"]
        if not self.config.contrast:
            told.append(f"model.contrast = 0 is {self.weight:g}")
        if self.config.norm == "instance":
            told.append("the norm looks at whole pictures, so that a large picture in tiles shows seams")
        return told

    def networks(self) -> dict[str, nn.Module]:
        """``generator``, ``discriminator`` and ``projection``."""
        c, channels = self.config, self.facts["channels"]
        generator = ResNetGenerator(channels, channels, c.width, c.blocks, norm=c.norm, up=c.up)
        patches = c.discriminator_width, c.discriminator_layers, c.discriminator_norm
        return {
            "generator": generator,
            "discriminator": PatchDiscriminator(channels, *patches),
            "projection": Projection(generator.channels, c.projection_width),
        }

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for all, with falling rates if ``decay``; the generator is averaged."""
        c, players = self.config, {}
        for name, network in networks.items():
            adam = torch.optim.Adam(network.parameters(), c.learning_rate, betas=(c.beta1, c.beta2))
            players[name] = Player(network, adam, ema_half_life=c.ema_half_life if name == "generator" else 0)
            if c.decay:
                factor = linear_decay(training.steps, c.decay)
                players[name].scheduler = torch.optim.lr_scheduler.LambdaLR(adam, factor)
        return players

    # The method

    def turns(self) -> list[Turn]:
        """``d``, then ``g`` on the fakes of ``d`` (section 3)."""
        sides = tuple(f"train/{name}" for name in self.classes)
        return [
            Turn("d", ("discriminator",), self.discriminator_loss, data=sides),
            Turn("g", ("generator", "projection"), self.generator_loss, data=sides),
        ]

    def discriminator_loss(self, ctx: Context, a: Batch, b: Batch) -> dict[str, Tensor]:
        """1/2 (D(y) - 1)^2 + 1/2 D(G(x))^2 in each patch: eq. 1 with least squares, as in section 4.1."""
        kept = ctx.cache["made"] = self._made(ctx, a["image"], b["image"])
        network, real, fake = ctx["discriminator"], b["image"], kept.fake.detach()
        if self.config.discriminator_norm == "batch":
            return GAME.discriminator(network(real), network(fake))
        return GAME.discriminator(*network(torch.cat([real, fake.to(real.dtype)])).chunk(2))

    def generator_loss(self, ctx: Context, a: Batch, b: Batch) -> dict[str, Tensor]:
        """(D(G(x)) - 1)^2 in each patch, and the contrast of eq. 4; for CUT half of the contrast is the identity term (eq. 5)."""
        made: Made = ctx.cache.pop("made")
        adversarial = 2 * losses.least_squares_generator(ctx["discriminator"](made.fake))["adversarial"]
        network = cast("ResNetGenerator", ctx["generator"])
        if self.config.fast:
            with torch.no_grad():
                keys = network.features(_whole(a["image"]))
            queries = [_mirrored(x, made.flips) for x in network.features(_whole(made.fake))]
            places = positions(ctx.noise, keys, self.config.patches)
        else:
            keys = made.maps
            queries = network.features(_whole(torch.cat([made.fake, made.same])))
            # Drawn for each side, so that a picture's places do not depend on the number of processes.
            of_sides = [positions(ctx.noise, [x[: len(x) // 2] for x in keys], self.config.patches) for _ in range(2)]
            places = [torch.cat(found) for found in zip(*of_sides, strict=True)]
        return {"adversarial": adversarial, "contrast": self.weight * self._contrast(ctx, queries, keys, places)}

    def _contrast(
        self, ctx: Context, queries: Sequence[Tensor], keys: Sequence[Tensor], places: Sequence[Tensor]
    ) -> Tensor:
        """The mean of `patch_nce` over the layers, in full precision."""
        with ctx.fp32():
            project = ctx["projection"]
            q = project([_wide(x) for x in gathered(queries, places)])
            with torch.no_grad():
                k = project([_wide(x) for x in gathered(keys, places)])
            found = [patch_nce(x, y, self.config.temperature) for x, y in zip(q, k, strict=True)]
            return sum_of(found) / len(found)

    def _made(self, ctx: Context, given: Tensor, real: Tensor) -> Made:
        """Fakes with their graph. FastCUT mirrors half of the given pictures; CUT also passes the real ones through the generator."""
        network, (height, width), n = cast("ResNetGenerator", ctx["generator"]), given.shape[2:], len(given)
        with ctx.graph_of("generator"):
            if self.config.fast:
                flips = ctx.noise.uniform(n) < 0.5
                return Made(network(_whole(_mirrored(given, flips)))[:, :, :height, :width], flips=flips)
            made, maps = network.with_features(_whole(torch.cat([given, real])))
            fake, same = made[:, :, :height, :width].split(n)
            return Made(fake, same, [x.detach() for x in maps])


def _whole(image: Tensor) -> Tensor:
    """The picture with its lower and right edges repeated up to multiples of 4, as the generator needs it."""
    more = [-side % 2**DOUBLINGS for side in image.shape[:1:-1]]
    return F.pad(image, (0, more[0], 0, more[1]), mode="replicate") if any(more) else image


def _mirrored(x: Tensor, flips: Tensor) -> Tensor:
    """Maps (n, C, H, W) with left and right exchanged where ``flips`` (n,) is true."""
    return torch.where(flips[:, None, None, None], x.flip(3), x)


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
