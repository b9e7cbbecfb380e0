"""The reward for whole texts: the gradient against exact enumeration, the penalty, and a game that plays it."""

from __future__ import annotations

import itertools

import pytest
import torch
from small_model import encoded, facts
from small_seqgan import batch, context, parameters, recipe, train

from polygan import ConfigError
from polygan.testing import check_devices
from polygan_text.pretrained.sequence import leave_one_out, sequence_loss
from polygan_text.rollout import valid
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config


def test_each_baseline_is_the_mean_of_the_others():
    torch.testing.assert_close(leave_one_out(torch.tensor([1.0, 2.0, 6.0])), torch.tensor([-3.0, -1.5, 4.5]))


@pytest.mark.parametrize("kl", [0.0, 0.7])
def test_the_expected_gradient_is_that_of_the_reward_minus_the_divergence(kl):
    """A bigram policy over three tokens, 0 the end: all texts of two tokens, all triples of texts as batches."""
    torch.manual_seed(0)
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)  # row 3: the first token
    reference = torch.randn(4, 3, dtype=torch.float64).log_softmax(1)
    texts = torch.tensor([t for t in itertools.product(range(3), repeat=2) if t[0] != 0 or t[1] == 0])
    mask = valid(texts, 0).double()
    scores = torch.randn(len(texts), dtype=torch.float64)

    def chosen(table):
        before = torch.cat([torch.full((len(texts), 1), 3), texts[:, :-1]], 1)
        return table[before, texts]

    logp, start = chosen(logits.log_softmax(1)), chosen(reference)
    whole, first = (logp * mask).sum(1), (start * mask).sum(1)
    probability = whole.exp()
    assert float(probability.detach().sum()) == pytest.approx(1)
    objective = (probability * (scores - kl * (whole - first))).sum()
    (exact,) = torch.autograd.grad(-objective, logits, retain_graph=True)
    expected = torch.zeros_like(logits)
    for rows in itertools.product(range(len(texts)), repeat=3):
        at = list(rows)
        loss = sequence_loss(logp[at], start[at], mask[at], scores[at], kl)
        (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
        expected += probability[at].prod().detach() * gradient
    torch.testing.assert_close(expected, exact, rtol=1e-10, atol=1e-12)


def test_rewards_without_a_difference_teach_only_the_way_back_to_the_start():
    made = recipe(rewards="sequence", reward="constant", kl=0.5)
    ctx = context(made)
    assert float(made.generator_loss(ctx, batch())["policy"].detach()) == pytest.approx(0, abs=1e-5)
    torch.nn.init.normal_(ctx.players["mle"].module.policy.head.bias, 0, 2)
    for parameter in ctx.players["generator"].module.parameters():
        parameter.requires_grad_(True)
    made.generator_loss(ctx, batch())["policy"].backward()
    gradient = torch.cat([p.grad.flatten() for p in ctx.players["generator"].module.parameters()])
    assert gradient.norm() > 1e-3
    free = recipe(rewards="sequence", reward="constant", kl=0.0)
    again = context(free)
    assert float(free.generator_loss(again, batch())["policy"].detach()) == pytest.approx(0, abs=1e-6)


def test_the_scores_are_those_of_the_discriminator_or_of_a_control():
    from polygan_text.pretrained.sequence import _scores

    tokens, found = batch()["tokens"], {}
    for name, options in {
        "probability": {}, "logit": {"reward_scale": "logit"}, "constant": {"reward": "constant"}, "random": {"reward": "random"}
    }.items():  # fmt: skip
        made = recipe(rewards="sequence", **options)
        found[name] = _scores(made, context(made), tokens, None)
        assert found[name].shape == (8,)
    torch.testing.assert_close(found["logit"].sigmoid(), found["probability"])
    assert found["constant"].unique().tolist() == [1.0]
    assert len(found["random"].unique()) == 8


def test_a_batch_of_one_text_has_no_baseline():
    with pytest.raises(ConfigError, match="no baseline"):
        train(recipe(rewards="sequence", preset="paper", mle_steps=1, pretrain_steps=1), 5, accumulate=8)
    made = recipe(rewards="sequence")
    with pytest.raises(ConfigError, match="no baseline"):
        made.generator_loss(context(made), batch(1))


def test_the_game_moves_an_lstm_too():
    made = recipe(rewards="sequence", teach=False, adversarial_rate=0.05, check_every=0)
    trainer = train(made, 8)
    for _ in range(6):
        trainer.iterate()
    before = parameters(trainer.actors["generator"].module)
    trainer.iterate()
    assert (parameters(trainer.actors["generator"].module) - before).abs().max() > 1e-3


def test_nothing_is_completed_so_there_is_no_rollout_policy():
    made = recipe(rewards="sequence", tolerance=0.0, adversarial_rate=0.9, teach=False)
    assert set(made.networks()) == {"generator", "discriminator", "mle"}
    assert "lag" not in {turn.name for turn in made.turns()}
    trainer = train(made, 9)
    for _ in range(9):  # the game makes the policy worse and the check puts the start back
        trainer.iterate()
    start = trainer.actors["mle"].module.policy
    torch.testing.assert_close(parameters(trainer.actors["generator"].module), parameters(start))


def test_the_entropy_bonus_is_off_unless_asked_for():
    assert Config(rewards="sequence").method().entropy == 0
    assert Config(rewards="sequence", entropy=0.1).method().entropy == 0.1
    assert Config().method().entropy == 0.01
    made = recipe(rewards="sequence", entropy=0.1)
    assert set(made.generator_loss(context(made), batch())) == {"policy", "entropy"}


def test_a_pretrained_game_reads_no_value_from_the_device(folders):
    options = {
        "mle_steps": 1,
        "pretrain_steps": 1,
        "check_every": 1,
        "check_texts": 4,
        "discriminator_steps": 1,
        "teach": False,
    }
    config = Config(policy=str(folders("llama")), lora=2, rewards="sequence", discriminator="lstm", **options)
    made = SeqGAN(config, facts(folders("llama"), 4))
    check_devices(made, {"tokens": encoded(folders("llama"), 4, 4)})
