"""Early stopping goes back to the best held-out policy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_seqgan import context, parameters, recipe, train

from polygan_text.rollout import valid


def test_the_last_policy_of_maximum_likelihood_is_looked_at_between_two_checks_too():
    trainer = train(
        recipe(mle_steps=4, check_every=50, mle_rate=0.05), 5
    )  # held out is the training batch: the last is best
    for _ in range(4):
        trainer.iterate()
    before = parameters(trainer.actors["generator"].module).clone()
    trainer.iterate()
    assert torch.equal(parameters(trainer.actors["generator"].module), before)
    assert torch.equal(parameters(trainer.actors["mle"].module.policy), before)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_early_stopping_goes_back_to_the_best_held_out_policy(accumulate):
    made = recipe(mle_rate=0.05, mle_steps=6, check_every=1)
    other = {"tokens": torch.randint(2, 12, (8, 6), generator=torch.Generator().manual_seed(9))}
    trainer = train(made, 7, other, accumulate=accumulate)
    best, least = None, float("inf")
    parts = [{"tokens": part} for part in other["tokens"].chunk(accumulate)]
    for _ in range(6):
        trainer.iterate()
        policy = trainer.actors["generator"].module
        nll = sum(float(made._nll(policy, part, valid(part["tokens"], 1)).detach()) for part in parts) / accumulate
        if nll < least:
            best, least = parameters(policy).clone(), nll
    worst = float(
        made._nll(policy, other, valid(other["tokens"], 1)).detach()
    )  # it has learned the training batch by heart
    trainer.iterate()  # step 6: one more look, then the game begins
    kept = trainer.actors["mle"].module
    assert float(kept.ready) == 1
    assert float(kept.lowest) == pytest.approx(least, rel=1e-5)
    assert torch.equal(parameters(kept.policy), best)
    assert worst > least
    assert torch.equal(parameters(trainer.actors["generator"].module), best)
    assert torch.equal(parameters(trainer.actors["rollout"].module), best)


def test_the_rollout_policy_lags_by_the_paper_s_weights():
    made = recipe()
    ctx = context(made)
    old = parameters(ctx.players["rollout"].module)
    with torch.no_grad():
        for p in ctx.players["generator"].module.parameters():
            p.add_(1.0)
        made.lag(ctx, {})
    torch.testing.assert_close(parameters(ctx.players["rollout"].module), old + 0.2)
