"""SeqGAN's rewards: completions, dense rewards, controls; the policy gradient against the exact one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_seqgan import INFO, batch, context, recipe

from polygan import ConfigError, TrainerSettings
from polygan_text.rollout import valid
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config
from polygan_text.whitening import Whitening

# Rewards


def test_rewards_are_means_over_the_completions_of_their_own_prefix():
    """A discriminator that tells sequence and position apart: a transposition or a mixed-up view would show."""
    made = recipe({**INFO, "eos": None}, rollouts=3)
    ctx = context(made)
    tokens = torch.randint(12, (5, 6))
    discriminator, seen = ctx.players["discriminator"].module, []
    torch.nn.init.normal_(discriminator.head.weight, std=3.0)
    score_completions = discriminator.score_completions
    discriminator.score_completions = lambda t, complete, labels: (
        seen.append(complete) or score_completions(t, complete, labels)
    )
    rewards = made._rewards(ctx, tokens, None)
    (complete,) = seen
    assert rewards.shape == (5, 6)
    discriminator.eval()
    for b in range(5):
        for t in range(5):  # the completions of the prefix of t + 1 tokens of sequence b
            rows = complete[t, :, b]
            assert (rows[:, : t + 1] == tokens[b, : t + 1]).all()
            assert rewards[b, t] == pytest.approx(float(discriminator(rows).sigmoid().mean().detach()), abs=1e-5)
        assert rewards[b, 5] == pytest.approx(float(discriminator(tokens[b : b + 1]).sigmoid().detach()), abs=1e-5)
    assert rewards.std() > 0.05


@pytest.mark.parametrize("reward", ["constant", "random"])
def test_controls_do_not_ask_the_discriminator(reward):
    made = recipe(reward=reward)
    ctx = context(made)

    def never(*_):
        raise AssertionError("asked")

    ctx.players["discriminator"].module.score = ctx.players["discriminator"].module.score_completions = never
    rewards = made._rewards(ctx, torch.randint(12, (5, 6)), None)
    assert rewards.shape == (5, 6)
    assert rewards.unique().numel() == (1 if reward == "constant" else 30)


# The gradient


class Lookup(torch.nn.Module):
    """A discriminator with a logit for every sequence of 3 tokens of 4."""

    def __init__(self):
        super().__init__()
        self.values = torch.randn(64, generator=torch.Generator().manual_seed(2))

    def score(self, tokens, labels=None):
        return self.values[tokens @ torch.tensor([16, 4, 1])]

    def score_completions(self, tokens, complete, labels=None):
        return self.score(complete)


@pytest.mark.parametrize("scale", ["probability", "logit"])
@pytest.mark.parametrize("preset", ["paper", "default"])
def test_the_policy_gradient_points_where_the_exact_gradient_does(preset, scale):
    """All 64 sequences enumerated: d E[D] / d theta by autograd, against the estimate from 16,384 samples."""
    made = SeqGAN(
        Config(preset=preset, embedding_dim=3, hidden_dim=4, rollouts=4, entropy=0.0, reward_scale=scale),
        {"vocabulary": 4, "length": 3, "start": 0, "eos": None, "classes": []},
    )
    ctx = context(made)
    policy, discriminator = ctx.players["generator"].module, Lookup()
    for parameter in policy.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    ctx.players["rollout"].module.load_state_dict(policy.state_dict())
    ctx.players["discriminator"].module = discriminator
    every = torch.cartesian_prod(*[torch.arange(4)] * 3)
    logits = discriminator.score(every)
    worth = logits.sigmoid() if scale == "probability" else logits
    value = (policy.log_probabilities(every).sum(1).exp() * worth).sum()
    exact = torch.cat(
        [g.flatten() for g in torch.autograd.grad(value, list(policy.parameters()), allow_unused=True) if g is not None]
    )
    n = 16_384
    loss = made.generator_loss(ctx, {"tokens": torch.zeros(n, 3, dtype=torch.long)})["policy"]
    grads = torch.autograd.grad(loss, list(policy.parameters()), allow_unused=True)
    estimate = -torch.cat([g.flatten() for g in grads if g is not None])
    assert torch.cosine_similarity(estimate, exact, dim=0) > 0.97
    if preset == "paper":  # the sum over the batch of the rewards as they are: its size is known too
        torch.testing.assert_close(estimate / n, exact, atol=0.25 * float(exact.abs().max()), rtol=0)


@pytest.mark.parametrize(("eos", "classes"), [(None, 0), (1, 2)])
def test_the_dense_gradient_is_the_exact_gradient_of_the_mean_sum_of_terms(eos, classes):
    """All texts of three tokens: the mean of reward times gradient, weighted by probability, against autograd of E[sum of terms]."""
    info = {"vocabulary": 4, "length": 3, "start": 0, "eos": eos, "classes": ["a", "b"][:classes]}
    made = SeqGAN(Config(rewards="dense", discriminator="lstm", embedding_dim=3, hidden_dim=4), info)
    ctx = context(made)
    policy, discriminator = ctx.players["generator"].module, ctx.players["discriminator"].module
    for parameter in [*policy.parameters(), *discriminator.parameters()]:
        torch.nn.init.normal_(parameter, std=0.7)
    every = torch.cartesian_prod(*[torch.arange(4)] * 3)
    if eos is not None:
        ended = (every == eos).cumsum(1) > 0
        every = every[(~ended[:, :-1] | (every[:, 1:] == eos)).all(1)]
    labels = torch.ones(len(every), dtype=torch.long) if classes else None
    logp = policy.log_probabilities(every, labels) * valid(every, eos)
    p = logp.sum(1).exp()
    assert float(p.detach().sum()) == pytest.approx(1, abs=1e-5)
    worth = discriminator.score(every, labels) - discriminator.bias.detach()
    parameters = list(policy.parameters())

    def gradient(value):
        found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        return torch.cat([g.flatten() for g in found if g is not None])

    rewards = made._rewards(ctx, every, labels)
    torch.testing.assert_close(rewards[:, 0], worth)
    torch.testing.assert_close(
        gradient((p.detach()[:, None] * rewards * logp).sum()), gradient((p * worth).sum()), rtol=1e-4, atol=1e-6
    )


def test_dense_rewards_complete_nothing(monkeypatch):
    made = recipe(rewards="dense", discriminator="lstm")
    ctx = context(made)
    monkeypatch.setattr("polygan_text.seqgan.roll_out", None)
    sum(made.generator_loss(ctx, batch()).values()).backward()
    gradients = [p.grad for p in ctx.players["generator"].module.parameters()]
    assert any(float(g.abs().max()) > 0 for g in gradients)


def test_a_reward_that_says_little_is_quieter_than_the_rewards_before():
    """The preset ``default`` makes each batch's advantages equally large; a running scale keeps their sizes."""
    loud = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    sizes = {}
    for preset in ("auto", "default"):
        made = recipe(preset=preset)
        ctx, mask = context(made), torch.ones(8, 6)
        found = [made._advantage(ctx, scale * loud, mask) for scale in (1.0, 1.0, 0.01, 1.0)]
        sizes[preset] = [float(x.square().mean().sqrt()) for x in found]
    assert sizes["default"] == pytest.approx([1, 1, 1, 1], rel=1e-2)
    assert sizes["auto"] == pytest.approx([1, 1, 0.0122, 1.149], rel=1e-2)


def test_the_scale_of_advantages_is_a_decaying_mean_that_a_checkpoint_holds():
    squares = [4.0, 1.0, 9.0]
    made = Whitening()
    found = [float(made.follow(torch.tensor(x))) for x in squares]
    for n, value in enumerate(found, 1):
        weights = [0.99 ** (n - 1 - i) for i in range(n)]
        assert value == pytest.approx(
            sum(w * x for w, x in zip(weights, squares[:n], strict=True)) / sum(weights), rel=1e-4
        )
    assert made.state_dict().keys() == {"square", "weight"}
    assert "whitening" in recipe().networks()
    for preset in ("default", "paper"):  # checkpoints of earlier versions have no such network
        assert "whitening" not in recipe(preset=preset).networks()


def test_tokens_between_two_completed_prefixes_share_the_later_value(monkeypatch):
    made = recipe(rollout_every=2, reward_scale="logit", discriminator="lstm")
    ctx = context(made)
    judge = ctx.players["discriminator"].module
    monkeypatch.setattr(
        judge,
        "score_completions",
        lambda tokens, complete, labels: complete[..., 0] * 0 + torch.tensor([[[5.0]], [[7.0]]]),
    )
    monkeypatch.setattr(judge, "score", lambda tokens, labels: torch.full((len(tokens),), 9.0))
    rewards = made._rewards(ctx, batch()["tokens"], None)
    assert torch.equal(rewards, torch.tensor([5.0, 5, 7, 7, 9, 9]).expand(8, 6))


@pytest.mark.parametrize("discriminator", ["cnn", "lstm"])
def test_completions_that_are_cut_are_scored_as_they_are(discriminator):
    made = recipe(rollout_length=1, reward_scale="logit", discriminator=discriminator, discriminator_dropout=0.0)
    ctx = context(made)
    judge, tokens = ctx.players["discriminator"].module, torch.tensor([[2, 3, 4, 5, 6, 7]] * 4)
    seen = []
    scored = judge.score_completions
    judge.score_completions = lambda tokens, complete, labels: seen.append(complete) or scored(tokens, complete, labels)
    rewards = made._rewards(ctx, tokens, None)
    for k in range(4):  # the last prefix has one token to come: its completions are whole
        cut = seen[0][k][..., : k + 2].flatten(0, 1)
        if discriminator == "cnn":
            expected = judge.score(torch.nn.functional.pad(cut, (0, 4 - k), value=1))
        else:
            expected = judge.terms(cut).sum(1) + judge.bias.detach()
        torch.testing.assert_close(rewards[:, k], expected.view(2, 4).mean(0))


def test_texts_without_an_end_are_cut_for_the_lstm_alone():
    made = recipe({**INFO, "eos": None}, rollout_length=2)
    with pytest.raises(ConfigError, match=r"add --model.discriminator lstm, or leave --model.rollout_length out"):
        made.players(made.networks(), TrainerSettings())
    made = recipe({**INFO, "eos": None}, rollout_length=2, discriminator="lstm")
    assert made._rewards(context(made), batch()["tokens"], None).isfinite().all()
