"""pix2pix at 256x256, batch 1: a training step of polygan against the usual loop, on the paper's networks and on ours.

The usual loop is that of the official code: the made picture is used in both turns, D sees true and made pairs in two passes and is
frozen in G's turn; torch's default Adam, default memory format, fp32. Enlarging is ``nn.Upsample`` and a convolution where the
network has resize convolutions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timing import PRECISIONS, interleave, table
from torch import nn

from polygan.settings.trainer import TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_image.networks.resnet import Enlarged, PixelNorm
from polygan_image.pix2pix import Config, Pix2Pix

SIDE = 256
INFO = {"channels": 3, "height": SIDE, "width": SIDE, "pairs": "folders", "given": {"channels": 3}, "count": 400}
NETWORKS = {
    "the paper's networks": {"norm": "batch", "up": "transposed", "depth": 8, "discriminator_norm": "batch"},
    "our defaults": {},
}


def recipe(**options):
    return Pix2Pix(Config(ema_half_life=0, decay=0.0, **options), INFO)


def pair():
    draw = torch.Generator().manual_seed(0)
    given, image = (torch.rand(1, 3, SIDE, SIDE, generator=draw) * 2 - 1 for _ in range(2))
    return {"given": given, "image": image}


def trainer_step(precision, **options):
    settings = TrainerSettings(steps=10**9, batch_size=1, precision=precision, hang_timeout=0)
    return Trainer(recipe(**options), {"train": RepeatedBatch(pair())}, settings)


class PlainNorm(nn.LayerNorm):
    """The norm over channels as it is usually written."""

    def forward(self, x):
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
        scaled = (x - mean) / torch.sqrt(variance + self.eps)
        return scaled * self.weight[:, None, None] + self.bias[:, None, None]


def as_usual(network):
    """The network with its layers as they are usually written."""
    for name, child in network.named_children():
        if isinstance(child, Enlarged):
            layer = nn.Conv2d(child.in_channels, child.out_channels, 3, padding=1, bias=child.bias is not None)
            layer.load_state_dict(child.state_dict())
            setattr(network, name, nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), layer))
        elif isinstance(child, PixelNorm):
            norm = PlainNorm(child.normalized_shape, child.eps)
            norm.load_state_dict(child.state_dict())
            setattr(network, name, norm)
        else:
            as_usual(child)
    return network


def usual_step(g, d):
    """A step that returns its terms by the names of ours."""
    batch, bce = pair(), F.binary_cross_entropy_with_logits
    given, real = batch["given"], batch["image"]
    og, od = (torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in (g, d))

    def run():
        fake = g(given)
        d.requires_grad_(True)
        od.zero_grad()
        (made,), (true,) = d(torch.cat([given, fake], 1).detach()), d(torch.cat([given, real], 1))
        terms = {"d/fake": bce(made, torch.zeros_like(made)) / 2, "d/real": bce(true, torch.ones_like(true)) / 2}
        (terms["d/fake"] + terms["d/real"]).backward()
        od.step()
        d.requires_grad_(False)
        og.zero_grad()
        (judged,) = d(torch.cat([given, fake], 1))
        terms |= {"g/adversarial": bce(judged, torch.ones_like(judged)), "g/l1": F.l1_loss(fake, real) * 100}
        (terms["g/adversarial"] + terms["g/l1"]).backward()
        og.step()
        return terms

    return run


def difference(options):
    """The largest relative difference of a term of the first step from the usual loop's."""
    made = trainer_step("fp32", **options)
    networks = {name: actor.module for name, actor in made.actors.items()}
    copies = recipe(**options).networks()
    for name, network in copies.items():
        network.load_state_dict(networks[name].state_dict())
    expected = usual_step(*(as_usual(copies[name]) for name in ("generator", "discriminator")))()
    found = {}
    made._record = lambda turn, terms: found.update({f"{turn.name}/{name}": t for name, t in terms.items()})
    made.iterate()
    return max(float(((found[name] - term) / term).detach().abs()) for name, term in expected.items())


def bench_pix2pix(rounds):
    for title, options in NETWORKS.items():
        networks = recipe(**options).networks()
        runners = {"usual loop, fp32": usual_step(*(as_usual(networks[n]) for n in ("generator", "discriminator")))}
        for precision in PRECISIONS:
            runners[f"polygan Trainer, {precision}"] = trainer_step(precision, **options).iterate
        times = interleave(runners, rounds)
        base = times["usual loop, fp32"]
        rows = [(name, f"{t:.2f} s", f"{base / t:.2f}x") for name, t in times.items()]
        rows.append(("largest relative difference of a first loss", f"{difference(options):.1e}", ""))
        table(f"pix2pix {SIDE}x{SIDE}, batch 1, {title}, {torch.get_num_threads()} threads, {rounds} rounds", rows)
