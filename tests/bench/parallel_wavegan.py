"""Parallel WaveGAN against the usual formulation written here: a training step, synthesis."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from timing import PRECISIONS, interleave, table
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from polygan.settings.trainer import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_audio import losses, parallel_wavegan
from polygan_audio.cached import CachedSynthesiser
from polygan_audio.formats.comparison import folded

HOP, SEGMENT = 256, 8192
INFO = {"sample_rate": 22_050, "segment": SEGMENT + 4 * HOP, "count": 10_000}


def conv(inputs, outputs, size=1, dilation=1, bias=True):
    made = nn.Conv1d(inputs, outputs, size, padding=dilation * (size - 1) // 2, dilation=dilation, bias=bias)
    return weight_norm(made)


class PlainLayer(nn.Module):
    def __init__(self, dilation):
        super().__init__()
        self.conv, self.aux = conv(64, 128, 3, dilation), conv(80, 128, bias=False)
        self.out, self.skip = conv(64, 64), conv(64, 64)

    def forward(self, x, features):
        a, b = self.conv(x).split(64, 1)
        c, d = self.aux(features).split(64, 1)
        z = torch.tanh(a + c) * torch.sigmoid(b + d)
        return (self.out(z) + x) * math.sqrt(0.5), self.skip(z)


class PlainGenerator(nn.Module):
    """Every convolution as its name says, on (B, C, T)."""

    def __init__(self):
        super().__init__()
        self.first, self.conv_in = conv(1, 64), weight_norm(nn.Conv1d(80, 80, 5, bias=False))
        self.ups = nn.ModuleList(weight_norm(nn.Conv2d(1, 1, (1, 9), padding=(0, 4), bias=False)) for _ in range(4))
        self.layers = nn.ModuleList(PlainLayer(2 ** (i % 10)) for i in range(30))
        self.last = nn.Sequential(nn.ReLU(), conv(64, 64), nn.ReLU(), conv(64, 1))

    def forward(self, noise, mel):
        c = self.conv_in(mel)[:, None]
        for up in self.ups:
            c = up(F.interpolate(c, scale_factor=(1, 4)))
        x, total = self.first(noise), 0
        for layer in self.layers:
            x, skip = layer(x, c[:, 0])
            total = total + skip
        return self.last(total * math.sqrt(1 / 30))


class PlainDiscriminator(nn.Sequential):
    def __init__(self):
        layers = [conv(1, 64, 3), nn.LeakyReLU(0.2, inplace=True)]
        for i in range(1, 9):
            layers += [conv(64, 64, 3, i), nn.LeakyReLU(0.2, inplace=True)]
        super().__init__(*layers, conv(64, 1, 3))


def plain_step(recipe, real):
    """The usual loop: fakes made anew for the discriminator, nothing frozen, passes of their own for real and fake."""
    g, d = PlainGenerator(), PlainDiscriminator()
    og, od = (torch.optim.RAdam(m.parameters(), lr, eps=1e-6) for m, lr in ((g, 1e-4), (d, 5e-5)))
    side = 2 * HOP

    def step():
        mel, wanted = recipe.condition({"waveform": real}), real[:, None, side:-side]
        noise = torch.randn_like(wanted)
        fake = g(noise, mel)
        terms = losses.stft_loss(wanted[:, 0], fake[:, 0], parallel_wavegan.RESOLUTIONS)
        og.zero_grad()
        (sum(terms) + 4 * (d(fake) - 1).square().mean()).backward()
        nn.utils.clip_grad_norm_(g.parameters(), 10)
        og.step()
        with torch.no_grad():
            fake = g(noise, mel)
        od.zero_grad()
        ((d(wanted) - 1).square().mean() + d(fake).square().mean()).backward()
        nn.utils.clip_grad_norm_(d.parameters(), 1)
        od.step()

    return step


def trainer(recipe, real, precision="fp32"):
    settings = TrainerSettings(steps=10**9, batch_size=len(real), precision=precision, hang_timeout=0)
    return Trainer(recipe, {"train": RepeatedBatch({"waveform": real})}, settings)


def recipe_of(**options):
    return parallel_wavegan.ParallelWaveGAN(parallel_wavegan.Config(discriminator_start=0, **options), INFO)


def bench_step(rounds):
    real = 0.1 * torch.randn(2, INFO["segment"], generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    runners = {"plain: the usual loop, fp32": plain_step(recipe_of(), real)}
    for precision in PRECISIONS:
        runners[f"polygan Trainer, {precision}"] = trainer(recipe_of(), real, precision).iterate
    small = recipe_of(size="small", excitation="griffin-lim")
    runners["small, griffin-lim, fp32"] = trainer(small, real).iterate
    times = interleave(runners, min(rounds, 5))
    base = next(iter(times.values()))
    rows = [(n, f"{t:.2f} s", f"{base / t:.2f}x") for n, t in times.items()]
    table(f"Parallel WaveGAN training step, 2 x 8192, {torch.get_num_threads()} threads", rows)


def plain_of(generator):
    """The usual formulation with the weights of ours, weight norm folded."""
    made, ours = PlainGenerator(), folded(generator)
    for layer in [made.first, made.conv_in, *made.ups, made.last[1], made.last[3]]:
        nn.utils.parametrize.remove_parametrizations(layer, "weight")
    for layer in made.layers:
        for part in (layer.conv, layer.aux, layer.out, layer.skip):
            nn.utils.parametrize.remove_parametrizations(part, "weight")
    upsample = ours.upsample_net
    pairs = [(made.first, ours.first_conv), (made.conv_in, upsample.conv_in)]
    pairs += zip(made.ups, upsample.upsample.up_layers.values(), strict=True)
    pairs += zip((made.last[1], made.last[3]), ours.last_conv_layers.values(), strict=True)
    for a, b in zip(made.layers, ours.layers, strict=True):
        pairs += [(a.conv, b.conv), (a.aux, b.conv1x1_aux), (a.out, b.conv1x1_out), (a.skip, b.conv1x1_skip)]
    for a, b in pairs:
        a.load_state_dict(b.state_dict())
    return made.eval()


def bench_synthesis(rounds):
    torch.manual_seed(0)
    ours = recipe_of().networks()["generator"]
    usual, frames = plain_of(ours), 260
    mel = torch.randn(80, frames)
    seconds = frames * HOP / 22_050

    @torch.no_grad()
    def plain():
        padded = F.pad(mel[None], (2, 2), mode="replicate")
        return usual(torch.randn(1, 1, frames * HOP), padded)

    runners = {"plain Conv1d, fp32": plain}
    for precision in PRECISIONS:
        made = CachedSynthesiser(ours, precision=precision)
        runners[f"polygan, {precision}"] = lambda made=made: made(mel)
    small = CachedSynthesiser(recipe_of(size="small", excitation="griffin-lim").networks()["generator"])
    runners["small, griffin-lim, fp32"] = lambda: small(mel)
    times = interleave(runners, min(rounds, 7))
    base = next(iter(times.values()))
    rows = [(n, f"{seconds / t:.1f} x real time", f"{base / t:.2f}x") for n, t in times.items()]
    table(f"Parallel WaveGAN synthesis of {seconds:.1f} s, {torch.get_num_threads()} threads", rows)


def bench_wavegan_parallel(rounds):
    for part in (bench_step, bench_synthesis):
        part(rounds)
