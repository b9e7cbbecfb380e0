"""CycleGAN (Zhu et al. 2017, arXiv:1703.10593): pictures of one class become pictures of another, and come back, without pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F

from polygan import Checked, ConfigError, Player, Turn, losses, ranged

from .game import Game
from .geometry import Geometry, padded
from .networks.patches import PatchDiscriminator, PatchNorm, smallest_side
from .networks.resnet import Norm, ResNetGenerator
from .pix2pix import linear_decay
from .translation.base import PictureToPicture
from .translation.two_sides import ToSide, picture_side, sides_to, two_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, Context, Sides, TrainerSettings

GAME = Game("least_squares")


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """Settings of CycleGAN. Losses, weights and optimizer are the paper's; the generators have another norm, so that large pictures come
    in exact tiles."""

    width: int = ranged(64, "[1, inf)")
    """Channels of the generators' first map; deeper maps have 2 and 4 times as many."""
    blocks: int = ranged(9, "[1, inf)", hint="9 suits 256 pixels, 6 suits 128")
    """Residual blocks of each generator."""
    norm: Norm = "pixel"
    """Norm of the generators: pixel (over the channels of each pixel), none, batch, or instance (the paper's), with which no tile is
    exact."""
    up: Literal["resize", "transposed"] = "resize"
    """How the generators double the size: resize leaves no checkerboard, transposed is the paper's."""
    discriminator_width: int = ranged(64, "[1, inf)")
    """Channels of the discriminators' first map; deeper maps have 2, 4, at most 8 times as many."""
    discriminator_layers: int = ranged(3, "[1, 8]")
    """Halvings of the discriminators: with 3 a logit judges 70x70 pixels, with 2 it judges 34x34, with 1 it judges 16x16."""
    discriminator_norm: PatchNorm = "instance"
    """Norm of the discriminators: instance (the paper's), spectral (of the weights), batch, pixel, none."""
    cycle: float = ranged(10.0, "[0, inf)", usual=10)
    """Weight of the mean absolute difference between a picture and the picture that went to the other side and back."""
    identity: float = ranged(0.5, "[0, inf)", usual=0.5)
    """Weight, as a share of ``cycle``, of the change to a picture that is on the right side already; 0: no such term."""
    identity_every: int = ranged(2, "[1, inf)", hint="1 is the paper's")
    """Iterations between two identity terms; the weight is that many times as large, so that the mean stays and time is saved."""
    history: int = ranged(2, "[0, inf)", hint="0 shows fresh fakes only")
    """Every so many iterations the discriminators see fakes of the averaged generators instead of fresh fakes; 0: never."""
    learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """Learning rate of all networks."""
    beta1: float = ranged(0.5, "[0, 1)")
    """Decay of Adam's mean gradient."""
    beta2: float = ranged(0.999, "[0, 1)")
    """Decay of Adam's mean squared gradient."""
    decay: float = ranged(0.5, "[0, 1]")
    """Share of the run, at its end, in which the learning rates fall evenly to 0; 0: the rates stay."""
    ema_half_life: float = ranged(1_000, "[0, inf)")
    """Half-life of the averaged generators in samples; 0: not averaged."""


class CycleGAN(PictureToPicture[Config]):
    """Two generators, ``to_a`` and ``to_b``, and a patch discriminator for each side.

    The paper keeps its last 50 fakes in a pool, and shows half of them again. Here the averaged generators stand for the past:
    nothing is stored, so that runs resume to the bit and do not depend on the number of processes. The discriminators then see
    fakes of one mean network of the last thousands of pictures, not single fakes of the last hundred iterations.
    """

    Config: ClassVar[type] = Config
    Sampling: ClassVar[type] = ToSide
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 50_000, "batch_size": 1, "data.labels": "folders"}
    first_options = ("blocks", "cycle")

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: `ImageInfo` with two classes. Raises ConfigError for other data, and for pictures that are too small."""
        super().__init__(config, info)
        self.classes = two_classes(info, "image/cyclegan")
        picture_side(self.facts, smallest_side(config.discriminator_layers), "image/cyclegan")

    def sides(self, options: ToSide) -> Sides:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The class that is given and the class that is made."""
        return sides_to(options.to, self.classes)

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """Which side is made, and what the norm means for large pictures."""
        first, second = self.classes
        told = [f"to_b makes {first} into {second}, to_a makes {second} into {first}"]
        if self.config.norm == "instance":
            told.append("the norm looks at whole pictures, so that a large picture in tiles shows seams")
        return told

    def networks(self) -> dict[str, nn.Module]:
        """``to_a``, ``to_b``, ``discriminator_a`` and ``discriminator_b``; a is the first class."""
        c, channels = self.config, self.facts["channels"]
        patches = c.discriminator_width, c.discriminator_layers, c.discriminator_norm
        made = {f"to_{side}": self._generator(channels) for side in "ab"}
        return made | {f"discriminator_{side}": PatchDiscriminator(channels, *patches) for side in "ab"}

    def _generator(self, channels: int) -> nn.Module:
        c = self.config
        return ResNetGenerator(channels, channels, c.width, c.blocks, norm=c.norm, up=c.up)

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for all, with falling rates if ``decay``; the generators are averaged."""
        c, factor = self.config, linear_decay(training.steps, self.config.decay)
        players = {}
        for name, network in networks.items():
            adam = torch.optim.Adam(network.parameters(), c.learning_rate, betas=(c.beta1, c.beta2))
            half_life = c.ema_half_life if name.startswith("to_") else 0
            players[name] = Player(network, adam, ema_half_life=half_life)
            if c.decay:
                players[name].scheduler = torch.optim.lr_scheduler.LambdaLR(adam, factor)
        return players

    # The method

    def turns(self) -> list[Turn]:
        """``d``, then ``g`` on the fakes of ``d`` (section 3)."""
        sides = tuple(f"train/{name}" for name in self.classes)
        return [
            Turn("d", ("discriminator_a", "discriminator_b"), self.discriminator_loss, data=sides),
            Turn("g", ("to_a", "to_b"), self.generator_loss, data=sides),
        ]

    def discriminator_loss(self, ctx: Context, a: Batch, b: Batch) -> dict[str, Tensor]:
        """1/2 (D(y) - 1)^2 + 1/2 D(G(x))^2 in each patch, for both sides: eq. 1 as section 4 changes it."""
        with ctx.graph_of("to_a"), ctx.graph_of("to_b"):
            kept = ctx.cache["fakes"] = self._fakes(ctx, a["image"], b["image"])
        old = bool(self.config.history and self.config.ema_half_life) and (ctx.step + 1) % self.config.history == 0
        terms = {}
        for side, real, other in (("a", a, b), ("b", b, a)):
            if old:
                with torch.no_grad():
                    fake = _make(ctx.averaged(f"to_{side}"), other["image"])
            else:
                fake = kept[side][0].detach()
            logits = self._judge(ctx[f"discriminator_{side}"], real["image"], fake)
            terms |= {f"{name}_{side}": term for name, term in GAME.discriminator(*logits).items()}
        return terms

    def generator_loss(self, ctx: Context, a: Batch, b: Batch) -> dict[str, Tensor]:
        """(D(G(x)) - 1)^2 in each patch, the cycle (eq. 2) and the identity (section 5.2), for both sides."""
        c, fakes, terms = self.config, ctx.cache.pop("fakes"), {}
        for side, back, given, right in (("b", "a", a, b), ("a", "b", b, a)):
            fake, same = fakes[side]
            logits = ctx[f"discriminator_{side}"](fake)
            terms[f"to_{side}"] = 2 * losses.least_squares_generator(logits)["adversarial"]
            if c.cycle:
                returned = _make(ctx[f"to_{back}"], fake)
                terms[f"cycle_{back}"] = c.cycle * _distance(ctx, returned, given["image"])
            if same is not None:
                weight = c.cycle * c.identity * c.identity_every
                terms[f"identity_{side}"] = weight * _distance(ctx, same, right["image"])
        return terms

    def _fakes(self, ctx: Context, a: Tensor, b: Tensor) -> dict[str, tuple[Tensor, Tensor | None]]:
        """For each side, the fakes and, if the identity term is due, its own pictures after the generator.

        Both go through a generator together, unless batch norm would mix them.
        """
        made: dict[str, tuple[Tensor, Tensor | None]] = {}
        c = self.config
        wanted = c.cycle and c.identity and ctx.step % c.identity_every == 0
        for side, given, right in (("b", a, b), ("a", b, a)):
            network = ctx[f"to_{side}"]
            if not wanted:
                made[side] = _make(network, given), None
            elif c.norm == "batch":
                made[side] = _make(network, given), _make(network, right)
            else:
                fake, same = _make(network, torch.cat([given, right])).chunk(2)
                made[side] = fake, same
        return made

    def _judge(self, network: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of real and of made pictures, in one pass unless batch norm would mix both."""
        if self.config.discriminator_norm == "batch":
            return network(real), network(fake)
        real_logits, fake_logits = network(torch.cat([real, fake.to(real.dtype)])).chunk(2)
        return real_logits, fake_logits

    # Samples

    def translator(
        self, networks: Mapping[str, nn.Module], options: ToSide
    ) -> tuple[Callable[[Tensor], Tensor], Geometry]:
        """The generator of the class that ``options`` name, and its geometry."""
        made = self.sides(options).made
        if made not in self.facts.get("makes", self.classes):
            other = self.classes[made == self.classes[0]]
            raise ConfigError(f"the imported weights make pictures of the class {other} alone; type --to {other}")
        network = networks["to_b" if made == self.classes[1] else "to_a"]
        return network, cast("Geometry", network.geometry)


def _make(network: nn.Module, image: Tensor) -> Tensor:
    return padded(network, image, cast("Geometry", network.geometry))


def _distance(ctx: Context, made: Tensor, true: Tensor) -> Tensor:
    with ctx.fp32():
        return F.l1_loss(made.to(true.dtype), true)
