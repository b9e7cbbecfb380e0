"""StyleGAN2 at 64x64x3, batch 16, 4.4M + 4.7M parameters, against the plain formulation, and what the extras and scores cost.

The plain formulation (tests/image/plain.py) has a weight for each sample in grouped convolutions and FIR filters by zero insertion,
these in the two ways that ports have: on each map alone, or as one depthwise convolution.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from timing import PRECISIONS, interleave, table

sys.path.insert(0, str(Path(__file__).parents[1] / "image"))
import plain

from polygan.settings.trainer import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training import trainer as trainer_module
from polygan.training.trainer import Trainer
from polygan_image.scores.classifier import Classifier, extract
from polygan_image.stylegan import Config, StyleGAN

SIDE, BATCH = 64, 16
INFO = {"channels": 3, "height": SIDE, "width": SIDE, "classes": [], "count": 1000}


def trainer(precision="fp32", **options):
    settings = TrainerSettings(steps=10**9, batch_size=BATCH, precision=precision, hang_timeout=0)
    batch = {"image": torch.rand(BATCH, 3, SIDE, SIDE) * 2 - 1}
    return Trainer(StyleGAN(Config(**{"augment": "none", **options}), INFO), {"train": RepeatedBatch(batch)}, settings)


def step(made):
    """An iteration in which no lazy penalty is due."""

    def run():
        made.step = 1
        made.iterate()

    return run


def turn(made, name):
    """One turn alone."""
    index, found = next((i, t) for i, t in enumerate(made.turns) if t.name == name)
    return lambda: made.play(found, index, 0, [{}])


def with_torchs_derivatives(run):
    """A turn whose second derivatives are torch's own."""

    def played():
        ours, trainer_module.DoubleBackward = trainer_module.DoubleBackward, nullcontext
        try:
            run()
        finally:
            trainer_module.DoubleBackward = ours

    return played


def plain_step(fir):
    """The usual loop: fresh fakes in each turn, nothing frozen, default Adam. ``fir`` is `plain.each_map` or `plain.depthwise`."""
    networks = StyleGAN(Config(augment="none"), INFO).networks()
    g, d = networks["generator"], networks["discriminator"]
    og, od = (torch.optim.Adam(m.parameters(), lr=2.5e-3, betas=(0.0, 0.99)) for m in (g, d))
    real = torch.rand(BATCH, 3, SIDE, SIDE) * 2 - 1

    def fakes():
        styles = g.styles(
            torch.randn(BATCH, 256), None, torch.randn(BATCH, 256), torch.randint(1, g.style_count, (BATCH,))
        )
        return plain.synthesise(g, styles, [torch.randn(BATCH, 1, s, s) for s in g.noise_sizes], fir)

    def run():
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

    return run


def bench_image(rounds):
    lazy = trainer(path_weight=2.0)
    runners = {
        "plain formulation, fp32": plain_step(plain.each_map),
        "the same, filters depthwise": plain_step(plain.depthwise),
        "polygan Trainer, fp32": step(trainer()),
        "polygan Trainer, fp32, fresh fakes": step(trainer(reuse_fakes=False)),
        "polygan Trainer, fp32, ada": step(trainer(augment="ada")),
        "polygan Trainer, fp32, diffaugment": step(trainer(augment="diffaugment")),
        "the turn r1 alone": turn(lazy, "r1"),
        "the turn r1 alone, torch's second derivatives": with_torchs_derivatives(turn(lazy, "r1")),
        "the turn path alone": turn(lazy, "path"),
        "the turn path alone, torch's second derivatives": with_torchs_derivatives(turn(lazy, "path")),
    }
    if "bf16" in PRECISIONS:
        runners["polygan Trainer, bf16"] = step(trainer("bf16"))
    times = interleave(runners, rounds)
    base, ours = times["plain formulation, fp32"], times["polygan Trainer, fp32"]
    rows = [(n, f"{t:.2f} s", f"{base / t:.2f}x" if "turn" not in n else "") for n, t in times.items()]
    costs = {
        "R1 every 16 adds": times["the turn r1 alone"] / 16,
        "path length every 4 adds": times["the turn path alone"] / 4,
        "adaptive augmentation adds": times["polygan Trainer, fp32, ada"] - ours,
        "DiffAugment adds": times["polygan Trainer, fp32, diffaugment"] - ours,
    }
    rows += [(name, f"{cost / ours:+.1%}") for name, cost in costs.items()]
    rows.append(("largest relative difference of a picture from the plain one", f"{difference():.1e}"))
    table(f"StyleGAN2 {SIDE}x{SIDE}x3, batch {BATCH}, {torch.get_num_threads()} threads, {rounds} rounds", rows)
    bench_scores()


def difference():
    torch.manual_seed(0)
    g = trainer().actors["generator"].module
    with torch.no_grad():
        styles, noise = g.styles(torch.randn(4, 256)), [torch.randn(4, 1, s, s) for s in g.noise_sizes]
        expected = plain.synthesise(g, styles, noise)
        return float((g.synthesise(styles, noise) - expected).abs().max() / expected.abs().max())


def bench_scores(count=10_000):
    """What the scores cost once a classifier is there: the features of 10,000 pictures and the distances between them."""
    from polygan_image.scores.metrics import frechet_distance, kernel_distance, precision_recall

    network = Classifier(3, 32, 10).eval()
    pictures = torch.rand(count, 3, 32, 32) * 2 - 1
    seconds, begin = {}, time.perf_counter()
    values, _ = extract(network, pictures, torch.device("cpu"))
    seconds["features"] = time.perf_counter() - begin
    a, b = values[::2], values[1::2]
    for name, score in (
        ("Frechet distance", lambda: frechet_distance(a, b)),
        ("kernel distance", lambda: kernel_distance(a, b, 1000)),
        ("precision and recall", lambda: precision_recall(a, b)),
    ):
        begin = time.perf_counter()
        score()
        seconds[name] = time.perf_counter() - begin
    rows = [(name, f"{s:.1f} s") for name, s in [*seconds.items(), ("all", sum(seconds.values()))]]
    table(f"Scoring {count:,} pictures 3x32x32 with the run's classifier, half against half", rows)
