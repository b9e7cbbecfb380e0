"""An actor averages, clips, steps its schedule, and skips a gradient that is not finite, by numbers."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from toy_trainer import Points, assert_equal, make, train

import polygan
from polygan.settings.trainer import TrainerSettings
from polygan.training.actor import Actor
from polygan.training.checkpoint import Checkpoints
from polygan.training.trainer import Trainer
from toy_gan import MLPGAN, Config


def test_average_halves_the_distance_every_half_life_of_samples():
    module = nn.Linear(1, 1, bias=False)
    player = polygan.Player(module, torch.optim.SGD(module.parameters(), lr=0.0), ema_half_life=64, ema_ramp=0)
    for batch in (16, 64):
        nn.init.zeros_(module.weight)
        actor = Actor(player, torch.device("cpu"), torch.contiguous_format, scaled=False)
        actor.start_average()
        module.weight.data.fill_(1.0)
        for i in range(128 // batch):
            actor.finish_iteration(batch, (i + 1) * batch, trained=True)
        assert actor.averaged.weight.item() == pytest.approx(0.75, abs=1e-6)


def test_ramp_up_bounds_the_half_life_by_the_samples_seen():
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    player = polygan.Player(module, None, ema_half_life=1e9, ema_ramp=0.5)
    actor = Actor(player, torch.device("cpu"), torch.contiguous_format, scaled=False)
    actor.start_average()
    module.weight.data.fill_(1.0)
    actor.finish_iteration(10, 20, trained=False)  # half-life min(1e9, 0.5 * 20) = 10 samples: one half
    assert actor.averaged.weight.item() == pytest.approx(0.5, abs=1e-6)


def test_schedulers_advance_once_an_iteration_in_which_the_player_acted():
    trainer = train(steps=7, config=Config(critic_steps=3))
    for actor in trainer.actors.values():
        assert actor.optimizer.param_groups[0]["lr"] == pytest.approx(2e-3 * 0.99**7)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop])
def test_clipping_and_weight_clipping(optimizer):
    module = nn.Linear(3, 1)
    player = polygan.Player(module, optimizer(module.parameters(), lr=0.0), clip=0.5, weight_clip=0.1)
    actor = Actor(player, torch.device("cpu"), torch.contiguous_format, scaled=False)
    actor.begin_turn("")
    module(torch.full((4, 3), 10.0)).sum().backward()
    before = [g.clone() for g in actor.gradients()]
    gradients = actor.gradients()
    norm = actor.update(gradients, None)
    true = math.sqrt(sum(g.square().sum().item() for g in before))
    assert norm.item() == pytest.approx(true, rel=1e-5)
    for g, b in zip(gradients, before, strict=True):
        torch.testing.assert_close(g, b * 0.5 / true, rtol=1e-4, atol=0)
    assert max(p.abs().max().item() for p in module.parameters()) <= 0.1 + 1e-7


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop])
def test_a_non_finite_gradient_changes_nothing_and_is_counted(optimizer):
    module = nn.Linear(3, 1)
    player = polygan.Player(module, optimizer(module.parameters(), lr=0.1))
    actor = Actor(player, torch.device("cpu"), torch.contiguous_format, scaled=False)
    actor.begin_turn("")
    before = copy.deepcopy(module.state_dict())
    for value in (float("nan"), float("inf")):
        module(torch.full((1, 3), value)).sum().backward()
        actor.update(actor.gradients(), None)
    assert_equal(before, module.state_dict())
    assert (actor.skipped.item(), actor.streak.item()) == (2, 2)
    module(torch.ones(1, 3)).sum().backward()
    actor.update(actor.gradients(), None)
    assert (actor.skipped.item(), actor.streak.item()) == (2, 0)
    assert not torch.equal(before["weight"], module.weight)


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_skipped_first_step_leaves_no_momentum(nesterov):
    def run(values):
        module = nn.Linear(3, 1)
        nn.init.ones_(module.weight)
        optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9, nesterov=nesterov)
        actor = Actor(polygan.Player(module, optimizer), torch.device("cpu"), torch.contiguous_format, scaled=False)
        actor.begin_turn("")
        for value in values:
            module(torch.full((1, 3), value)).sum().backward()
            actor.update(actor.gradients(), None)
        return module.weight.detach().clone()

    torch.use_deterministic_algorithms(True)  # which fills memory that is not initialised with NaN
    try:
        assert torch.equal(run([math.nan, 1.0, 2.0]), run([1.0, 2.0]))
    finally:
        torch.use_deterministic_algorithms(False)


def test_an_optimizer_with_a_step_of_its_own_is_given_no_nan():
    class Own(torch.optim.SGD):
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.data.add_(p.grad, alpha=-group["lr"])

    module = nn.Linear(3, 1)
    before = copy.deepcopy(module.state_dict())
    player = polygan.Player(module, Own(module.parameters(), 0.1))
    actor = Actor(player, torch.device("cpu"), torch.contiguous_format, scaled=False)
    actor.begin_turn("")
    module(torch.full((1, 3), math.nan)).sum().backward()
    actor.update(actor.gradients(), None)
    assert_equal(before, module.state_dict())


def test_an_infinite_buffer_is_no_damage(tmp_path):
    class Lowest(MLPGAN):
        def networks(self):
            kept = nn.Module()
            kept.register_buffer("lowest", torch.tensor(math.inf))
            return super().networks() | {"kept": kept}

    settings = TrainerSettings(steps=1, batch_size=8, precision="fp32", hang_timeout=0)
    Trainer(Lowest(Config(), {}), {"train": Points(8)}, settings, checkpoints=Checkpoints(tmp_path)).fit()
    assert Checkpoints(tmp_path).entries()[-1].good


def test_fusing_is_not_a_matter_of_the_checkpoint():
    one, other = make(), make()
    one.iterate()
    state = one.actors["generator"].state()
    for group in state["optimizer"]["param_groups"]:
        group["fused"] = None  # as from a device without such kernels
    other.actors["generator"].load_state(state)
    assert all(group["fused"] for group in other.actors["generator"].optimizer.param_groups)
    other.iterate()


def test_fp16_has_one_scale_a_player():
    trainer = make(precision="fp16", steps=3)
    trainer.actors["generator"].scale.fill_(2.0**100)  # overflows fp16 at once; the discriminator's does not
    before = copy.deepcopy(trainer.actors["generator"].module.state_dict())
    trainer.iterate()
    g, d = trainer.actors["generator"], trainer.actors["discriminator"]
    assert g.scale.item() == 2.0**99
    assert d.scale.item() == 2.0**16
    assert (g.skipped.item(), d.skipped.item()) == (1, 0)
    assert_equal(before, g.module.state_dict())
    assert g.streak.item() == 0  # a scale that comes down is no divergence
    g.scale.fill_(1.0)
    g.begin_turn("")
    for p in g.parameters:
        p.grad = torch.full_like(p, float("inf"))
    g.update(g.gradients(), g.scale)
    assert g.streak.item() == 1


def test_a_parameter_that_the_loss_does_not_reach_gets_a_zero_gradient():
    class Half(MLPGAN):
        def turns(self):
            return [polygan.Turn("d", ("discriminator",), lambda ctx, b: {"x": ctx["discriminator"][0].weight.mean()})]

    trainer = Trainer(
        Half(Config(), {}), {"train": Points(8)}, TrainerSettings(steps=1, batch_size=8, precision="fp32")
    )
    before = copy.deepcopy(trainer.actors["discriminator"].module.state_dict())
    trainer.iterate()
    after = trainer.actors["discriminator"].module.state_dict()
    assert torch.equal(before["2.weight"], after["2.weight"])
    assert not torch.equal(before["0.weight"], after["0.weight"])
