"""LeakGAN's game: what leaks, where the game starts, controls, and settings that are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_leakgan import INFO, context, recipe

from polygan import ConfigError, TrainerSettings

# Phases


def test_after_leak_the_generator_is_the_manager_the_worker_and_the_discriminator():
    made = recipe()
    ctx = context(made)
    for name in ("manager", "worker", "discriminator"):
        for parameter in ctx.players[name].module.parameters():
            torch.nn.init.normal_(parameter)
    with torch.no_grad():
        made.leak(ctx, {})
    generator = ctx.players["generator"].module
    for part, name in (
        (generator.manager, "manager"),
        (generator.worker, "worker"),
        (generator.reader, "discriminator"),
    ):
        for mine, its in zip(part.parameters(), ctx.players[name].module.parameters(), strict=True):
            assert torch.equal(mine, its)


@pytest.mark.parametrize("checks", [0, 2])
def test_the_game_starts_from_the_best_generator_with_its_discriminator(checks):
    """Without checks the game starts from the last generator."""
    made = recipe(check_every=checks)
    ctx = context(made)
    best, generator = ctx.players["mle"].module, ctx.players["generator"].module
    for module in (best.policy, generator):
        for parameter in module.parameters():
            torch.nn.init.normal_(parameter)
    kept = [p.clone() for p in (best.policy if checks else generator).parameters()]
    with torch.no_grad():
        made.begin(ctx, {})
    for module in (best.policy, generator):
        assert all(torch.equal(p, k) for p, k in zip(module.parameters(), kept, strict=True))
    for part, name in ((generator.manager, "manager"), (generator.reader, "discriminator")):
        for mine, its in zip(part.parameters(), ctx.players[name].module.parameters(), strict=True):
            assert torch.equal(mine, its)
    assert best.ready == 1


@pytest.mark.parametrize("reward", ["constant", "random"])
def test_controls_complete_no_prefix(reward, monkeypatch):
    def never(*_, **__):
        raise AssertionError("completed")

    monkeypatch.setattr("polygan_text.leaking.rollout.completions", never)
    made = recipe(reward=reward)
    ctx = context(made)
    terms = made.generator_loss(ctx, {"tokens": torch.randint(2, 12, (4, 9))})
    assert all(term.isfinite() for term in terms.values())
    rewards = made._rewards(ctx, torch.rand(4, 1), {})
    assert rewards.unique().numel() == (1 if reward == "constant" else rewards.numel())


def test_a_game_that_loses_is_told():
    made = recipe(tolerance=0.05)
    assert made.remarks({"probation/worse": 0.0}) == ()
    (said,) = made.remarks({"probation/worse": 1.0})
    assert "0.05 nats a token" in said
    assert "--of mle" in said


# Refusals


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"goal_steps": 9}, r"model.goal_steps = 9, but a text has 9 tokens, .*; use --model.goal_steps 8 or less"),
        ({"goal_steps": 0}, r"model.goal_steps = 0 is too small; the least is 1"),
        ({"rollout_every": 0}, r"model.rollout_every = 0 is too small; the least is 1"),
        (
            {"rollout_every": 20},
            r"model.rollout_every = 20, but a text has 9 tokens, .*; use --model.rollout_every 8 or less",
        ),
        ({"rollouts": 0}, r"model.rollouts = 0 is too small"),
        ({"bootstrap": 1.5}, r"model.bootstrap = 1.5 is outside"),
        ({"temperature": 0.0}, r"model.temperature = 0.0 is too small"),
        (
            {"preset": "papers"},
            r"model.preset = 'papers' is unknown, did you mean 'paper'\?|model.preset = 'papers' is unknown",
        ),
    ],
)
def test_impossible_settings_are_refused_with_what_to_type(options, said):
    with pytest.raises(ConfigError, match=said):
        recipe(**options)


def test_texts_of_one_token_are_refused():
    with pytest.raises(ConfigError, match=r"a text has 1 token, .*; use longer texts"):
        recipe({**INFO, "length": 1}, goal_steps=1)


def test_a_batch_of_one_text_is_refused_if_the_game_needs_ranks():
    made = recipe()
    networks = made.networks()
    with pytest.raises(ConfigError, match="a batch of one text has no ranks; use a larger --batch_size"):
        made.players(networks, TrainerSettings(steps=10, batch_size=1))
    assert recipe(delta=0.0).players(networks, TrainerSettings(steps=10, batch_size=1))
    assert made.players(networks, TrainerSettings(steps=3, batch_size=1))  # the run ends before the game
