"""Networks that know nothing of polygan: any generator and discriminator of torch, trained from Python or on a folder.

    python examples/any_modules.py                        # about 15 seconds on one CPU core

The command trains two small networks on a tensor of points on a circle. It prints the mean distance from the circle of real, first and
last samples: 0, 0.66, and 0.015. `main` shows how: bring two modules and a tensor, and call `fit`. Call `fit` again with more
``steps`` to go on where it stopped.

    polygan --plugin ./examples/any_modules.py train image/modules --data path/to/pictures \\
        --data.resolution 28 --data.channels 1
    PYTHONPATH=. polygan --plugin ./examples/any_modules.py train image/modules --data path/to/pictures \\
        --model.generator my_nets:generator --model.discriminator my_nets:discriminator --model.latent_dim 128

These commands train on pictures, as a run with reports, scores and `polygan resume`. ``my_nets:generator`` names a function or class of
my_nets.py. polygan calls it without arguments and takes the module that it returns.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import nn

import polygan
from polygan import losses


@polygan.hookimpl
def polygan_recipes():
    return [
        polygan.RecipeSpec("image/modules", "any_modules:PictureModules", "any generator and discriminator of torch")
    ]


# What somebody else wrote


class Generator(nn.Module):
    """Latents (n, latent_dim) to samples (n, *shape) in [-1, 1]."""

    def __init__(self, latent_dim=64, shape=(1, 28, 28), width=256):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.out = nn.Sequential(nn.Linear(width, torch.Size(shape).numel()), nn.Tanh(), nn.Unflatten(1, shape))

    def forward(self, z):
        return self.out(self.hidden(z))


class Discriminator(nn.Module):
    """Samples (n, *shape) to logits (n, 1)."""

    def __init__(self, shape=(1, 28, 28), width=256):
        super().__init__()
        layers = [nn.Linear(torch.Size(shape).numel(), width), nn.LeakyReLU(0.2), nn.Linear(width, width)]
        self.net = nn.Sequential(nn.Flatten(), *layers, nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, x):
        return self.net(x)


# The adapter


@dataclass(frozen=True)
class Config:
    """How they are trained."""

    generator: str = "any_modules:Generator"
    """``module:name`` of what makes the generator, called without arguments (not used by `fit`)."""
    discriminator: str = "any_modules:Discriminator"
    """The same of the discriminator."""
    latent_dim: int = 64
    """Numbers in a latent vector (standard normal), >= 1: what the generator takes."""
    loss: Literal["minimax", "least_squares", "hinge", "relativistic"] = "minimax"
    """The game (`polygan.losses.ADVERSARIAL`)."""
    learning_rate: float = 2e-4
    """Of Adam, for both players, (0, 1]."""
    beta1: float = 0.5
    """Decay of Adam's mean gradient, [0, 1)."""
    r1: float = 0.0
    """Weight gamma of the R1 penalty (`polygan.losses.r1`), >= 0; 0: none. It calms games that go round in circles."""
    ema_half_life: float = 10_000
    """Half-life of the averaged generator in samples, >= 0; 0: not averaged."""

    def __post_init__(self):
        sizes = self.latent_dim >= 1 and min(self.r1, self.ema_half_life) >= 0
        if not (sizes and 0 < self.learning_rate <= 1 and 0 <= self.beta1 < 1):
            raise polygan.ConfigError(f"model: {self} is out of range; the docstrings of its fields say what fits")


class Modules(polygan.Recipe[Config]):
    """A generator (n, latent_dim) -> (n, ...) against a discriminator (n, ...) -> (n,) or (n, 1).

    Batches are ``{field: samples}``, with samples (n, ...).
    """

    Config = Config
    field = "sample"

    def __init__(self, config, info, generator=None, discriminator=None):
        super().__init__(config, info)
        self.own = {"generator": generator, "discriminator": discriminator}

    def networks(self):
        return {name: own or made(getattr(self.config, name), name) for name, own in self.own.items()}

    def players(self, networks, training):
        c = self.config

        def player(module, half_life=0.0):
            return polygan.Player(
                module,
                torch.optim.Adam(module.parameters(), c.learning_rate, (c.beta1, 0.999)),
                ema_half_life=half_life,
            )

        return {
            "generator": player(networks["generator"], c.ema_half_life),
            "discriminator": player(networks["discriminator"]),
        }

    def turns(self):
        d = polygan.Turn("d", ("discriminator",), self.d, differentiates_twice=self.config.r1 > 0)
        return [d, polygan.Turn("g", ("generator",), self.g)]

    def fake(self, ctx, real):
        """As many fakes as there are real samples, of their shape."""
        fake = ctx["generator"](ctx.noise.normal(len(real), self.config.latent_dim))
        if fake.shape != real.shape:
            raise polygan.ConfigError(
                f"the generator makes {tuple(fake.shape)} for a batch of {tuple(real.shape)}: build it for the data's "
                "shape"
            )
        return fake

    def logits(self, network, x):
        """Logits (n,)."""
        logits = network(x)
        if logits.shape not in ((len(x),), (len(x), 1)):
            raise polygan.ConfigError(
                f"the discriminator gives {tuple(logits.shape)} for {len(x)} samples: let it end in one logit a "
                "sample, (n,) or (n, 1), without a sigmoid"
            )
        return logits.flatten()

    def d(self, ctx, batch):
        real = batch[self.field].detach().requires_grad_(self.config.r1 > 0)
        fake = self.fake(ctx, real).detach()
        real_logits, fake_logits = (self.logits(ctx["discriminator"], x) for x in (real, fake))
        if self.config.loss != "relativistic":  # whose logits have a meaning in pairs only
            ctx.observe_logits(real_logits, fake_logits)
        penalty = {"r1": losses.r1(real_logits, real, self.config.r1)} if self.config.r1 else {}
        return losses.ADVERSARIAL[self.config.loss].discriminator(real_logits, fake_logits) | penalty

    def g(self, ctx, batch):
        real, discriminator = batch[self.field], ctx["discriminator"]
        real_logits = self.logits(discriminator, real) if self.config.loss == "relativistic" else None
        fake_logits = self.logits(discriminator, self.fake(ctx, real))
        return losses.ADVERSARIAL[self.config.loss].generator(fake_logits, real_logits)

    def generate(self, networks, request):
        latent = request.noise.normal(request.n, self.config.latent_dim).to(request.device)
        return polygan.Samples(polygan.in_chunks(lambda z: networks["generator"](z).float(), latent))

    def critic(self, networks, batch):
        return self.logits(networks["discriminator"], batch[self.field])


def made(target, name):
    """What the function or class ``module:name`` returns."""
    module, _, attribute = target.partition(":")
    try:
        network = getattr(import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise polygan.ConfigError(
            f"model.{name} = {target!r} makes no network ({type(error).__name__}: {error}): name a function without "
            "arguments as module:function, in a folder on PYTHONPATH"
        ) from error
    if not isinstance(network, nn.Module):
        raise polygan.ConfigError(f"model.{name} = {target!r} returns {type(network).__name__}, not a torch.nn.Module")
    return network


# On a folder of pictures, by the command line


class PictureModules(Modules):
    """The same for pictures (n, C, H, W) in [-1, 1], as `polygan train` feeds them."""

    domain = "image"
    field = "image"
    defaults: ClassVar[dict] = {"steps": 5000, "batch_size": 64}


# On a tensor, from Python


class Rows:
    """Batches of random rows of a tensor; batch i depends on (seed, i) alone, as a run that can be resumed needs it."""

    def __init__(self, data, batch_size, seed):
        self.data, self.batch_size, self.seed = data, batch_size, seed

    def batch(self, i):
        rows = polygan.Noise().reset(self.seed, i).integers(len(self.data), self.batch_size)
        return {Modules.field: self.data[rows]}


class Printed(polygan.Listener):
    """A line on stderr each time that values are logged."""

    def logged(self, trainer, values):
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items() if name[:2] in ("d/", "g/"))
        print(f"step {trainer.step}  {shown}", file=sys.stderr)


def fit(generator, discriminator, data, folder, *, settings=None, device="cpu", listener=None, **config):
    """Train two modules on ``data`` (N, ...), a tensor on the CPU; returns the `polygan.Trainer`.

    Checkpoints go to ``folder``/checkpoints, and training continues from the newest one there. ``settings`` is a
    `polygan.TrainerSettings`, ``config`` are fields of `Config`. ``trainer.networks()`` has the averaged networks.
    """
    settings = settings or polygan.TrainerSettings()
    checkpoints = polygan.Checkpoints(Path(folder) / "checkpoints", keep=settings.keep, writable=True)
    trainer = polygan.Trainer(
        Modules(Config(**config), {}, generator, discriminator),
        {"train": Rows(data, settings.batch_size, settings.seed)},
        settings,
        device=device,
        checkpoints=checkpoints,
        listener=listener,
    )
    if checkpoints.entries():
        trainer.restore(checkpoints.load())
    trainer.fit()
    return trainer


def sample(trainer, n, seed=0):
    """(n, ...) samples of the averaged generator on the CPU; sample i of a seed is the same for any ``n``."""
    return polygan.make_samples(trainer.recipe, trainer.networks(), n, seed).data


def main(folder="runs/any-modules", steps=1000):
    """Points on a circle; returns their mean distance from it: real ones, and samples before and after training."""
    angle = torch.rand(5000, generator=torch.Generator().manual_seed(0)) * 2 * torch.pi
    data = 0.8 * torch.stack([angle.cos(), angle.sin()], 1)
    torch.manual_seed(0)  # of the networks' initial values: they are made before the trainer seeds anything
    generator, discriminator = Generator(8, (2,), 64), Discriminator((2,), 64)
    with torch.no_grad():
        first = generator(torch.randn(1000, 8))

    settings = polygan.TrainerSettings(steps=steps, batch_size=128, log_every=200, precision="fp32")
    config = {"latent_dim": 8, "learning_rate": 3e-3, "beta1": 0.0, "r1": 0.1}
    trainer = fit(generator, discriminator, data, folder, settings=settings, listener=Printed(), **config)
    last = sample(trainer, 1000)

    gaps = {
        name: float((x.norm(dim=1) - 0.8).abs().mean())
        for name, x in {"real": data, "first": first, "last": last}.items()
    }
    for name, gap in gaps.items():
        print(f"{name}: {gap:.4f} from the circle")
    return gaps


if __name__ == "__main__":
    main()
