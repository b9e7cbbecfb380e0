"""pix2pix (Isola et al. 2017, arXiv:1611.07004): a picture made from a given picture, learned from pairs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F

from polygan import Checked, ConfigError, Player, Turn, ranged

from .game import Game
from .geometry import Geometry, padded
from .networks.patches import MultiScale, PatchNorm, smallest_side
from .networks.resnet import Norm, ResNetGenerator
from .networks.spade import SpadeGenerator
from .networks.unet import Statistics, UNet
from .translation.base import PictureToPicture, Translation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Batch, Context, TrainerSettings

DEEPEST = {"unet": 6, "spade": 5}
COARSEST = 4
"""Pixels a side that the automatic depth leaves at least."""


@dataclass(frozen=True, kw_only=True)
class Config(Checked, group="model"):
    """Settings of pix2pix. Loss, weights and optimizer are the paper's; the norm is not, so that large pictures come in exact tiles."""

    generator: Literal["unet", "resnet", "spade"] = "unet"
    """unet keeps edges in place; resnet (Johnson et al. 2016) changes texture; spade (Park et al. 2019) suits label maps."""
    width: int = ranged(64, "[1, inf)")
    """Channels of the generator's first map; deeper maps have 2, 4, at most 8 times as many."""
    depth: int = ranged(0, "[0, 10]")
    """Times that unet or spade halve the picture; 0: until 4 pixels are left, at most 6 (unet) or 5 (spade)."""
    blocks: int = ranged(9, "[1, inf)")
    """Residual blocks of resnet."""
    norm: Norm = "pixel"
    """Norm of the generator: pixel (over the channels of each pixel), none, batch, or instance, with which no tile is exact."""
    statistics: Statistics = "running"
    """What batch norm of unet uses when pictures are made: running means of the training, or the means of each picture, as the official
    test script does."""
    up: Literal["resize", "transposed"] = "resize"
    """How unet and resnet double the size: resize leaves no checkerboard, transposed is the paper's."""
    dropout: float = ranged(0.0, "[0, 1)", usual="0.5")
    """Share of values that training drops in deep layers of unet: the paper's noise is 0.5. Made pictures have no noise."""
    discriminator_width: int = ranged(64, "[1, inf)")
    """Channels of the discriminator's first map; deeper maps have 2, 4, at most 8 times as many."""
    discriminator_layers: int = ranged(3, "[1, 8]")
    """Halvings of the discriminator: with 3 a logit judges 70x70 pixels, with 2 it judges 34x34, with 1 it judges 16x16."""
    discriminator_norm: PatchNorm = "instance"
    """Norm of the discriminator: instance, batch (the paper's), spectral (of the weights), pixel, none."""
    scales: int = ranged(1, "1 or 2")
    """Discriminators: 1 sees the picture, a second sees the picture at half the size (Wang et al. 2018)."""
    loss: Literal["minimax", "least_squares", "hinge"] = "minimax"
    """The game: minimax is the paper's."""
    l1_weight: float = ranged(100.0, "[0, inf)", usual=100)
    """Weight of the mean absolute difference from the true picture."""
    feature_weight: float = ranged(0.0, "[0, inf)", usual=10)
    """Weight of feature matching (Wang et al. 2018, eq. 4): the discriminator's maps of made and true pictures agree; 0: none."""
    learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """Learning rate of the generator, and of the discriminator unless that has its own."""
    discriminator_learning_rate: float = ranged(0.0, "[0, 1]", usual=0)
    """Learning rate of the discriminator; 0: the generator's rate."""
    beta1: float = ranged(0.5, "[0, 1)")
    """Decay of Adam's mean gradient."""
    beta2: float = ranged(0.999, "[0, 1)")
    """Decay of Adam's mean squared gradient."""
    decay: float = ranged(0.5, "[0, 1]")
    """Share of the run, at its end, in which the learning rates fall evenly to 0; 0: the rates stay."""
    ema_half_life: float = ranged(1_000, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.statistics == "picture" and (self.generator, self.norm) != ("unet", "batch"):
            raise ConfigError(
                "model.statistics = picture is about batch norm of the U-Net; type --model.generator unet --model.norm batch, "
                "or leave --model.statistics out"
            )
        if self.dropout and self.generator != "unet":
            raise ConfigError(
                f"model.dropout belongs to the U-Net, and model.generator = {self.generator}; leave one out"
            )


@dataclass(frozen=True, kw_only=True)
class Sampling(Translation):
    """How pictures are made."""

    statistics: Literal["auto", "running", "picture"] = "auto"
    """What batch norm uses: running means of the training, or the means of each picture; auto: as model.statistics says."""


class Pix2Pix(PictureToPicture[Config]):
    """A conditional GAN with an L1 term; the discriminator judges patches of made pictures beside the given pictures."""

    Config: ClassVar[type] = Config
    Sampling: ClassVar[type] = Sampling
    defaults: ClassVar[Mapping[str, Any]] = {"steps": 20_000, "batch_size": 4}
    first_options = ("generator", "l1_weight")
    # At batches of 1 the weights outweigh the maps, and bringing them into another layout costs a tenth of a step.
    memory_format = torch.contiguous_format

    def __init__(self, config: Config, info: Mapping[str, Any]) -> None:
        """``info``: `ImageInfo`. Raises ConfigError for data without pairs, and for pictures that the networks cannot judge."""
        super().__init__(config, info)
        facts = self.facts
        self.channels, self.inputs = facts["channels"], given_channels(info, "image/pix2pix")
        self.side = min(facts["height"], facts["width"])
        self.depth = config.depth or automatic_depth(self.side, DEEPEST.get(config.generator, 0))
        self.game = Game(config.loss)
        smallest = smallest_side(config.discriminator_layers, config.scales)
        if self.side < smallest:
            raise ConfigError(
                f"pictures of {facts['width']}x{facts['height']} are too small for model.discriminator_layers = "
                f"{config.discriminator_layers} with model.scales = {config.scales}, which need {smallest} pixels a side; "
                "type --model.discriminator_layers 1 --model.scales 1, or a larger --data.resolution"
            )

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """The depth that follows from the size, and what the norm means for large pictures."""
        c, told = self.config, []
        if not c.depth and c.generator != "resnet":
            told.append(f"model.depth = 0 is {self.depth}: the smallest side has {self.side} pixels")
        if c.norm == "instance" or c.statistics == "picture":
            told.append("the norm looks at whole pictures, so that a large picture in tiles shows seams")
        return told

    def networks(self) -> dict[str, nn.Module]:
        """``generator`` and ``discriminator``, which sees the given picture's channels first."""
        c = self.config
        patches = c.discriminator_width, c.discriminator_layers, c.discriminator_norm
        return {
            "generator": self._generator(),
            "discriminator": MultiScale(self.inputs + self.channels, *patches, scales=c.scales),
        }

    def _generator(self) -> nn.Module:
        c, shape = self.config, (self.inputs, self.channels, self.config.width)
        if c.generator == "resnet":
            return ResNetGenerator(*shape, c.blocks, norm=c.norm, up=c.up)
        if c.generator == "spade":
            return SpadeGenerator(*shape, self.depth, norm=c.norm)
        return UNet(*shape, self.depth, norm=c.norm, up=c.up, dropout=c.dropout, statistics=c.statistics)

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both, with falling rates if ``decay``; the generator is averaged."""
        c = self.config
        g, d = networks["generator"], networks["discriminator"]
        players = {
            "generator": Player(g, self._adam(g, c.learning_rate), ema_half_life=c.ema_half_life),
            "discriminator": Player(d, self._adam(d, c.discriminator_learning_rate or c.learning_rate)),
        }
        for player in players.values() if c.decay else ():
            assert player.optimizer is not None
            factor = linear_decay(training.steps, c.decay)
            player.scheduler = torch.optim.lr_scheduler.LambdaLR(player.optimizer, factor)
        return players

    def _adam(self, module: nn.Module, rate: float) -> torch.optim.Adam:
        return torch.optim.Adam(module.parameters(), rate, betas=(self.config.beta1, self.config.beta2))

    def translator(
        self, networks: Mapping[str, nn.Module], options: Sampling
    ) -> tuple[Callable[[Tensor], Tensor], Geometry]:
        """The generator, with the statistics of batch norm that ``options`` ask for."""
        generator, c, wanted = networks["generator"], self.config, options.statistics
        if wanted == "auto":
            return super().translator(networks, options)
        if not isinstance(generator, UNet) or c.norm != "batch":
            raise ConfigError(
                f"--statistics {wanted} is about batch norm of a U-Net, and this model has {c.generator} with norm {c.norm}; "
                "leave --statistics out"
            )
        return (lambda image: generator(image, wanted)), generator.geometry_of(wanted)

    # The method

    def turns(self) -> list[Turn]:
        """``d``, then ``g`` on the fakes of ``d`` (section 3.3)."""
        return [
            Turn("d", ("discriminator",), self.discriminator_loss),
            Turn("g", ("generator",), self.generator_loss),
        ]

    def discriminator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """-1/2 (log D(x, y) + log(1 - D(x, G(x)))) in each patch: half the objective, as in section 3.3."""
        with ctx.graph_of("generator"):
            fake = ctx.cache["fake"] = self._make(ctx["generator"], batch["given"])
        real_maps, fake_maps = self._judge(ctx["discriminator"], batch, fake.detach())
        ctx.observe_logits(*self.game.signs(_flat(real_maps), _flat(fake_maps)))
        found = [self.game.discriminator(r, f) for r, f in zip(real_maps, fake_maps, strict=True)]
        return {name: sum_of(terms[name] for terms in found) / (2 * len(found)) for name in found[0]}

    def generator_loss(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """-log D(x, G(x)) in each patch, and the weighted L1 term (eq. 4); feature matching if it has a weight."""
        c, fake = self.config, ctx.cache.pop("fake")
        shown, terms = torch.cat([batch["given"], fake.to(batch["given"].dtype)], 1), {}
        if c.feature_weight:
            maps = ctx["discriminator"](shown, features=True)
            with torch.no_grad():
                true = ctx["discriminator"](torch.cat([batch["given"], batch["image"]], 1), features=True)
            logits = [scale[-1] for scale in maps]
            terms["features"] = c.feature_weight * feature_matching(true, maps)
        else:
            logits = ctx["discriminator"](shown)
        adversarial = sum_of(self.game.generator(m)["adversarial"] for m in logits) / len(logits)
        with ctx.fp32():
            difference = F.l1_loss(fake.to(batch["image"].dtype), batch["image"])
        return {"adversarial": adversarial, "l1": c.l1_weight * difference, **terms}

    def _make(self, network: nn.Module, given: Tensor) -> Tensor:
        return padded(network, given, cast("Geometry", network.geometry))

    def _judge(self, network: nn.Module, batch: Batch, fake: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The maps of logits of the true and of the made pictures, in one pass unless batch norm would mix both."""
        given = batch["given"]
        pairs = [torch.cat([given, image.to(given.dtype)], 1) for image in (batch["image"], fake)]
        if self.config.discriminator_norm == "batch":
            return network(pairs[0]), network(pairs[1])
        maps = network(torch.cat(pairs))
        return [m[: len(given)] for m in maps], [m[len(given) :] for m in maps]

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """The mean logit (n,) of each pair of a prepared batch."""
        maps = networks["discriminator"](torch.cat([batch["given"], batch["image"]], 1))
        return sum_of(m.mean((1, 2, 3)) for m in maps) / len(maps)


def linear_decay(steps: int, share: float) -> Callable[[int], float]:
    """The factor of the learning rate in an iteration: 1, then evenly down to 0 over the last ``share`` of ``steps``."""
    return lambda step: min(1.0, max(0.0, (steps - step) / max(1.0, share * steps)))


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """The sum of at least one tensor."""
    return functools.reduce(torch.add, terms)


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _flat(maps: list[Tensor]) -> Tensor:
    return torch.cat([m.flatten() for m in maps])


def given_channels(info: Mapping[str, Any], recipe: str) -> int:
    """The channels of the given pictures. Raises ConfigError for data without pairs, or with given pictures of another size."""
    pairs, given = info.get("pairs", ""), info.get("given")
    if not pairs or given is None:
        raise ConfigError(
            f"{recipe} learns from pairs of pictures, and this data has no pairs; type --data.pairs folders (two folders with the "
            "same names), left or right (the given half of each picture), or grey (colour from grey)"
        )
    if pairs == "smaller":
        raise ConfigError(
            f"{recipe} makes pictures of the given size, and data.pairs = smaller gives smaller ones; train image/superres, "
            "or type another --data.pairs"
        )
    return given["channels"]


def automatic_depth(side: int, deepest: int) -> int:
    """Halvings that leave `COARSEST` pixels of a side, at least 1 and at most ``deepest``."""
    return max(1, min(deepest, int(math.log2(max(1, side // COARSEST)))))


def feature_matching(true: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """The mean absolute difference of the discriminators' maps, 4 / maps a layer, averaged over scales (Wang et al. 2018, eq. 4)."""
    found = []
    for t, m in zip(true, made, strict=True):
        maps = list(zip(t[:-1], m[:-1], strict=True))  # without the logits
        found.append(sum_of(F.l1_loss(_wide(b), _wide(a)) for a, b in maps) * (4 / len(maps)))
    return sum_of(found) / len(found)
