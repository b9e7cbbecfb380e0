"""The recipe of two networks that a script hands in: any generator and discriminator of torch with a loss by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import nn

from ... import losses
from ...data.domain import Samples
from ...errors import ConfigError, one_line
from ...game.protocol import Player, Turn
from ...game.recipe import Recipe
from ...game.sampling import class_index, in_chunks
from ...settings.ranges import Checked, ranged

if TYPE_CHECKING:
    from torch import Tensor

    from ...data.source import Batch
    from ...game.protocol import Context
    from ...game.recipe import Request
    from ...settings.trainer import TrainerSettings

Network = nn.Module | Callable[[], nn.Module]
"""A network, or what makes one when it is called without arguments (a class, a function)."""


@dataclass(frozen=True)
class NetworksConfig(Checked, group="model"):
    """How two networks are trained."""

    latent_dim: int | tuple[int, ...] = ranged(64, "[1, inf)")
    """Size of a latent, standard normal: 64, or (100, 1, 1) for a generator that takes (n, 100, 1, 1)."""
    loss: Literal["minimax", "saturating", "least_squares", "hinge", "wasserstein", "relativistic"] = "minimax"
    """The game, a name in `polygan.losses.ADVERSARIAL`; minimax is the non-saturating game."""
    learning_rate: float = ranged(2e-4, "(0, 1]", usual="2e-4")
    """Of Adam, for both networks."""
    discriminator_learning_rate: float = ranged(0.0, "[0, 1]", usual="4e-4")
    """Of the discriminator alone; 0: ``learning_rate``."""
    betas: tuple[float, float] = ranged((0.5, 0.999), "[0, 1)", usual="(0.5, 0.999)")
    """Decay of Adam's mean gradient and mean squared gradient."""
    critic_steps: int = ranged(1, "[1, inf)")
    """Steps of the discriminator for each step of the generator."""
    r1: float = ranged(0.0, "[0, inf)")
    """Weight gamma of the penalty R1 (`polygan.losses.r1`); 0: none."""
    gradient_penalty: float | None = ranged(None, "[0, inf)")
    """Weight of WGAN-GP's penalty (`polygan.losses.wgan_gp`); None: 10 for the Wasserstein loss without ``weight_clip``, else none."""
    weight_clip: float = ranged(0.0, "[0, inf)", usual="0.01")
    """Bound of the discriminator's weights (WGAN); 0: none."""
    ema_half_life: float = ranged(10_000.0, "[0, inf)")
    """Half-life of the averaged generator in samples; 0: not averaged."""
    conditional: bool = False
    """Whether the networks are called with classes: generator(latents, labels) and discriminator(samples, labels)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.latent_dim
        if not isinstance(size, int) and len(size) == 1:  # a text such as "64" is read as (64,)
            object.__setattr__(self, "latent_dim", size[0])

    @property
    def penalty(self) -> float:
        """The weight of WGAN-GP's penalty."""
        if self.gradient_penalty is None:
            return 10.0 if self.loss == "wasserstein" and not self.weight_clip else 0.0
        return self.gradient_penalty


OPTIONS = tuple(NetworksConfig.__dataclass_fields__)
"""The keywords of `polygan.train` that belong to two networks."""


@dataclass(frozen=True)
class NetworksSampling:
    """Options of generation."""

    label: str | int | None = None
    """The class of all samples, by name or number, for networks with classes; None: random classes."""


class NetworksGAN(Recipe[NetworksConfig]):
    """A generator (n, latent_dim) -> (n, ...) against a discriminator (n, ...) -> (n,) or (n, 1)."""

    Config = NetworksConfig
    Sampling = NetworksSampling
    handed: ClassVar[Mapping[str, Network]] = {}

    def networks(self) -> dict[str, nn.Module]:
        """Copies of the networks, so that those of the script stay as they are."""
        return {name: _made(name, network) for name, network in self.handed.items()}

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> dict[str, Player]:
        """Adam for both (Kingma & Ba 2015), and an average of the generator."""
        c = self.config
        g, d = networks["generator"], networks["discriminator"]
        rate = c.discriminator_learning_rate or c.learning_rate
        return {
            "generator": Player(g, _adam(g, c.learning_rate, c.betas), ema_half_life=c.ema_half_life),
            "discriminator": Player(d, _adam(d, rate, c.betas), weight_clip=c.weight_clip),
        }

    def turns(self) -> list[Turn]:
        """The discriminator's steps, then the generator's step."""
        if self.config.conditional and not self.info.get("classes"):
            raise ConfigError("conditional = True needs labelled data: hand over data=(samples, labels)")
        c = self.config
        twice = c.r1 > 0 or c.penalty > 0
        d = Turn("d", ("discriminator",), self.d, repeat=c.critic_steps, differentiates_twice=twice)
        return [d, Turn("g", ("generator",), self.g)]

    def d(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The discriminator's loss and penalties."""
        c, label, network = self.config, self._labels(batch), ctx["discriminator"]
        real = _sample(batch).detach().requires_grad_(c.r1 > 0)
        fake = self._fake(ctx, real, label).detach()
        real_logits, fake_logits = self._logits(network, real, label), self._logits(network, fake, label)
        if c.loss not in ("relativistic", "wasserstein"):  # whose logits have no sign that means real or fake
            ctx.observe_logits(real_logits, fake_logits)
        terms = dict(losses.ADVERSARIAL[c.loss].discriminator(real_logits, fake_logits))
        if c.r1:
            terms["r1"] = losses.r1(real_logits, real, c.r1)
        if c.penalty:
            mix = ctx.noise.uniform(len(real))
            terms["penalty"] = losses.wgan_gp(lambda x: self._logits(network, x, label), real, fake, mix, c.penalty)
        return terms

    def g(self, ctx: Context, batch: Batch) -> dict[str, Tensor]:
        """The generator's loss."""
        real, label, network = _sample(batch), self._labels(batch), ctx["discriminator"]
        real_logits = self._logits(network, real, label) if self.config.loss == "relativistic" else None
        fake_logits = self._logits(network, self._fake(ctx, real, label), label)
        return losses.ADVERSARIAL[self.config.loss].generator(fake_logits, real_logits)

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """Samples (n, ...) from standard normal latents, and their classes where the networks take classes."""
        latents = request.noise.normal(request.n, *self._latent_shape).to(request.device)
        label, classes = None, tuple(self.info.get("classes", ())) if self.config.conditional else ()
        wanted = class_index(request.options.label, classes)
        if classes:
            label = request.noise.integers(len(classes), request.n)
            label = (label if wanted is None else torch.full_like(label, wanted)).to(request.device)
        generator = networks["generator"]

        def made(z: Tensor, y: Tensor | None) -> Tensor:
            return (generator(z) if y is None else generator(z, y)).float()

        return Samples(in_chunks(made, latents, label), labels=None if label is None else label.cpu(), classes=classes)

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a batch."""
        return self._logits(networks["discriminator"], _sample(batch), self._labels(batch))

    @property
    def _latent_shape(self) -> tuple[int, ...]:
        size = self.config.latent_dim
        return (size,) if isinstance(size, int) else tuple(size)

    def _labels(self, batch: Batch) -> Tensor | None:
        return batch["label"] if self.config.conditional else None

    def _fake(self, ctx: Context, real: Tensor, label: Tensor | None) -> Tensor:
        """As many fakes as there are real samples, of their shape."""
        latents = ctx.noise.normal(len(real), *self._latent_shape)
        fake = _called("generator", ctx["generator"], latents, label)
        if fake.shape != real.shape:
            raise ConfigError(
                f"the generator makes {tuple(fake.shape)} for a batch of {tuple(real.shape)}: build it for the data's shape"
            )
        return fake

    def _logits(self, network: nn.Module, x: Tensor, label: Tensor | None) -> Tensor:
        logits = _called("discriminator", network, x, label)
        if logits.shape[:1] != x.shape[:1] or logits.numel() != len(x):
            raise ConfigError(
                f"the discriminator gives {tuple(logits.shape)} for {len(x)} samples: let it end in one logit a sample, "
                "(n,) or (n, 1), without a sigmoid"
            )
        return logits.flatten()


def _adam(network: nn.Module, rate: float, betas: tuple[float, float]) -> torch.optim.Adam | None:
    parameters = [p for p in network.parameters() if p.requires_grad] or list(network.parameters())
    return torch.optim.Adam(parameters, rate, (betas[0], betas[1])) if parameters else None


def _called(name: str, network: nn.Module, x: Tensor, label: Tensor | None) -> Tensor:
    try:
        return network(x) if label is None else network(x, label)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        what = f"{tuple(x.shape)}{'' if label is None else f' and labels {tuple(label.shape)}'}"
        remedy = "set latent_dim to what it takes" if name == "generator" else "build it for the data's shape"
        raise ConfigError(f"the {name} does not take {what} ({one_line(error)}): {remedy}") from error


def _sample(batch: Batch) -> Tensor:
    """The samples of a batch of any domain: the first field that is neither a label nor given."""
    return next(value for name, value in batch.items() if name not in ("label", "given"))


def _made(name: str, network: Network) -> nn.Module:
    """A copy of a network, or a new network."""
    try:
        found = copy.deepcopy(network) if isinstance(network, nn.Module) else network()
    except (TypeError, RuntimeError) as error:
        raise ConfigError(
            f"the {name} cannot be copied or made ({one_line(error)}): hand over a module, or a function without arguments"
        ) from error
    if not isinstance(found, nn.Module):
        raise ConfigError(f"the {name} is {type(found).__name__}, not a torch.nn.Module: hand over a module")
    return found.train()


def networks_recipe(networks: object, domain: str) -> type[NetworksGAN]:
    """The recipe of ``(generator, discriminator)`` for a domain. Raises ConfigError for anything else."""
    if not isinstance(networks, tuple | list) or len(networks) != 2 or not all(map(callable, networks)):
        raise ConfigError("networks are (generator, discriminator), two modules of torch: hand over both in a tuple")
    handed = dict(zip(("generator", "discriminator"), networks, strict=True))
    return type("NetworksGAN", (NetworksGAN,), {"domain": domain, "handed": handed})
