"""DCGAN through the real Trainer: on torch's meta device, against the plain loop, and its average's batch norm."""

from __future__ import annotations

import copy

import pytest
import torch

from polygan import TrainerSettings, testing
from polygan.training.trainer import Trainer
from polygan_image.base import Fakes
from polygan_image.dcgan import DCGAN, Config

INFO = {"channels": 1, "height": 28, "width": 28, "classes": ["a", "b", "c"], "count": 8}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"conditional": "no", "reuse_fakes": False},
        {"critic_steps": 2, "loss": "relativistic", "penalty": "r1r2"},
        {"penalty": "wgan_gp", "loss": "wasserstein", "penalty_every": 3},
        {"penalty": "dragan"},
        {"spectral_norm": True, "loss": "hinge"},
        {"optimizer": "rmsprop", "weight_clip": 0.01, "norm": "none", "loss": "wasserstein"},
    ],
    ids=lambda c: "-".join(map(str, c.values())) or "default",
)
def test_whole_iterations_play_on_the_meta_device(config):
    batch = {"image": torch.rand(8, 1, 28, 28) * 2 - 1, "label": torch.arange(8) % 3}
    recipe = DCGAN(Config(generator_width=4, discriminator_width=4, **config), INFO)
    testing.check_devices(recipe, batch, accumulate=2)


def test_a_value_read_in_its_loss_would_be_caught():
    class Reads(DCGAN):
        def generator_loss(self, ctx, batch):
            terms = super().generator_loss(ctx, batch)
            return {name: term * float(term.detach() > 0) for name, term in terms.items()}

    batch = {"image": torch.rand(8, 1, 28, 28) * 2 - 1, "label": torch.arange(8) % 3}
    with pytest.raises(testing.ContractError, match="turn 'g'"):
        testing.check_devices(Reads(Config(generator_width=4, discriminator_width=4), INFO), batch)


def test_the_averaged_generator_measures_its_own_batch_norm():
    """After training, its running means are those of its own activations, not those of the generator that learns."""
    torch.manual_seed(0)

    class Slow(DCGAN):
        def players(self, networks, training):
            players = super().players(networks, training)
            players["generator"].ema_ramp = 0  # so that the average is far behind
            return players

    recipe = Slow(Config(generator_width=4, discriminator_width=4, ema_half_life=2000, learning_rate=2e-3), INFO)
    batch = {"image": torch.rand(16, 1, 28, 28) * 2 - 1, "label": torch.arange(16) % 3}
    settings = TrainerSettings(steps=240, batch_size=16, precision="fp32", hang_timeout=0)
    trainer = Trainer(recipe, {"train": testing.RepeatedBatch(batch)}, settings)
    while trainer.step < 240:
        trainer.iterate()
    averaged, live = (trainer.networks(averaged=a)["generator"] for a in (True, False))
    assert not averaged.training

    def norms(network):
        return [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]

    own = copy.deepcopy(averaged).train()
    for norm in norms(own):
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all passes
    with torch.no_grad():
        for _ in range(100):
            own(torch.randn(16, 100), batch["label"])

    def distance(network):
        pairs = zip(norms(network), norms(own), strict=True)
        return sum(float((a.running_mean - b.running_mean).square().sum()) for a, b in pairs)

    assert distance(averaged) < distance(live) / 2


def test_ten_steps_are_those_of_the_plain_loop():
    """The usual loop, written out: contiguous tensors, default Adam, nothing frozen; from the same parameters and latents.

    In float64, for Adam turns the rounding of gradients near zero into whole steps.
    """
    torch.manual_seed(0)
    batch = {"image": torch.rand(16, 1, 28, 28).double() * 2 - 1, "label": torch.arange(16) % 3}
    latent = torch.randn(10, 16, 100).double()

    class Given(DCGAN):
        def _fakes(self, ctx, batch):
            z = latent[ctx.step]
            return Fakes(ctx["generator"](z, self._label(batch)), z, batch)

        def networks(self):
            networks = super().networks()
            for name, network in networks.items():
                network.double().load_state_dict(first[name])
            return networks

    config = Config(generator_width=8, discriminator_width=8, ema_half_life=0, mode_seeking=0)
    first = {name: network.double().state_dict() for name, network in DCGAN(config, INFO).networks().items()}
    recipe = Given(config, INFO)
    settings = TrainerSettings(steps=100, batch_size=16, precision="fp32", hang_timeout=0)
    trainer = Trainer(recipe, {"train": testing.RepeatedBatch(batch)}, settings)
    g, d = (recipe.networks()[name] for name in ("generator", "discriminator"))
    g_optimizer, d_optimizer = (torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in (g, d))
    for z in latent:
        trainer.iterate()
        d.zero_grad()
        torch.nn.functional.softplus(-d(batch["image"], batch["label"])).mean().backward()
        fake = g(z, batch["label"])
        torch.nn.functional.softplus(d(fake.detach(), batch["label"])).mean().backward()
        d_optimizer.step()
        g.zero_grad()
        torch.nn.functional.softplus(-d(fake, batch["label"])).mean().backward()
        g_optimizer.step()
    networks = trainer.networks(averaged=False)
    for name, module in (("generator", g), ("discriminator", d)):
        for key, value in module.state_dict().items():
            torch.testing.assert_close(networks[name].state_dict()[key], value, rtol=0, atol=1e-9, msg=f"{name}.{key}")
            if value.is_floating_point():
                assert not torch.equal(value, first[name][key])
