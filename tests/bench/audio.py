"""Vocoders against plain formulations written here: a training step, synthesis, streaming."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import torch
from plain_loops import hifigan_step, official_block
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


def plain_step(recipe, real):
    """The usual loop, on networks of its own."""
    return hifigan_step(recipe, recipe.networks(), real)


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


def bench_vocoders(rounds):
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
    for part in (bench_step, bench_vocos, bench_streaming):
        part(rounds)
