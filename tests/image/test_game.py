"""The game that recipes of pictures share: which turns it plays, and the terms of each loss and penalty."""

from __future__ import annotations

import typing

import pytest
import torch

from polygan import Noise, losses
from polygan_image.game import Adversarial, Game, Penalty

PENALTIES = [p for p in typing.get_args(Penalty) if p != "none"]


def nothing(ctx, batch):
    return {}


def turns(game, name=""):
    return [(t.name, t.every, t.repeat, t.differentiates_twice) for t in game.turns(nothing, nothing, nothing, name)]


def test_a_penalty_of_every_iteration_is_in_the_discriminators_turn():
    assert turns(Game()) == [("d", 1, 1, False), ("g", 1, 1, False)]
    assert turns(Game(penalty="r1", critic_steps=3)) == [("d", 1, 3, True), ("g", 1, 1, False)]
    lazy = Game(penalty="r1r2", every=4)
    assert turns(lazy) == [("d", 1, 1, False), ("r1r2", 4, 1, True), ("g", 1, 1, False)]
    assert turns(lazy, "penalties")[1][0] == "penalties"
    assert (lazy.inline, lazy.lazy) == (False, True)


@pytest.mark.parametrize("loss", typing.get_args(Adversarial))
def test_the_terms_are_those_of_the_loss(loss):
    real, fake = torch.randn(6), torch.randn(6)
    game, expected = Game(loss), losses.ADVERSARIAL[loss]
    for ours, theirs in (
        (game.discriminator(real, fake), expected.discriminator(real, fake)),
        (game.generator(fake, real), expected.generator(fake, real)),
    ):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("loss", typing.get_args(Adversarial))
def test_a_discriminator_that_is_right_has_signs_that_say_so(loss):
    """At the optimum of each loss, real pictures have positive signs and fakes negative ones."""
    real, fake = torch.randn(8, requires_grad=True), torch.randn(8, requires_grad=True)
    game = Game(loss)
    optimizer = torch.optim.SGD([real, fake], 1.0)
    for _ in range(200):
        optimizer.zero_grad()
        sum(game.discriminator(real, fake).values()).backward()
        optimizer.step()
    up, down = game.signs(real, fake)
    assert game.signed == (loss != "wasserstein")
    assert (up > 0).all()
    assert (down < 0).all()


@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_rare_penalty_weighs_as_many_times_more(penalty):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))

    def terms(every, given):
        game = Game(penalty=penalty, weight=3.0, every=every)
        real, fake = (torch.linspace(-1, end, 24).view(2, 3, 2, 2) for end in (1, 0.3))
        game.watch(real, fake)
        logits = (critic(real), critic(fake)) if given else None
        return game.penalties(critic, real, fake, Noise().reset(0), logits)

    def critic(x):
        return network(x).squeeze(1)

    once, rare, reused = terms(1, False), terms(5, False), terms(1, True)
    assert set(once) == ({"r1", "r2"} if penalty == "r1r2" else {penalty})
    for name, value in once.items():
        assert value > 0
        torch.testing.assert_close(rare[name], 5 * value)
        torch.testing.assert_close(reused[name], value)


def test_only_what_a_penalty_differentiates_by_records_gradients():
    for penalty, expected in (
        ("r1", (True, False)),
        ("r2", (False, True)),
        ("r1r2", (True, True)),
        ("dragan", (False, False)),
    ):
        real, fake = torch.zeros(1), torch.zeros(1)
        Game(penalty=penalty).watch(real, fake)
        assert (real.requires_grad, fake.requires_grad) == expected
    one = torch.zeros(1)
    Game(penalty="r1").watch(one, one)  # a penalty without fakes is shown the real pictures twice
    assert one.requires_grad
    assert [Game(penalty=p).needs_fakes for p in PENALTIES] == [False, True, True, True, False]
