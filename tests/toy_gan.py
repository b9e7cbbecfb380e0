"""A whole plugin in one file, for the core's tests: two-dimensional points, an MLP GAN, a metric."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

import polygan
from polygan import losses


@polygan.hookimpl
def polygan_domains():
    return [polygan.DomainSpec("points", "toy_gan:Points", "points in the plane")]


@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("points/mlp", "toy_gan:MLPGAN", "an MLP GAN on points")]


@polygan.hookimpl
def polygan_datasets():
    return [polygan.DatasetSpec("ring", "points", "toy_gan:ring", "8 Gaussians on a circle")]


@polygan.hookimpl
def polygan_metrics():
    return [polygan.MetricSpec("points/spread", "toy_gan:spread", "standard deviation against the real one")]


class ArraySource(polygan.Source):
    fields = {"point": polygan.Field("float32", (2,))}

    def __init__(self, points, key):
        self.points, self.key, self.info = points, key, {"size": 2}

    def __len__(self):
        return len(self.points)

    def fingerprint(self):
        return self.key

    def decode(self, index):
        return {"point": self.points[index]}


def ring(settings):
    rng = np.random.default_rng(0)
    angle = rng.integers(8, size=512) * np.pi / 4
    points = np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * rng.standard_normal((512, 2))
    return ArraySource(points.astype("float32"), "ring-1")


class Points(polygan.Domain):
    id = "points"
    reads, writes = (".npy",), (".csv", ".npy")

    def open(self, settings):
        try:
            points = np.load(settings.source)
        except (OSError, ValueError) as error:
            raise polygan.DataError(f"{settings.source} is not a .npy file: {error}") from None
        return ArraySource(points.astype("float32"), f"{settings.source} {points.sum()}")

    def real(self, split, rows):
        return polygan.Samples(split.store.gather("point", rows), self)

    def batch_of(self, samples):
        return {"point": samples.data}

    def write(self, samples, path):
        path = path if path.suffix else path / "points.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npy":
            np.save(path, samples.data.numpy())
        else:
            np.savetxt(path, samples.data.numpy(), delimiter=",")
        return [Path(path)]

    def read(self, path, info):
        try:
            points = np.load(path)
        except (OSError, ValueError, EOFError) as error:
            raise polygan.DataError(f"{path} is not a .npy file: {error}") from None
        for begin in range(0, len(points), 16):
            yield polygan.Samples(torch.from_numpy(points[begin : begin + 16].astype("float32")), self)

    def take(self, value, info):
        return polygan.Samples(torch.as_tensor(value, dtype=torch.float32), self)

    def read_text(self, lines, info):
        for line in lines:
            yield polygan.Samples(torch.tensor([[float(word) for word in line.split()]]), self)

    def lines(self, samples):
        return [f"{x:g} {y:g}" for x, y in samples.data.tolist()]

    def render(self, samples):
        return [polygan.Passage("\n".join(f"{x:.2f} {y:.2f}" for x, y in samples.data[:8].tolist()), "<points>")]

    def features(self, samples):
        return samples.data


def spread(evaluation):
    fakes = evaluation.generate(evaluation.samples, 0).data
    rows = evaluation.train.rows
    real = evaluation.train.store.gather("point", rows)
    held_out = evaluation.held_out.store.gather("point", evaluation.held_out.rows)
    gap = (fakes.std() - real.std()).abs().item()
    return [polygan.Score("points/spread", gap, (held_out.std() - real.std()).abs().item())]


@dataclass(frozen=True)
class Config:
    """Settings of the toy."""

    latent_dim: int = 4
    """Size of the latent."""
    width: int = 16
    """Hidden units."""
    loss: Literal["minimax", "hinge", "relativistic"] = "minimax"
    """Adversarial loss."""
    r1: float = 0.0
    """Weight of R1; 0: none."""
    r1_every: int = 1
    """1: inside the discriminator's turn; more: in its own."""
    critic_steps: int = 1
    """Discriminator steps an iteration."""
    learning_rate: float = 2e-3
    """Of Adam."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    """Which."""
    policy: bool = False
    """The generator's turn is a policy gradient that never calls forward."""
    poison_at: int = -1
    """The step from which the generator's loss is NaN."""
    poison_rollbacks: int = 1000
    """Poisoned only while fewer rollbacks than this have happened."""
    batch_norm: bool = False
    """In the generator."""
    sync: bool = False
    """Read a value inside the turn: a mistake, for the tests."""
    double: bool = False
    """Networks in float64."""


@dataclass(frozen=True)
class Sampling:
    """Options of generation."""

    scale: float = 1.0
    """Factor of the latents."""


class Policy(nn.Module):
    """A table of logits over 8 directions; has no forward."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Parameter(torch.linspace(-1, 1, 8))


class MLPGAN(polygan.Recipe):
    """Goodfellow et al. 2014 with two small MLPs."""

    domain = "points"
    Config = Config
    Sampling = Sampling
    defaults = {"steps": 20, "batch_size": 32, "log_every": 5, "sample_every": 10, "save_every": 5}

    def networks(self):
        c = self.config
        norm = [nn.BatchNorm1d(c.width)] if c.batch_norm else []
        g = nn.Sequential(nn.Linear(c.latent_dim, c.width), *norm, nn.ReLU(), nn.Linear(c.width, 2))
        d = nn.Sequential(nn.Linear(2, c.width), nn.Softplus(), nn.Linear(c.width, 1), nn.Flatten(0))
        g = Policy() if c.policy else g
        if c.double:
            g, d = g.double(), d.double()
        return {"generator": g, "discriminator": d}

    def players(self, networks, training):
        c = self.config

        def player(module, half_life):
            make = torch.optim.Adam if c.optimizer == "adam" else torch.optim.RMSprop
            optimizer = make(module.parameters(), lr=c.learning_rate)
            scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
            return polygan.Player(module, optimizer, scheduler, ema_half_life=half_life, clip=1.0)

        return {"generator": player(networks["generator"], 200), "discriminator": player(networks["discriminator"], 0)}

    def turns(self):
        c = self.config
        inline = c.r1 > 0 and c.r1_every == 1
        d = polygan.Turn("d", ("discriminator",), self.d, repeat=c.critic_steps, differentiates_twice=inline)
        g = polygan.Turn("g", ("generator",), self.policy_gradient if c.policy else self.g)
        r1 = polygan.Turn("r1", ("discriminator",), self.r1, every=c.r1_every, differentiates_twice=True)
        return [d, r1, g] if c.r1 > 0 and not inline else [d, g]

    def _real(self, batch):
        return batch["point"].double() if self.config.double else batch["point"]

    def _fake(self, ctx, n):
        dtype = torch.float64 if self.config.double else None
        if self.config.policy:
            action = (ctx.noise.uniform(n, dtype=dtype) * 8).long()
            angle = action * (torch.pi / 4)
            return torch.stack([angle.cos(), angle.sin()], 1).to(dtype or torch.float32)
        return ctx["generator"](ctx.noise.normal(n, self.config.latent_dim, dtype=dtype))

    def d(self, ctx, batch):
        real = self._real(batch)
        inline = self.config.r1 > 0 and self.config.r1_every == 1
        if inline:
            real = real.detach().requires_grad_(True)
        real_logits = ctx["discriminator"](real)
        fake_logits = ctx["discriminator"](self._fake(ctx, len(real)).detach())
        if self.config.sync:
            real_logits.mean().item()
        ctx.observe_logits(real_logits, fake_logits)
        terms = losses.ADVERSARIAL[self.config.loss].discriminator(real_logits, fake_logits)
        return {**terms, "r1": losses.r1(real_logits, real, self.config.r1)} if inline else terms

    def r1(self, ctx, batch):
        real = self._real(batch).detach().requires_grad_(True)
        weight = self.config.r1 * self.config.r1_every
        return {"r1": losses.r1(ctx["discriminator"](real), real, weight)}

    def g(self, ctx, batch):
        real = self._real(batch)
        fake_logits = ctx["discriminator"](self._fake(ctx, len(real)))
        real_logits = ctx["discriminator"](real) if self.config.loss == "relativistic" else None
        terms = losses.ADVERSARIAL[self.config.loss].generator(fake_logits, real_logits)
        if 0 <= self.config.poison_at <= ctx.step and ctx.rollbacks < self.config.poison_rollbacks:
            terms = {**terms, "poison": fake_logits.mean() * float("nan")}
        return terms

    def policy_gradient(self, ctx, batch):
        policy, n = ctx["generator"], len(batch["point"])
        uniform = ctx.noise.uniform(n, dtype=policy.logits.dtype)
        action = (uniform[:, None] > policy.logits.softmax(0).cumsum(0).detach()).sum(1).clamp(max=7)
        angle = action * (torch.pi / 4)
        points = torch.stack([angle.cos(), angle.sin()], 1).to(policy.logits.dtype)
        reward = ctx["discriminator"](points).detach()
        return {"policy": -(reward * policy.logits.log_softmax(0)[action]).mean()}

    def generate(self, networks, request):
        latents = request.noise.normal(request.n, self.config.latent_dim) * request.options.scale
        return polygan.Samples(networks["generator"](latents))

    def preview(self):
        return 16, Sampling()

    def critic(self, networks, batch):
        return networks["discriminator"](batch["point"])
