"""Training steps as ports to PyTorch write them, on any device: what tests/device measures polygan against.

Nothing here is frozen or reused that a usual loop does not freeze or reuse, optimizers are torch's defaults, and precision is fp32.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1] / "image"))
import plain

Step = Callable[[], None]


def networks_of(recipe: Any) -> Mapping[str, nn.Module]:
    """A recipe's networks, ready to be trained."""
    return {name: network.train() for name, network in recipe.networks().items()}


# DCGAN 64x64x3


def tutorial_networks() -> tuple[nn.Sequential, nn.Sequential]:
    """Generator and discriminator as the usual tutorial writes them (ngf = ndf = 64, latent 100)."""

    def up(i, o, s, p):
        return [nn.ConvTranspose2d(i, o, 4, s, p, bias=False)]

    def down(i, o, s, p):
        return [nn.Conv2d(i, o, 4, s, p, bias=False)]

    g = []
    for i, o, s, p in ((100, 512, 1, 0), (512, 256, 2, 1), (256, 128, 2, 1), (128, 64, 2, 1)):
        g += [*up(i, o, s, p), nn.BatchNorm2d(o), nn.ReLU(True)]
    g += [*up(64, 3, 2, 1), nn.Tanh()]
    d = [*down(3, 64, 2, 1), nn.LeakyReLU(0.2, True)]
    for i, o in ((64, 128), (128, 256), (256, 512)):
        d += [*down(i, o, 2, 1), nn.BatchNorm2d(o), nn.LeakyReLU(0.2, True)]
    d += [*down(512, 1, 1, 0), nn.Sigmoid()]
    return nn.Sequential(*g), nn.Sequential(*d)


def dcgan_step(real: Tensor) -> Step:
    """BCE on probabilities, default Adam, D not frozen in G's step, fakes reused; ``real`` (n, 3, 64, 64)."""
    g, d = (network.to(real.device) for network in tutorial_networks())
    bce = nn.BCELoss()
    og, od = (torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in (g, d))
    one, zero = torch.ones(len(real), device=real.device), torch.zeros(len(real), device=real.device)

    def step():
        d.zero_grad()
        bce(d(real).view(-1), one).backward()
        fake = g(torch.randn(len(real), 100, 1, 1, device=real.device))
        bce(d(fake.detach()).view(-1), zero).backward()
        od.step()
        g.zero_grad()
        bce(d(fake).view(-1), one).backward()
        og.step()

    return step


# StyleGAN2


def stylegan_step(
    networks: Mapping[str, nn.Module], real: Tensor, latent: int, fir: Callable[..., Tensor] = plain.depthwise
) -> Step:
    """Fresh fakes in each turn, nothing frozen, default Adam. ``fir``: `plain.each_map` or `plain.depthwise`."""
    g, d, n, device = networks["generator"], networks["discriminator"], len(real), real.device
    plain.TAPS = plain.TAPS.to(device)  # else each filter would copy it anew
    og, od = (torch.optim.Adam(m.parameters(), lr=2.5e-3, betas=(0.0, 0.99)) for m in (g, d))

    def fakes():
        z = [torch.randn(n, latent, device=device) for _ in range(2)]
        styles = g.styles(z[0], None, z[1], torch.randint(1, g.style_count, (n,), device=device))
        return plain.synthesise(g, styles, [torch.randn(n, 1, s, s, device=device) for s in g.noise_sizes], fir)

    def step():
        od.zero_grad()
        with torch.no_grad():
            fake = fakes()
        (
            F.softplus(-plain.discriminate(d, real, fir)).mean() + F.softplus(plain.discriminate(d, fake, fir)).mean()
        ).backward()
        od.step()
        og.zero_grad()
        F.softplus(-plain.discriminate(d, fakes(), fir)).mean().backward()
        og.step()

    return step


# HiFi-GAN


def official_layout(module: nn.Module) -> None:
    """The periods as they are usually laid out: (T / p, p), convolved along the first of both."""

    def forward(waveform):
        missing = -waveform.shape[-1] % module.period
        x = F.pad(waveform[:, None], (0, missing), mode="reflect") if missing else waveform[:, None]
        x, maps = x.unflatten(2, (-1, module.period)), []
        for c in module.convs:
            x = F.conv2d(x, c.weight.transpose(2, 3), c.bias, (c.stride[1], 1), (c.padding[1], 0))
            maps.append(x := F.leaky_relu(x, 0.1))
        c = module.conv_post
        return [*maps, F.conv2d(x, c.weight.transpose(2, 3), c.bias, 1, (1, 0))]

    module.forward = forward


def official_block(module: nn.Module) -> None:
    """The residual block as it is usually written: every result a tensor of its own."""

    def forward(x):
        for dilated, straight in zip(module.convs1, module.convs2, strict=True):
            x = x + straight(F.leaky_relu(dilated(F.leaky_relu(x, 0.1)), 0.1))
        return x

    module.forward = forward


def official_scale(module: nn.Module) -> None:
    """The same for the scales."""

    def forward(waveform):
        x, maps = waveform[:, None], []
        for _ in range(module.pools):
            x = F.avg_pool1d(x, 4, 2, 2)
        for c in module.convs:
            maps.append(x := F.leaky_relu(c(x), 0.1))
        return [*maps, module.conv_post(x)]

    module.forward = forward


def hifigan_step(recipe: Any, networks: Mapping[str, nn.Module], real: Tensor) -> Step:
    """D not frozen, D(real) with gradients in G's turn, separate passes, default AdamW; ``real`` (n, samples)."""
    g, d = networks["generator"], networks["discriminator"]
    for block in g.resblocks:
        official_block(block)
    for member in d.families["periods"].discriminators:
        official_layout(member)
    for member in d.families["scales"].discriminators:
        official_scale(member)
    og, od = (torch.optim.AdamW(m.parameters(), 2e-4, (0.8, 0.99)) for m in (g, d))

    def step():
        fake = g(recipe.mel(real)[..., : real.shape[1] // 256])
        od.zero_grad()
        pairs = zip(d(real), d(fake.detach()), strict=True)
        d_loss = sum((r[-1] - 1).square().mean() + f[-1].square().mean() for r, f in pairs)
        d_loss.backward()
        od.step()
        og.zero_grad()
        pairs = list(zip(d(real), d(fake), strict=True))
        features = sum((a - b).abs().mean() for r, f in pairs for a, b in zip(r, f, strict=True))
        adversarial = sum((f[-1] - 1).square().mean() for _, f in pairs)
        mel = (recipe.loss_mel(fake) - recipe.loss_mel(real)).abs().mean()
        (adversarial + 2 * features + 45 * mel).backward()
        og.step()

    return step


# SeqGAN


@dataclass(frozen=True)
class Sentences:
    """Sizes of a generator step; the defaults are the paper's."""

    batch: int = 64
    length: int = 20
    vocabulary: int = 5000
    rollouts: int = 16


class PlainGenerator(nn.Module):
    """Embedding, LSTM and head, as a tutorial writes them."""

    def __init__(self, size: Sentences = Sentences()) -> None:
        super().__init__()
        self.size = size
        self.embedding, self.lstm = nn.Embedding(size.vocabulary, 32), nn.LSTM(32, 32, batch_first=True)
        self.head = nn.Linear(32, size.vocabulary)
        for p in self.parameters():
            nn.init.normal_(p, std=0.1)

    def forward(self, tokens, state=None):
        out, state = self.lstm(self.embedding(tokens), state)
        return self.head(out), state

    @torch.no_grad()
    def complete(self, prefix):
        """Sequences whose prefix (n, k) is read again from its beginning."""
        start = torch.zeros(len(prefix), 1, dtype=torch.long, device=prefix.device)
        logits, state = self(torch.cat([start, prefix], 1))
        tokens = [prefix]
        for t in range(prefix.shape[1], self.size.length):
            token = torch.multinomial(logits[:, -1].softmax(1), 1)
            tokens.append(token)
            if t + 1 < self.size.length:
                logits, state = self(token, state)
        return torch.cat(tokens, 1)


class PlainDiscriminator(nn.Module):
    """Convolution, bias, rectifier, maximum over time; highway; dropout; two classes."""

    def __init__(self, filters, size: Sentences = Sentences()) -> None:
        super().__init__()
        filters = [(width, maps) for width, maps in filters if width <= size.length]
        self.embedding = nn.Embedding(size.vocabulary, 64)
        self.convolutions = nn.ModuleList(nn.Conv2d(1, maps, (width, 64)) for width, maps in filters)
        total = sum(maps for _, maps in filters)
        self.highway, self.gate, self.head = nn.Linear(total, total), nn.Linear(total, total), nn.Linear(total, 2)

    def forward(self, tokens):
        x = self.embedding(tokens)[:, None]
        x = torch.cat([F.max_pool1d(h := c(x).relu().squeeze(3), h.shape[2]).squeeze(2) for c in self.convolutions], 1)
        gate = self.gate(x).sigmoid()
        x = gate * self.highway(x).relu() + (1 - gate) * x
        return self.head(F.dropout(x, 0.25, self.training))


def seqgan_step(size: Sentences, device: torch.device) -> Step:
    """The usual port: rollout by rollout, prefix by prefix."""
    from polygan_text.discriminator import PAPER_FILTERS

    g, d = PlainGenerator(size).to(device), PlainDiscriminator(PAPER_FILTERS, size).to(device)
    optimizer = torch.optim.Adam(g.parameters(), 0.01)

    def step():
        tokens = g.complete(torch.zeros(size.batch, 0, dtype=torch.long, device=device))
        d.eval()
        rewards = torch.zeros(size.batch, size.length, device=device)
        with torch.no_grad():
            for _ in range(size.rollouts):
                for t in range(1, size.length):
                    rewards[:, t - 1] += d(g.complete(tokens[:, :t])).softmax(1)[:, 1]
                rewards[:, -1] += d(tokens).softmax(1)[:, 1]
        given = F.pad(tokens[:, :-1], (1, 0))
        nll = F.cross_entropy(g(given)[0].flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)
        optimizer.zero_grad()
        (nll * rewards / size.rollouts).sum().backward()
        nn.utils.clip_grad_norm_(g.parameters(), 5)
        optimizer.step()

    return step
