"""What `make bench` prints: speed and memory as ratios of interleaved runs, against the plain baselines written here.

    .venv/bin/python tests/bench/run.py [dcgan] [overhead] [store] [checkpoint] [start] [text] [leakgan] [generating] [image] [pix2pix] [cyclegan] [enlarging] [audio] [vocoders] [wavegan-parallel] [speech]

Every figure is the median of rounds A B C A B C ... with the same number of threads; a quiet machine gives steadier ones.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))

from audio import bench_audio, bench_vocoders
from cyclegan import bench_cyclegan
from e2e.test_startup import install_hundred
from enlarging import bench_enlarging
from generating import bench_generating
from image import bench_image
from leakgan import bench_leakgan
from parallel_wavegan import bench_wavegan_parallel
from pix2pix import bench_pix2pix
from plain_loops import dcgan_step
from speech import bench_speech
from text import bench_text
from timing import PRECISIONS, interleave, table

from polygan.settings.trainer import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer

# DCGAN 64x64x3


def bare_step(precision, reuse=True):
    """The optimised step without a trainer: channels_last, fused Adam, frozen opponent, autocast."""
    networks = dcgan(reuse).networks()
    g, d = (networks[k].to(memory_format=torch.channels_last) for k in ("generator", "discriminator"))
    og, od = (torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=True) for m in (g, d))
    real = (torch.rand(64, 3, 64, 64) * 2 - 1).contiguous(memory_format=torch.channels_last)

    def autocast():
        return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

    def step():
        with autocast():
            with torch.set_grad_enabled(reuse):
                fake = g(torch.randn(64, 100), None)
            loss = F.softplus(-d(real, None)).mean() + F.softplus(d(fake.detach(), None)).mean()
        loss.backward()
        od.step()
        od.zero_grad()
        d.requires_grad_(False)
        with autocast():
            if not reuse:
                fake = g(torch.randn(64, 100), None)
            loss = F.softplus(-d(fake, None)).mean()
        loss.backward()
        d.requires_grad_(True)
        og.step()
        og.zero_grad()

    return step


def dcgan(reuse=True):
    from polygan_image.dcgan import DCGAN, Config

    info = {"channels": 3, "height": 64, "width": 64, "classes": [], "count": 64}
    return DCGAN(Config(reuse_fakes=reuse, ema_half_life=0), info)


def trainer_step(precision, reuse=True):
    batch = {"image": torch.rand(64, 3, 64, 64) * 2 - 1}
    settings = TrainerSettings(steps=10**9, batch_size=64, precision=precision, hang_timeout=0)
    return Trainer(dcgan(reuse), {"train": RepeatedBatch(batch)}, settings).iterate


def bench_dcgan(rounds):
    runners = {"plain tutorial loop, fp32": dcgan_step(torch.rand(64, 3, 64, 64) * 2 - 1)}
    for p in PRECISIONS:
        runners[f"polygan Trainer, {p}"] = trainer_step(p)
        runners[f"bare optimised loop, {p}"] = bare_step(p)
    runners[f"polygan Trainer, {PRECISIONS[-1]}, fresh fakes"] = trainer_step(PRECISIONS[-1], reuse=False)
    times = interleave(runners, rounds)
    base = times["plain tutorial loop, fp32"]
    rows = [(n, f"{64 / t:.1f} img/s", f"{base / t:.2f}x") for n, t in times.items()]
    for p in PRECISIONS:
        cost = times[f"polygan Trainer, {p}"] / times[f"bare optimised loop, {p}"] - 1
        rows.append((f"the trainer's cost over the bare loop, {p}", f"{cost:+.1%}", ""))
    table(f"DCGAN 64x64x3, ngf = ndf = 64, batch 64, {torch.get_num_threads()} threads, {rounds} rounds", rows)


# The trainer's own cost


def bench_overhead(rounds):
    from toy_gan import MLPGAN, Config

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    real = torch.randn(64, 2)

    class Bare(MLPGAN):
        """What the loop below does, no more: no average, clipping, schedule or observed values."""

        def players(self, networks, training):
            players = super().players(networks, training)
            for player in players.values():
                player.scheduler, player.ema_half_life, player.clip = None, 0, 0
            return players

        def d(self, ctx, batch):
            ctx.observe_logits = lambda real, fake: None
            return super().d(ctx, batch)

    recipe = Bare(Config(width=64, learning_rate=1e-4), {})
    settings = TrainerSettings(steps=10**9, batch_size=64, precision="fp32", hang_timeout=0)
    trainer = Trainer(recipe, {"train": RepeatedBatch({"point": real})}, settings)
    networks = MLPGAN(Config(width=64, learning_rate=1e-4), {}).networks()
    g, d = (networks[k] for k in ("generator", "discriminator"))
    og, od = (torch.optim.Adam(m.parameters(), lr=1e-4, fused=True) for m in (g, d))

    def bare():
        od.zero_grad()
        fake = g(torch.randn(64, 4)).detach()
        (F.softplus(-d(real)).mean() + F.softplus(d(fake)).mean()).backward()
        od.step()
        d.requires_grad_(False)
        og.zero_grad()
        F.softplus(-d(g(torch.randn(64, 4)))).mean().backward()
        d.requires_grad_(True)
        og.step()

    def hundred(step):
        return lambda: [step() for _ in range(100)]

    times = interleave({"bare": hundred(bare), "trainer": hundred(trainer.iterate)}, max(rounds, 15))
    per_turn = {k: t / 200 * 1e6 for k, t in times.items()}
    table(
        "Tiny MLP, microseconds a turn, 1 thread",
        [(k, f"{v:.0f}") for k, v in per_turn.items()]
        + [("the trainer's cost", f"{per_turn['trainer'] - per_turn['bare']:.0f}")],
    )
    torch.set_num_threads(threads)


# The store


def resident(kind):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(kind))


def bench_store(rounds):
    import numpy as np

    import polygan
    from polygan.data import build_store, split_store
    from toy_gan import Points

    n = 1_000_000

    class Pictures(polygan.Source):
        fields = {"image": polygan.Field("uint8", (3, 32, 32))}
        info = {}

        def __len__(self):
            return n

        def fingerprint(self):
            return f"bench {n}"

        def decode(self, index):
            return {"image": np.full((3, 32, 32), index % 251, np.uint8)}

    folder = tempfile.mkdtemp(prefix="polygan-bench-")
    try:
        begin = time.perf_counter()
        store = build_store(Pictures(), polygan.DataSettings(cache=folder), progress=False)
        built = time.perf_counter() - begin
        stream = polygan.Stream(split_store(store, 0.0)["train"], Points(), 64, 0)
        gather = {"image": lambda i: stream.batch(i)}
        gather["image"](0)
        before, counter, rates = resident("RssAnon"), 0, []
        for _ in range(max(rounds, 5)):
            begin = time.perf_counter()
            for _ in range(1000):
                stream.batch(counter)
                counter += 1
            rates.append(64_000 / (time.perf_counter() - begin))
        table(
            "A store of 1,000,000 pictures 3x32x32 (3 GB), batches of 64 in random order, one thread",
            [
                ("feeding", f"{statistics.median(rates):,.0f} pictures/s"),
                ("built at", f"{n / built:,.0f} samples/s"),
                ("anonymous memory gained", f"{resident('RssAnon') - before:.0f} MB"),
                ("file pages mapped (reclaimable)", f"{resident('RssFile'):.0f} MB"),
            ],
        )
    finally:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


# Checkpoints


def bench_checkpoint(rounds):
    from polygan.training.checkpoint import Checkpoints

    tensors = {f"layer{i}": torch.randn(1024, 1024) for i in range(75)}  # 300 MB
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder) / "checkpoints", keep=1)
        step = iter(range(1, 10**6))
        plain = Path(folder) / "plain.pt"

        def durable():
            torch.save(tensors, plain)
            with plain.open("rb") as file:
                os.fsync(file.fileno())

        runners = {
            "torch.save": lambda: torch.save(tensors, plain),
            "torch.save + fsync": durable,
            "Checkpoints.save": lambda: checkpoints.save(next(step), {"g": tensors}, {}, seed=0, good=True),
            "Checkpoints.load (verified)": checkpoints.load,
        }
        runners["Checkpoints.save"]()
        times = interleave(runners, max(rounds, 7))
    base = times["torch.save"]
    table(
        "A checkpoint of 300 MB",
        [(n, f"{t:.3f} s", f"{t / base:.2f}x") for n, t in times.items()],
    )


# Starting


def bench_start(rounds):
    exe = [sys.executable, "-m", "polygan"]
    runners = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "polygan --help": [*exe, "--help"],
        "polygan list": [*exe, "list"],
        "polygan plugins": [*exe, "plugins"],
        "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    }
    calls = {n: lambda c=c: subprocess.run(c, check=True, capture_output=True) for n, c in runners.items()}
    with tempfile.TemporaryDirectory() as folder:
        more = install_hundred(Path(folder))
        calls["polygan list, 20 plugins and 100 recipes more"] = lambda: subprocess.run(
            [*exe, "list"], check=True, capture_output=True, env=more
        )
        times = interleave(calls, max(rounds, 7))
    table("Starting", [(n, f"{t:.3f} s") for n, t in times.items()])


def main():
    benches = {
        "dcgan": bench_dcgan,
        "overhead": bench_overhead,
        "store": bench_store,
        "checkpoint": bench_checkpoint,
        "start": bench_start,
        "text": bench_text,
        "leakgan": bench_leakgan,
        "generating": bench_generating,
        "image": bench_image,
        "pix2pix": bench_pix2pix,
        "cyclegan": bench_cyclegan,
        "enlarging": bench_enlarging,
        "audio": bench_audio,
        "vocoders": bench_vocoders,
        "wavegan-parallel": bench_wavegan_parallel,
        "speech": bench_speech,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", help=", ".join(benches))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0, help="default: torch's choice")
    arguments = parser.parse_args()
    if unknown := set(arguments.which) - set(benches):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(benches)}")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for name, bench in benches.items():
        if not arguments.which or name in arguments.which:
            bench(arguments.rounds)
            gc.collect()


if __name__ == "__main__":
    main()
