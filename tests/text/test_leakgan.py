"""LeakGAN's parts: features of prefixes, goals, ranks, sampling with completions, losses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from small_leakgan import INFO, context, recipe

from polygan.seeding import Noise
from polygan_text.discriminator import Discriminator
from polygan_text.leaking.goals import SegmentGoals, WindowGoals
from polygan_text.leaking.policy import prefix_features
from polygan_text.leaking.rewards import of_goals, ranked
from polygan_text.leaking.rollout import completions, search, write
from polygan_text.rollout import sample

PRESETS = pytest.mark.parametrize("preset", ["paper", "code"])


def policy_of(preset, length=9, steps=2, seed=3):
    """A generator far from its start, so that every part of the state shows in its logits."""
    torch.manual_seed(seed)
    made = recipe({**INFO, "length": length, "eos": None}, preset=preset, goal_steps=steps)
    policy = made.networks()["generator"]
    for parameter in policy.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return made, policy


# Features of prefixes


@pytest.mark.parametrize("length", [4, 9])
def test_features_of_prefixes_are_the_features_of_padded_texts(length):
    torch.manual_seed(0)
    filters = [(size, 3) for size in (1, 2, 3, 4, 9)]
    reader = Discriminator(13, length, 5, filters)
    tokens = torch.randint(12, (6, length))
    got = prefix_features(reader, tokens)
    for place in range(length + 1):
        padded = torch.cat([tokens[:, :place], torch.full((6, length - place), 12)], 1)
        torch.testing.assert_close(got[:, place], reader.features(padded), atol=1e-5, rtol=1e-5)
    assert (got[:, 1:] - got[:, :-1]).abs().amax((0, 2)).min() > 1e-3  # every token moves the features


# The policy and its sampler


@PRESETS
@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_the_sampler_gives_the_logits_of_the_teacher_forced_policy(preset, steps):
    """Also where the last goal holds for fewer tokens than the others."""
    _, policy = policy_of(preset, steps=steps)
    tokens = torch.randint(12, (5, 9))
    expected, sampler = policy(tokens), policy.sampler()
    state = sampler.start(5)
    for t in range(9):
        torch.testing.assert_close(sampler.logits(state), expected[:, t], atol=1e-4, rtol=1e-4)
        state = sampler.advance(state, tokens[:, t])
    assert expected.std() > 0.1


@PRESETS
def test_goals_depend_on_the_tokens_before(preset):
    """Without the manager a token's distribution would depend on the worker's own state alone."""
    _, policy = policy_of(preset)
    tokens = torch.randint(12, (5, 9))
    before = policy(tokens)
    torch.nn.init.zeros_(policy.manager.head.weight)
    after = policy(tokens)
    torch.testing.assert_close(before[:, 0], after[:, 0])  # the start's goal
    assert (before[:, -1] - after[:, -1]).abs().max() > 0.1


@PRESETS
def test_written_texts_are_sampled_texts_with_the_features_of_their_prefixes(preset):
    _, policy = policy_of(preset)
    uniform = torch.rand(6, 9, 2)
    written = write(policy.sampler(), uniform, 4, eos=1)
    assert torch.equal(written.tokens, sample(policy, uniform, eos=1))
    torch.testing.assert_close(written.features, prefix_features(policy.reader, written.tokens), atol=1e-5, rtol=1e-4)
    assert sorted(written.marks) == [4, 8]


@PRESETS
def test_completions_begin_as_their_prefixes_and_come_with_their_features(preset):
    _, policy = policy_of(preset)
    sampler = policy.sampler()
    written = write(sampler, torch.rand(4, 9, 2), 3, eos=1)
    complete, features = completions(sampler, written, 5, Noise().reset(1), eos=1)
    assert complete.shape == (2, 5, 4, 9)
    for k, known in enumerate((3, 6)):
        assert (complete[k, :, :, :known] == written.tokens[:, :known]).all()
        assert len(complete[k].flatten(0, 1).unique(dim=0)) > 4
    expected = policy.reader.features(complete.flatten(0, 2)).view(features.shape)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-4)


@PRESETS
def test_completions_are_drawn_from_the_policy(preset):
    """The last token alone is open: shares of 4,000 completions against the probabilities."""
    _, policy = policy_of(preset)
    sampler = policy.sampler()
    written = write(sampler, torch.rand(1, 9, 2), 8)
    complete, _ = completions(sampler, written, 4000, Noise().reset(1))
    shares = complete[0, :, 0, -1].bincount(minlength=12) / 4000
    torch.testing.assert_close(shares, policy(written.tokens)[0, -1].softmax(0), atol=0.03, rtol=0)


def test_values_are_mean_probabilities_of_the_completions_and_of_the_text():
    _, policy = policy_of("paper")
    uniform = torch.rand(4, 9, 2)
    written, values = search(policy, uniform, 3, 4, Noise().reset(5))
    complete, _ = completions(policy.sampler(), written, 3, Noise().reset(5))
    expected = policy.reader.score(complete.flatten(0, 2)).sigmoid().view(2, 3, 4).mean(1)
    torch.testing.assert_close(values[:, :2], expected.t(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(values[:, 2], policy.reader.score(written.tokens).sigmoid(), atol=1e-5, rtol=1e-4)


# Rewards and losses


def test_ranks_are_sorted_and_their_mean_does_not_depend_on_the_values():
    values = torch.tensor([[0.3, 0.9], [0.1, 0.2], [0.2, 0.5], [0.9, 0.1]])
    got = ranked(values, 16.0)
    expected = (16 * (torch.tensor([[3, 4], [1, 2], [2, 3], [4, 1]]) / 4 - 0.5)).sigmoid()
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(got.mean(0), ranked(torch.rand(4, 2), 16.0).mean(0))


def test_real_texts_in_the_ranks_tell_good_texts_from_bad_ones():
    values = torch.tensor([[0.3], [0.1]])
    worse, better = ranked(values, 8.0, torch.tensor([0.8, 0.9])), ranked(values, 8.0, torch.tensor([0.01, 0.02]))
    torch.testing.assert_close(worse[:, 0], (8 * (torch.tensor([2, 1]) / 4 - 0.5)).sigmoid())
    torch.testing.assert_close(better[:, 0], (8 * (torch.tensor([4, 3]) / 4 - 0.5)).sigmoid())


def test_a_goal_takes_the_value_of_the_first_completed_prefix_that_holds_its_tokens():
    values = torch.tensor([[4.0, 8.0, 9.0]])  # of prefixes of 4 and 8 tokens, and of the text of 9
    assert of_goals(values, torch.arange(8), 2, 4).tolist() == [[4, 4, 4, 8, 8, 8, 8, 9]]
    assert of_goals(values, torch.tensor([0, 4]), 4, 4).tolist() == [[4, 8]]


def test_the_papers_goals_agreement_and_intrinsic_reward_are_its_equations():
    torch.manual_seed(0)
    goals, c = WindowGoals(7, 3), 3
    features, first = torch.randn(2, 8, 5), torch.randn(1, 5)
    g = F.normalize(torch.randn(2, 8, 5), dim=2)
    for b in range(2):
        for t in range(7):
            total = sum((g[b, t - i] if t >= i else first[0] / c) for i in range(1, c + 1))
            torch.testing.assert_close(goals.of(g, first)[b, t], total)
            end = t + 1  # the prefix with this token
            terms = [
                F.cosine_similarity(features[b, end] - features[b, end - i], g[b, end - i], dim=0)
                for i in range(1, min(c, end) + 1)
            ]
            torch.testing.assert_close(goals.intrinsic(features, g, first)[b, t], sum(terms) / len(terms))
        for t in range(5):
            cosine = F.cosine_similarity(features[b, t + c] - features[b, t], g[b, t], dim=0)
            torch.testing.assert_close(goals.agreement(features, g, first)[b, t], cosine)


def test_the_programs_goals_hold_for_a_segment():
    goals = SegmentGoals(7, 3)
    directions, first = torch.arange(8.0)[None, :, None], torch.full((1, 1), -1.0)
    assert goals.of(directions, first).flatten().tolist() == [-1, -1, -1, 6, 6, 6, 15]
    assert goals.places().tolist() == [0, 3]


def losses(preset, rewards_order=None, eos=None, tokens=None):
    made = recipe({**INFO, "eos": eos}, preset=preset)
    ctx = context(made)
    torch.manual_seed(1)
    tokens = torch.randint(2, 12, (4, 9)) if tokens is None else tokens
    features = torch.randn(4, 10, ctx["discriminator"].head.in_features)
    rewards = torch.rand(4, len(made.goals.places()))
    order = range(4) if rewards_order is None else rewards_order
    return ctx, made.losses_of(ctx, tokens, features, rewards[list(order)])


def test_a_shuffled_reward_changes_the_papers_manager_and_nothing_in_the_program():
    for preset, changes in (("paper", True), ("code", False)):
        _, terms = losses(preset)
        _, shuffled = losses(preset, [2, 3, 1, 0])
        assert bool((terms["manager"] - shuffled["manager"]).abs() > 1e-4) == changes
        torch.testing.assert_close(terms["worker"], shuffled["worker"])


@PRESETS
def test_each_term_trains_its_own_network(preset):
    for term, other in (("manager", "worker"), ("worker", "manager")):
        ctx, terms = losses(preset)
        terms[term].backward()
        assert all(p.grad is None for p in ctx.players[other].module.parameters())
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in ctx.players[term].module.parameters())
        assert all(p.grad is None for n in ("discriminator", "generator") for p in ctx.players[n].module.parameters())


def test_the_papers_worker_is_praised_for_each_token_the_program_for_a_batch():
    """The gradient of log-likelihoods: their weights differ from text to text in the paper, not in the program."""
    for preset, differs in (("paper", True), ("code", False)):
        made = recipe({**INFO, "eos": None}, preset=preset)
        ctx = context(made)
        torch.manual_seed(1)
        tokens, features = torch.randint(2, 12, (4, 9)), torch.randn(4, 10, ctx["discriminator"].head.in_features)
        logits = torch.zeros(4, 9, 12, requires_grad=True)
        ctx._networks["worker"] = lambda tokens, goals, logits=logits: logits
        made.losses_of(ctx, tokens, features, torch.rand(4, len(made.goals.places())))["worker"].backward()
        weights = logits.grad.gather(2, tokens[:, :, None])
        assert bool(weights.std() > 1e-5) == differs


@PRESETS
def test_tokens_after_the_end_teach_nothing(preset):
    tokens = torch.randint(2, 12, (4, 9), generator=torch.Generator().manual_seed(2))
    tokens[:, 5:] = 1
    ctx, terms = losses(preset, eos=1, tokens=tokens)
    made = recipe(INFO, preset=preset)
    mask = torch.arange(9) < 6
    with torch.no_grad():
        torch.manual_seed(1)
        features = torch.randn(4, 10, ctx["discriminator"].head.in_features)
        directions, first = ctx["manager"](features), ctx["manager"].first
        followed = made.goals.intrinsic(features, directions, first)[:, mask]
        logp = ctx["worker"](tokens, made.goals.of(directions, first)).log_softmax(2)
        chosen = logp.gather(2, tokens[:, :, None]).squeeze(2)[:, mask]
        expected = -(followed * chosen).mean() if preset == "paper" else -followed.mean() * chosen.mean()
    torch.testing.assert_close(terms["worker"].detach(), expected)
