"""What a fixed time of training buys: DCGAN through the Trainer (fp32, bf16) against the plain loop, by image/frechet.

    .venv/bin/python tests/bench/quality.py --data PATH_OR_NAME [--minutes 10] [--seeds 3] [--threads 2] [--kinds plain fp32 bf16]
                                          [--mode_seeking 0.3]

All train the same networks with the same settings on the same split; the plain loop is the usual one (default Adam,
contiguous tensors, opponent not frozen, no average, no mode seeking, fakes reused). With 10 minutes and 3 seeds it takes 90 minutes
on a quiet machine. Results are appended to --out as JSON lines, and what is there already is not done again.

A machine without bf16 emulates it so slowly that a fixed time says nothing of its quality: there, `--kinds fp32 bf16-rounded` trains in
bf16 for as many samples as fp32 saw, with the products of the networks computed as bf16 hardware does (see `rounded`), at fp32's speed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F

import polygan
from polygan.data import build_store, cache_folder, split_store
from polygan.plugins import get_catalogue
from polygan.runs.assembly import open_source
from polygan.scoring.evaluation import Evaluation
from polygan.seeding import mix, seed_everything
from polygan.settings.trainer import TrainerSettings
from polygan.training.trainer import Trainer
from polygan_image.dcgan import DCGAN, Config

BATCH = 64


def rounded(product):
    """The product of bf16 hardware in fp32 arithmetic: under autocast its operands, its result and all gradients are rounded to bf16."""

    def call(*arguments, **options):
        if not torch.is_autocast_enabled("cpu"):
            return product(*arguments, **options)
        arguments = [a.bfloat16().float() if isinstance(a, torch.Tensor) else a for a in arguments]
        with torch.autocast("cpu", enabled=False):
            return product(*arguments, **options).bfloat16()

    return call


def ours(recipe, stream, domain, precision, seed, seconds, samples=math.inf):
    settings = TrainerSettings(steps=10**9, batch_size=BATCH, precision=precision, seed=seed, hang_timeout=0)
    trainer = Trainer(recipe, {"train": stream}, settings, prepare=lambda batch: domain.prepare(batch, recipe.info))
    end = time.monotonic() + seconds
    while time.monotonic() < end and trainer.samples < samples:
        trainer.iterate()
    return trainer.networks(), trainer.samples


def ours_rounded(recipe, stream, domain, seed, samples):
    products = {name: rounded(getattr(F, name)) for name in ("conv2d", "conv_transpose2d", "linear")}
    with mock.patch.multiple(F, **products):
        return ours(recipe, stream, domain, "bf16", seed, math.inf, samples)


def plain(recipe, stream, domain, seed, seconds):
    seed_everything(mix(seed, -1))
    networks = recipe.networks()
    g, d = networks["generator"], networks["discriminator"]
    og, od = (torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in (g, d))
    end, step = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        batch = domain.prepare(stream.batch(step), recipe.info)
        real, label = batch["image"], batch.get("label")
        d.zero_grad()
        F.softplus(-d(real, label)).mean().backward()
        fake = g(torch.randn(BATCH, recipe.config.latent_dim), label)
        F.softplus(d(fake.detach(), label)).mean().backward()
        od.step()
        g.zero_grad()
        F.softplus(-d(fake, label)).mean().backward()
        og.step()
        step += 1
    return {"generator": g, "discriminator": d}, step * BATCH


def opened(**data):
    """The domain of pictures, its settings and the splits of a set."""
    catalogue = get_catalogue()
    domain = catalogue.resolve(catalogue.domain("image"))()
    settings = domain.Settings(**data)
    store = build_store(open_source(settings, domain, catalogue), settings)
    return domain, settings, split_store(store, settings.held_out)


def evaluation_of(recipe, networks, domain, settings, splits, count):
    """What a metric is given: ``count`` pictures of these networks against the splits."""
    return Evaluation(
        domain=domain,
        info=splits["train"].store.info,
        train=splits["train"],
        held_out=splits["held_out"],
        recipe=recipe,
        networks=networks,
        cache=cache_folder(settings),
        device=torch.device("cpu"),
        samples=count,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--count", type=int, default=10_000, help="generated samples")
    parser.add_argument("--kinds", nargs="+", default=["plain", "fp32", "bf16"])
    parser.add_argument("--mode_seeking", type=float, default=Config.mode_seeking, help="its weight in all but plain")
    parser.add_argument("--out", type=Path, default=Path("runs/quality.jsonl"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    domain, settings, splits = opened(source=arguments.data)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []

    def found(kind):
        """Rows of this kind with these arguments."""
        wanted = {"data": arguments.data, "minutes": arguments.minutes, "threads": arguments.threads, "kind": kind}
        wanted |= {"mode_seeking": 0 if kind == "plain" else arguments.mode_seeking}
        return wanted, [row for row in rows if wanted.items() <= row.items()]

    for seed in range(arguments.seeds):  # seeds outside, kinds inside: a drift of the machine hits all alike
        for kind in arguments.kinds:
            wanted, done = found(kind)
            if seed in [row["seed"] for row in done]:
                continue
            recipe = DCGAN(Config(mode_seeking=arguments.mode_seeking), splits["train"].store.info)
            stream = polygan.Stream(splits["train"], domain, BATCH, seed)
            seconds = 60 * arguments.minutes
            if kind == "plain":
                networks, shown = plain(recipe, stream, domain, seed, seconds)
            elif kind == "bf16-rounded":
                samples = next((row["shown"] for row in found("fp32")[1] if row["seed"] == seed), None)
                if samples is None:
                    parser.error(
                        f"bf16-rounded is as long as fp32, of which seed {seed} is not there; --kinds fp32 bf16-rounded"
                    )
                networks, shown = ours_rounded(recipe, stream, domain, seed, samples)
            else:
                networks, shown = ours(recipe, stream, domain, kind, seed, seconds)
            frechet = get_catalogue().resolve(get_catalogue().metric("image/frechet"))
            (score,) = frechet(evaluation_of(recipe, networks, domain, settings, splits, arguments.count))
            row = wanted | {
                "seed": seed,
                "shown": shown,
                "frechet": score.value,
                "floor": score.floor,
                "note": score.note,
            }
            rows.append(row)
            with arguments.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(
                f"{kind} seed {seed}: {shown:,} samples, frechet {score.value:.3f}, floor {score.floor:.3f}", flush=True
            )
    for kind in arguments.kinds:
        _, mine = found(kind)
        values = [r["frechet"] for r in mine]
        shown = statistics.median(r["shown"] for r in mine)
        print(
            f"{kind:6} {min(values):.3f} .. {max(values):.3f}, median {statistics.median(values):.3f}; {shown:,} samples"
        )


if __name__ == "__main__":
    main()
