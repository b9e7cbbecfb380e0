"""What adaptive augmentation buys where pictures are few: a small StyleGAN with and without it, by scores on the whole set.

    .venv/bin/python tests/bench/small_data.py --data PATH_OR_NAME [--pictures 200] [--minutes 15] [--seeds 1] [--threads 2]
                                               [--augment ada none]

Each trains for the same time on the same first pictures of the training split, and is scored four times on the way: by the classifier of
all training pictures, and by the discriminator's gap between the few it saw and those held out. Results are appended to --out as JSON
lines with a grid of pictures beside each, and what is there already is not done again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from quality import evaluation_of, opened

import polygan
from polygan.data import Split
from polygan.game.sampling import evaluating
from polygan.scoring.health import overfitting_signal
from polygan.settings.trainer import TrainerSettings
from polygan.training.trainer import Trainer
from polygan_image.data.pictures import grid
from polygan_image.scores import metrics
from polygan_image.stylegan import Config, StyleGAN

BATCH, POINTS, SHOWN = 16, 4, 256


def gap(trainer, recipe, domain, few, held_out):
    """`overfitting_signal` of the live discriminator, on what it trains on, held-out pictures and fresh fakes."""

    def real(split):
        rows = split.rows[:SHOWN]
        return domain.prepare(domain.collate(split, rows, np.full((len(rows), domain.draws), 0.5)), split.store.info)

    live = trainer.networks(averaged=False)
    fakes = domain.batch_of(polygan.make_samples(recipe, trainer.networks(), SHOWN, 1))
    with evaluating(live), torch.no_grad():
        return overfitting_signal(*(recipe.critic(live, b) for b in (real(few), real(held_out), fakes)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--count", type=int, default=2_000, help="generated samples")
    parser.add_argument("--augment", nargs="+", default=["ada", "none"])
    parser.add_argument("--horizon", type=int, default=50_000, help="of ada, in pictures")
    parser.add_argument("--mode_seeking", type=float, default=0.1)
    parser.add_argument("--limit", type=float, default=0.8, help="of its probability")
    parser.add_argument("--out", type=Path, default=Path("runs/small-data.jsonl"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    domain, settings, splits = opened(source=arguments.data, resolution=arguments.resolution)
    few = Split(splits["train"].store, splits["train"].rows[: arguments.pictures], "train")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []

    for seed in range(arguments.seeds):
        for augment in arguments.augment:
            row = {"data": arguments.data, "pictures": arguments.pictures, "minutes": arguments.minutes}
            row |= {"resolution": arguments.resolution, "threads": arguments.threads, "count": arguments.count}
            row |= {"mode_seeking": arguments.mode_seeking}
            row |= {"augment": augment, "horizon": arguments.horizon, "limit": arguments.limit, "seed": seed}
            if any((row | {"point": POINTS}).items() <= other.items() for other in done):
                continue
            config = Config(
                channel_base=512, channel_max=128, learning_rate=0.005, mode_seeking=arguments.mode_seeking,
                augment=augment, augment_horizon=arguments.horizon, augment_limit=arguments.limit,
            )  # fmt: skip
            recipe = StyleGAN(config, few.store.info)
            run = TrainerSettings(steps=10**9, batch_size=BATCH, seed=seed, hang_timeout=0)
            stream = polygan.Stream(few, domain, BATCH, seed)
            facts = few.store.info
            trainer = Trainer(
                recipe, {"train": stream}, run, prepare=lambda batch, info=facts: domain.prepare(batch, info)
            )
            for point in range(1, POINTS + 1):
                end = time.monotonic() + 60 * arguments.minutes / POINTS
                while time.monotonic() < end:
                    trainer.iterate()
                networks = trainer.networks()
                evaluation = evaluation_of(recipe, networks, domain, settings, splits, arguments.count)
                scores = [*metrics.frechet(evaluation), *metrics.manifolds(evaluation), *metrics.diversity(evaluation)]
                values = {s.name: round(s.value, 4) for s in scores} | gap(
                    trainer, recipe, domain, few, splits["held_out"]
                )
                if augment == "ada":
                    values["p"] = round(networks["augmentation"].p.item(), 3)
                record = row | {"point": point, "shown": trainer.samples, "floor": scores[0].floor} | values
                with arguments.out.open("a") as file:
                    file.write(json.dumps(record) + "\n")
                print(json.dumps(record), flush=True)
                picture = arguments.out.with_name(f"{arguments.out.stem}-{augment}-{seed}-{point}.png")
                grid(polygan.make_samples(recipe, networks, 80, 1).data, 10, 2).save(picture)


if __name__ == "__main__":
    main()
