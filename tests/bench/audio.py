"""Vocoders against plain formulations written here: a training step, synthesis, streaming."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from timing import PRECISIONS, interleave, table

from polygan.settings.trainer import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_audio import hifigan, vocos
from polygan_audio.networks.convolutions import fold
from polygan_audio.networks.hifigan import VARIANTS, Generator
from polygan_audio.networks.melspec import PRESETS
from polygan_audio.synthesis import Synthesiser

INFO = {"sample_rate": 22_050, "segment": 8192, "count": 10_000}


def waveforms(n):
    return 0.1 * torch.randn(n, 8192, generator=torch.Generator().manual_seed(0))


def trainer(recipe, batch, precision="fp32"):
    settings = TrainerSettings(steps=10**9, batch_size=len(batch), precision=precision, hang_timeout=0)
    return Trainer(recipe, {"train": RepeatedBatch({"waveform": batch})}, settings)


def official_layout(module):
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


def official_block(module):
    """The residual block as it is usually written: every result a tensor of its own."""

    def forward(x):
        for dilated, plain in zip(module.convs1, module.convs2, strict=True):
            x = x + plain(F.leaky_relu(dilated(F.leaky_relu(x, 0.1)), 0.1))
        return x

    module.forward = forward


def official_scale(module):
    """The same for the scales."""

    def forward(waveform):
        x, maps = waveform[:, None], []
        for _ in range(module.pools):
            x = F.avg_pool1d(x, 4, 2, 2)
        for c in module.convs:
            maps.append(x := F.leaky_relu(c(x), 0.1))
        return [*maps, module.conv_post(x)]

    module.forward = forward


def plain_step(recipe, real):
    """The usual loop: D not frozen, D(real) with gradients in G's turn, separate passes, default AdamW."""
    networks = recipe.networks()
    g, d = (networks[n] for n in ("generator", "discriminator"))
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


def bench_step(rounds):
    real = waveforms(2)
    torch.manual_seed(0)
    runners = {"plain: the usual loop, fp32": plain_step(hifigan.HiFiGAN(hifigan.Config(), INFO), real)}
    for precision in PRECISIONS:
        runners[f"polygan Trainer, {precision}"] = trainer(
            hifigan.HiFiGAN(hifigan.Config(), INFO), real, precision
        ).iterate
    times = interleave(runners, min(rounds, 5))
    base = next(iter(times.values()))
    rows = [(n, f"{t:.2f} s", f"{base / t:.2f}x") for n, t in times.items()]
    table(f"HiFi-GAN V1 training step, 2 x 8192, {torch.get_num_threads()} threads", rows)


def bench_vocos(rounds):
    runners = {}
    for name, pretrain in (("spectra alone", 10**9), ("with discriminators", 0)):
        for precision in PRECISIONS:
            for prior in ("griffin-lim", "pseudo-inverse") if pretrain else ("griffin-lim",):
                recipe = vocos.Vocos(vocos.Config(pretrain_steps=pretrain, prior=prior), INFO)
                runners[f"{name}, {prior}, {precision}"] = trainer(recipe, waveforms(8), precision).iterate
    paper = vocos.Vocos(vocos.Config(pretrain_steps=0, discriminators="paper"), INFO)
    times = interleave(runners, max(rounds, 7))
    # In rounds of its own: its gigabytes would leave nothing of the others in the caches.
    times |= interleave({"with the paper's discriminators, fp32": trainer(paper, waveforms(8)).iterate}, min(rounds, 3))
    rows = [(n, f"{t * 1e3:.0f} ms", f"{1 / t:.2f} steps/s") for n, t in times.items()]
    table("Vocos training step, 8 x 8192", rows)


def v2():
    torch.manual_seed(0)
    return Generator(VARIANTS["v2"], PRESETS["hifigan"]).eval()


def plain_v2():
    """V2 as usually written: one-dimensional convolutions, weight norm folded, every result a tensor of its own."""
    network = fold(v2())
    for block in network.resblocks:
        official_block(block)
    return network


def bench_synthesis(rounds):
    usual, ours = plain_v2(), v2()
    priors = {
        f"vocos, {prior}": vocos.Vocos(vocos.Config(prior=prior), INFO).networks()["generator"]
        for prior in ("griffin-lim", "pseudo-inverse")
    }
    mel = torch.randn(80, 860)  # 10 s
    seconds = 860 * 256 / 22_050

    @torch.no_grad()
    def plain():
        return usual(mel[None])[0]

    runners = {"HiFi-GAN V2, plain Conv1d, fp32": plain}
    for name, network in {"HiFi-GAN V2": ours, **priors}.items():
        for precision in PRECISIONS:
            made = Synthesiser(network, precision=precision)
            runners[f"{name}, polygan, {precision}"] = lambda made=made: made(mel)
    gap = (plain() - Synthesiser(ours)(mel)).abs().max().item()
    times = interleave(runners, max(rounds, 7))
    base = next(iter(times.values()))
    rows = [(n, f"{seconds / t:.1f} x real time", f"{base / t:.2f}x") for n, t in times.items()]
    table(f"Synthesis of 10 s, {torch.get_num_threads()} threads (V2 differs from plain by {gap:.0e})", rows)


def bench_streaming(_rounds):
    made = Synthesiser(v2())
    mel = torch.randn(80, 5168)  # 60 s
    first = []
    for _ in range(5):
        begin = time.perf_counter()
        next(made.stream([mel]))
        first.append(time.perf_counter() - begin)
    with torch.no_grad():
        gap = (plain_v2()(mel[None])[0] - made(mel)).abs().max().item()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import audio, torch; from timing import peak\n"
        "made = audio.Synthesiser(audio.v2()); before = peak()\n"
        "for piece in made.stream(torch.randn(80, 100) for _ in range(int(sys.argv[2]))): pass\n"
        "print(peak() - before)"
    )
    rows = [("first sound of 60 s", f"{sorted(first)[2] * 1e3:.0f} ms"), ("largest difference", f"{gap:.0e}")]
    for minutes in (1, 10):
        command = [sys.executable, "-c", code, str(Path(__file__).parent), str(round(minutes * 60 * 22_050 / 25_600))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append((f"memory added by {minutes} min", f"{float(done.stdout):.0f} MB"))
    table("HiFi-GAN V2 in pieces, fp32", rows)


def bench_audio(rounds):
    for part in (bench_step, bench_vocos, bench_synthesis, bench_streaming):
        part(rounds)
