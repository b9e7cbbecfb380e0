"""Early stopping goes back to the best held-out policy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_seqgan import batch, context, parameters, recipe, train

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

    def nll_of(policy, given):
        mask = valid(given["tokens"], 1)
        return float((made._nats(policy, given) * mask).sum().detach() / mask.sum())

    other = {"tokens": torch.randint(2, 12, (8, 6), generator=torch.Generator().manual_seed(9))}
    trainer = train(made, 7, other, accumulate=accumulate)
    best, least = None, float("inf")
    parts = [{"tokens": part} for part in other["tokens"].chunk(accumulate)]
    for _ in range(6):
        trainer.iterate()
        policy = trainer.actors["generator"].module
        nll = sum(nll_of(policy, part) for part in parts) / accumulate
        if nll < least:
            best, least = parameters(policy).clone(), nll
    worst = nll_of(policy, other)  # it has learned the training batch by heart
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


def game(**options):
    """A trainer whose next iteration is the first of the game and has a check: mle 2 steps, discriminator 2."""
    trainer = train(recipe(mle_steps=2, pretrain_steps=2, check_every=1, **options), 6)
    for _ in range(4):
        trainer.iterate()
    with torch.no_grad():
        for p in trainer.actors["generator"].module.parameters():
            p.mul_(20)  # sure of the wrong tokens
    return trainer


def test_a_game_that_loses_on_held_out_data_goes_back_to_its_start():
    trainer = game(probation="undo")
    start = parameters(trainer.actors["mle"].module.policy)
    trainer.iterate()
    assert torch.equal(parameters(trainer.actors["generator"].module), start)
    assert torch.equal(parameters(trainer.actors["rollout"].module), start)


def test_a_game_within_the_tolerance_goes_on():
    trainer = game(probation="undo", tolerance=1e9)
    start = parameters(trainer.actors["mle"].module.policy)
    trainer.iterate()
    assert not torch.equal(parameters(trainer.actors["generator"].module), start)


def test_a_game_on_probation_may_only_be_told_about():
    told, undone = game(probation="tell"), game(probation="undo")
    for trainer in (told, undone):
        trainer.iterate()
    start = parameters(told.actors["mle"].module.policy)
    assert not torch.equal(parameters(told.actors["generator"].module), start)
    assert torch.equal(parameters(undone.actors["mle"].module.policy), start)


def test_checks_of_the_game_see_the_same_sentences_under_both_policies():
    made = recipe(check_every=1)
    ctx = context(made)
    best = ctx.players["mle"].module
    with torch.no_grad():
        found = made._checks.compare_with_start(ctx, batch())
        assert float(found["nll"]) == float(found["nll_of_start"])  # a copy
        for p in ctx.players["generator"].module.parameters():
            p.mul_(3.0)
        made._checks.clear(ctx, {})
        found = made._checks.compare_with_start(ctx, batch())
    assert float(best.mean()) == pytest.approx(float(found["nll"] - found["nll_of_start"]))
    assert float(best.mean()) != 0


@pytest.mark.parametrize(
    ("probation", "advice"), [("undo", "went back to the start"), ("tell", "generate RUN --of mle")]
)
def test_the_console_hears_of_a_game_that_lost(probation, advice):
    made = recipe(probation=probation)
    assert list(made.remarks({"probation/worse": 0.0})) == list(made.remarks({})) == []
    (said,) = made.remarks({"probation/worse": 0.5})
    assert "0.02 nats a token" in said
    assert advice in said


def test_a_check_looks_at_as_many_texts_as_asked_and_says_how_sure_it_is():
    made = recipe(check_texts=20, check_every=1)
    ctx = context(made)
    assert {t.repeat for t in made.turns() if t.name == "held_out"} == {3}
    tokens = torch.randint(2, 12, (24, 6), generator=torch.Generator().manual_seed(3))
    tokens[::2, 3:] = 1
    with torch.no_grad():
        for part in tokens.split(8):
            ctx.turn = "held_out"
            made._checks.look(ctx, {"tokens": part})
        policy = ctx["generator"]
        mask = valid(tokens, 1)
        nats, count = (-policy.log_probabilities(tokens) * mask).sum(1), mask.sum(1)
    said = torch.stack([value for name, value in ctx.observations if name == "held_out/nll_error"]).mean()
    draws = torch.randint(24, (4000, 24), generator=torch.Generator().manual_seed(4))
    expected = (nats[draws].sum(1) / count[draws].sum(1)).std()  # the bootstrap's
    assert float(said) == pytest.approx(float(expected), rel=0.15)
    assert float(ctx.players["mle"].module.mean()) == pytest.approx(float(nats.sum() / count.sum()), rel=1e-3)


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_the_checks_of_earlier_versions_are_of_four_batches(preset):
    made = recipe(preset=preset, check_every=1)
    context(made)
    assert {t.repeat for t in made.turns() if t.name == "held_out"} == {4}
