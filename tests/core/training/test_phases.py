"""Optimizers of single turns: moments and rates of their own, parameters of their own, resume, and earlier checkpoints."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from toy_trainer import Points, assert_equal, parameters

import polygan
from polygan.settings.trainer import TrainerSettings
from polygan.training.checkpoint import Checkpoints
from polygan.training.trainer import Trainer
from toy_gan import MLPGAN, Config

WARM, PLAY, HEAD = 0.02, 0.005, 0.01


class Phases(MLPGAN):
    """The generator follows targets: three turns with an optimizer each, the last one for the last layer alone."""

    rate = PLAY
    third = True

    def players(self, networks, training):
        g = networks["generator"]
        others = {"play": torch.optim.Adam(g.parameters(), self.rate)}
        if self.third:
            others["head"] = torch.optim.SGD(g[2].parameters(), HEAD, momentum=0.9)
        return {"generator": polygan.Player(g, torch.optim.Adam(g.parameters(), WARM), others=others)}

    def turns(self):
        turns = [
            polygan.Turn("warm", ("generator",), self.loss, stop=4),
            polygan.Turn("play", ("generator",), self.loss, start=3),
        ]
        return [*turns, polygan.Turn("head", ("generator",), self.loss, every=2)] if self.third else turns

    def loss(self, ctx, batch):
        made = ctx["generator"](batch["point"].repeat(1, 2))
        return {"distance": (made - batch["point"].sin()).square().mean()}


def trainer(kind=Phases, steps=8, **options):
    settings = TrainerSettings(steps=steps, batch_size=8, precision="fp32", hang_timeout=0)
    return Trainer(kind(Config(), {}), {"train": Points(8)}, settings, **options)


def played(kind=Phases, until=8, **options):
    found = trainer(kind, **options)
    while found.step < until:
        found.iterate()
    return found


def by_hand(module):
    """The same eight iterations with three optimizers of torch."""
    warm, play = (torch.optim.Adam(module.parameters(), rate) for rate in (WARM, PLAY))
    head = torch.optim.SGD(module[2].parameters(), HEAD, momentum=0.9)
    for step in range(8):
        due = [warm] * (step < 4) + [play] * (step >= 3) + [head] * (step % 2 == 0)
        points = Points(8).batch(step)["point"]
        for optimizer in due:
            module.zero_grad()
            (module(points.repeat(1, 2)) - points.sin()).square().mean().backward()
            optimizer.step()
    return module


def test_each_turn_steps_its_own_optimizer():
    begun = trainer()
    module = copy.deepcopy(begun.actors["generator"].module)
    for p in module.parameters():
        p.requires_grad_(True)
    while begun.step < 8:
        begun.iterate()
    assert_equal(by_hand(module).state_dict(), begun.actors["generator"].module.state_dict(), 1e-7)


def test_a_turn_asks_gradients_only_of_the_parameters_that_its_optimizer_moves():
    asked = {}

    class Watched(Phases):
        def loss(self, ctx, batch):
            asked[ctx.turn] = [n for n, p in ctx.players["generator"].module.named_parameters() if p.requires_grad]
            return super().loss(ctx, batch)

    played(Watched, until=4)
    assert asked["head"] == ["2.weight", "2.bias"]
    assert len(asked["warm"]) == len(asked["play"]) == 4


def test_a_run_with_phases_resumes_to_the_bit(tmp_path):
    for stop in (2, 4, 5):
        checkpoints = Checkpoints(tmp_path / str(stop), writable=True)
        played(until=stop, checkpoints=checkpoints).save()
        resumed = trainer()
        resumed.restore(checkpoints.load(stop))
        while resumed.step < 8:
            resumed.iterate()
        assert_equal(parameters(played()), parameters(resumed))


def test_a_checkpoint_without_an_optimizer_of_a_turn_begins_it_anew(tmp_path):
    class Earlier(Phases):
        third = False

    checkpoints = Checkpoints(tmp_path, writable=True)
    played(Earlier, until=5, checkpoints=checkpoints).save()
    found = played(until=6)  # with moments that must go
    found.restore(checkpoints.load(5))
    _, play, head = (found.actors["generator"]._main, *found.actors["generator"]._others.values())
    assert [values["step"].item() for values in play.optimizer.state.values()] == [2.0] * 4
    assert all(not values["momentum_buffer"].any() for values in head.optimizer.state.values())
    assert len(head.optimizer.state) == 2
    found.iterate()


def test_changed_rates_reach_the_optimizers_of_turns_and_keep_their_moments():
    class Slower(Phases):
        rate = PLAY / 10

    state = copy.deepcopy(played().actors["generator"].state())
    actor = trainer(Slower).actors["generator"]
    actor.load_state(state, iterations=8, anew=True)
    play = actor._others["play"].optimizer
    assert play.param_groups[0]["lr"] == PLAY / 10
    saved = state["others"]["play"]["state"]
    for moments, found in zip(saved.values(), play.state.values(), strict=True):
        assert torch.equal(moments["exp_avg"], found["exp_avg"])


def test_odd_moments_of_a_turn_are_refused():
    actor = trainer().actors["generator"]
    state = copy.deepcopy(played().actors["generator"].state())
    state["others"]["play"]["state"][0]["exp_avg"] = torch.zeros(3)
    with pytest.raises(ValueError, match="does not fit its parameter"):
        actor.load_state(state)


def test_an_optimizer_for_a_turn_that_does_not_train_the_player_is_refused():
    class Misspelt(Phases):
        def turns(self):
            return super().turns()[:2]

    with pytest.raises(polygan.ConfigError, match="'head', which does not train it"):
        trainer(Misspelt)


def test_an_optimizer_of_a_turn_holds_parameters_of_its_network():
    class Foreign(Phases):
        def players(self, networks, training):
            found = super().players(networks, training)
            found["generator"].others = {"play": torch.optim.Adam(nn.Linear(1, 1).parameters())}
            return found

    with pytest.raises(polygan.ConfigError, match="parameters that its player's module lacks"):
        trainer(Foreign)


def test_the_logged_rate_is_that_of_the_turn_that_trained_last():
    values = []

    class Log(polygan.Listener):
        def logged(self, trainer, found):
            values.append(found["lr/generator"])

    class Two(Phases):
        third = False

    found = trainer(Two, steps=6, listener=Log())
    found.settings = TrainerSettings(steps=6, batch_size=8, precision="fp32", hang_timeout=0, log_every=2)
    found.fit()
    assert values == [WARM, PLAY, PLAY]
