"""CycleGAN at 128x128, batch 1, ResNets of 9 blocks: a training step of polygan against the usual loop.

The usual loop is that of the official code: both generators play first (fakes, ways back and identities in six passes), then both
discriminators, on fakes from pools of 50 pictures, real and made pictures in two passes; torch's default Adam, default memory
format, fp32. polygan's times are means over two iterations, one of which has the identity terms, with twice their weight.
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from pix2pix import as_usual
from timing import PRECISIONS, interleave, table

from polygan.settings.trainer import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_image.cyclegan import Config, CycleGAN

SIDE = 128
INFO = {"channels": 3, "height": SIDE, "width": SIDE, "classes": ["a", "b"], "count": 400}
PERIOD = Config().identity_every
NETWORKS = {"the paper's networks": {"norm": "instance", "up": "transposed"}, "our defaults": {}}


def recipe(**options):
    return CycleGAN(Config(decay=0.0, **options), INFO)


def pictures():
    draw = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, SIDE, SIDE, generator=draw) * 2 - 1 for _ in "ab"]


def trainer_step(precision, **options):
    settings = TrainerSettings(steps=10**9, batch_size=1, precision=precision, hang_timeout=0)
    streams = {f"train/{side}": RepeatedBatch({"image": x}) for side, x in zip("ab", pictures(), strict=True)}
    return Trainer(recipe(**options), streams, settings)


def usual_step(networks):
    """An iteration of the official code; it returns the generators' terms by the names of ours."""
    to, judges = ({side: networks[f"{kind}_{side}"] for side in "ab"} for kind in ("to", "discriminator"))
    both = [[p for m in players.values() for p in m.parameters()] for players in (to, judges)]
    og, od = (torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999)) for parameters in both)
    real, pools = dict(zip("ab", pictures(), strict=True)), {"a": [], "b": []}

    def shown(side, fake):
        pool = pools[side]
        if len(pool) < 50:
            pool.append(fake)
            return fake
        if random.random() < 0.5:
            k = random.randrange(50)
            fake, pool[k] = pool[k], fake
        return fake

    def run():
        fakes, terms = {"b": to["b"](real["a"]), "a": to["a"](real["b"])}, {}
        for judge in judges.values():
            judge.requires_grad_(False)
        og.zero_grad()
        for side, back in ("ba", "ab"):
            judged = judges[side](fakes[side])
            terms[f"g/to_{side}"] = F.mse_loss(judged, torch.ones_like(judged))
            terms[f"g/cycle_{back}"] = F.l1_loss(to[back](fakes[side]), real[back]) * 10
            terms[f"g/identity_{side}"] = F.l1_loss(to[side](real[side]), real[side]) * 5
        sum(terms.values()).backward()
        og.step()
        for judge in judges.values():
            judge.requires_grad_(True)
        od.zero_grad()
        for side in "ab":
            true, made = judges[side](real[side]), judges[side](shown(side, fakes[side].detach()))
            loss = (F.mse_loss(true, torch.ones_like(true)) + F.mse_loss(made, torch.zeros_like(made))) / 2
            loss.backward()
        od.step()
        return terms

    return run


def difference(options):
    """The largest relative difference of a generator's term from the usual loop's, before any network was trained."""
    options = {**options, "identity_every": 1}
    made = trainer_step("fp32", **options)
    copies = recipe(**options).networks()
    for name, network in copies.items():
        network.load_state_dict(made.actors[name].module.state_dict())
    expected = usual_step({name: as_usual(network) for name, network in copies.items()})()
    found = {}
    made._record = lambda turn, terms: found.update({f"{turn.name}/{name}": t for name, t in terms.items()})
    made.iterate()
    names = [name for name in expected if "to_" not in name]  # here the discriminators play first
    return max(float(((found[name] - expected[name].detach()) / expected[name].detach()).abs()) for name in names)


def bench_cyclegan(rounds):
    for title, options in NETWORKS.items():
        networks = {name: as_usual(network) for name, network in recipe(**options).networks().items()}
        runners = {"usual loop, fp32": usual_step(networks)}
        for precision in PRECISIONS:
            made = trainer_step(precision, **options)
            runners[f"polygan Trainer, {precision}"] = several(made)
        times = interleave(runners, rounds)
        times = {name: t if name.startswith("usual") else t / PERIOD for name, t in times.items()}
        base = times["usual loop, fp32"]
        rows = [(name, f"{t:.2f} s", f"{base / t:.2f}x") for name, t in times.items()]
        rows.append(("largest relative difference of cycle and identity", f"{difference(options):.1e}", ""))
        table(f"CycleGAN {SIDE}x{SIDE}, batch 1, {title}, {torch.get_num_threads()} threads, {rounds} rounds", rows)


def several(made):
    """The iterations of a period: one has the identity terms, and every other shows fakes of the averaged generators."""
    return lambda: [made.iterate() for _ in range(PERIOD)]
