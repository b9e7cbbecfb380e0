"""The discriminator chooses among texts of a policy: by weight, at other temperatures, with a likelihood of its own."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_leakgan import INFO as LEAK_INFO
from small_leakgan import recipe as leakgan
from small_seqgan import INFO, recipe

import polygan
from polygan import ConfigError, Samples, TrainerSettings, make_samples, testing
from polygan_text.domain import TextDomain
from polygan_text.policy import LSTMPolicy
from polygan_text.reranking import choose, log_ratio, log_weights
from polygan_text.residual import Config, Residual
from polygan_text.rollout import Shape, sample
from polygan_text.settings import Sampling

TINY = {**INFO, "vocabulary": 4, "length": 2, "eos": None}
SMALL = {"embedding_dim": 3, "hidden_dim": 4, "discriminator_embedding_dim": 3, "mle_steps": 2, "check_every": 1}
EVERY = torch.cartesian_prod(torch.arange(4), torch.arange(4))


def residual(info=TINY, **options):
    return Residual(Config(**{**SMALL, **options}), info)


def loud(made):
    """Networks whose discriminator has clear opinions."""
    torch.manual_seed(3)
    networks = made.networks()
    for network in (networks["generator"], networks["discriminator"]):
        for p in network.parameters():
            torch.nn.init.normal_(p, std=1.0)
    return {name: network.eval() for name, network in networks.items()}


def exact(networks, k, temperature=1.0):
    """(16,) q_K of all texts of two tokens of four, by a sum over all K texts that may be drawn at a temperature."""
    policy, judge = networks["generator"], networks["discriminator"]
    with torch.no_grad():
        plain, p = (policy.log_probabilities(EVERY, temperature=t).sum(1).exp().double() for t in (1.0, temperature))
        w = judge.score(EVERY).exp().double() * plain / p
    q = torch.zeros(16, dtype=torch.float64)
    for drawn in itertools.product(range(16), repeat=k):
        weights = w[list(drawn)]
        q.index_add_(0, torch.tensor(drawn), p[list(drawn)].prod() * weights / weights.sum())
    return p, q


@pytest.mark.parametrize("k", [2, 3])
def test_texts_follow_the_choice_by_weight(k):
    made = residual(rerank=k)
    networks = loud(made)
    p, q = exact(networks, k)
    assert q.sum() == pytest.approx(1)
    n = 20_000
    tokens = make_samples(made, networks, n).extra["tokens"]
    counts = torch.bincount(tokens @ torch.tensor([4, 1]), minlength=16) / n
    error = (counts - q) / (q * (1 - q) / n).sqrt()
    assert error.abs().max() < 4.5
    assert ((counts - p) / (p * (1 - p) / n).sqrt()).abs().max() > 10  # the choice changes much


@pytest.mark.parametrize(("k", "temperature"), [(1, 1.0), (2, 1.0), (3, 1.0), (3, 1.4), (1, 0.8)])
def test_the_likelihood_is_that_of_the_choice(k, temperature):
    made = residual(rerank=k)
    networks = loud(made)
    p, q = exact(networks, k, temperature)
    found = made.chosen_log_ratio(networks, EVERY, None, k, temperature)
    torch.testing.assert_close(p * found.exp(), q, atol=0.02, rtol=0.05)


def test_at_another_temperature_the_weights_make_up_for_it():
    """E under p_T of (p / p_T) is 1 for each text, so that weighted texts are those of temperature 1."""
    torch.manual_seed(0)
    policy = LSTMPolicy(4, 3, 5, init_std=1.0).eval()

    class Silent:
        def score(self, tokens, labels=None):
            return torch.zeros(len(tokens))

    texts = sample(policy, torch.rand(40_000, 2, 2), shape=Shape(0.6))
    weights = log_weights(policy, Silent(), texts, None, None, 0.6).exp()
    with torch.no_grad():
        expected = policy.log_probabilities(EVERY).sum(1).exp()
    got = torch.zeros(16).index_add_(0, texts @ torch.tensor([4, 1]), weights) / len(texts)
    torch.testing.assert_close(got, expected, atol=0.03, rtol=0)


def test_the_best_is_taken_without_random_numbers():
    weights = torch.tensor([[0.0, 2.0, 1.0], [3.0, -1.0, 3.5]])
    assert choose(weights, None).tolist() == [1, 2]
    many = choose(weights[:1].expand(30_000, 3), torch.rand(30_000, 2))
    shares = torch.bincount(many, minlength=3) / 30_000
    torch.testing.assert_close(shares, weights[0].softmax(0), atol=0.015, rtol=0)


def test_a_choice_between_equals_changes_no_likelihood():
    assert log_ratio(torch.zeros(5), torch.zeros(9), 4).tolist() == pytest.approx([0] * 5, abs=1e-12)
    # by hand: the other weight is always 1, so that q(x) / p(x) = 2 w / (w + 1)
    found = log_ratio(torch.tensor([3.0]).log(), torch.zeros(9), 2)
    assert float(found) == pytest.approx(math.log(2 * 3 / 4))


def test_the_best_of_more_texts_looks_more_real():
    made = recipe({**INFO, "eos": None})
    networks = loud(made)
    judge, scores = networks["discriminator"], []
    for k in (1, 4, 16):
        texts = make_samples(made, networks, 200, 0, Sampling(rerank=k, rerank_by="best")).extra["tokens"]
        scores.append(float(judge.score(texts).mean()))
    assert scores[0] < scores[1] < scores[2]


def test_a_text_of_a_seed_does_not_depend_on_the_number_of_texts_and_one_of_one_is_the_policy_s():
    made = recipe()
    networks = made.networks()
    testing.check_prefix(made, networks, Sampling(rerank=3))
    testing.check_prefix(made, networks, Sampling(rerank=3, rerank_by="best"))
    plain, one = (make_samples(made, networks, 9, 5, Sampling(rerank=k)).data for k in (0, 1))
    assert plain == one


def test_classes_and_beginnings_stay_with_their_texts():
    info = {**INFO, "eos": None, "classes": ["a", "b"]}
    made = recipe(info)
    networks = loud(made)
    given = Samples(["3", "4", "5 6"], TextDomain())
    texts = make_samples(made, networks, 0, 0, Sampling(rerank=4), given=given).data
    assert [t.split()[0] for t in texts] == ["3", "4", "5"]
    assert make_samples(made, networks, 4, 0, Sampling(rerank=4)).labels.tolist() == [0, 1, 0, 1]


def test_the_discriminator_of_leakgan_chooses_too():
    made = leakgan({**LEAK_INFO, "eos": None})
    networks = loud(made)
    plain, chosen = (
        make_samples(made, networks, 50, 0, Sampling(rerank=k, rerank_by="best")).extra["tokens"] for k in (1, 8)
    )
    assert networks["discriminator"].score(chosen).mean() > networks["discriminator"].score(plain).mean()


def test_a_model_without_discriminator_cannot_choose():
    made = recipe()
    with pytest.raises(ConfigError, match="rerank = 4 asks the discriminator"):
        make_samples(made, {"generator": made.networks()["generator"]}, 3, 0, Sampling(rerank=4))


@pytest.mark.parametrize("options", [{"rerank": -1}, {"rerank": 5000}])
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="rerank"):
        Sampling(**options)
    with pytest.raises(ConfigError, match="rerank"):
        Config(rerank=0)


def test_a_run_that_ends_before_the_discriminator_learns_says_so():
    assert "never learns" in residual().notes(TrainerSettings(steps=2))[0]
    assert not residual().notes(TrainerSettings(steps=3))
    with pytest.raises(ConfigError, match="no multiple"):
        Config(policy="gpt2", hidden_dim=6, heads=4)


def test_an_evaluation_with_rerank_scores_the_choice_of_any_run_with_a_discriminator(tmp_path):
    run = polygan.train(
        "text/seqgan",
        data={"source": "oracle", "size": 160, "vocabulary": 12, "max_length": 5, "cache": str(tmp_path)},
        model={"embedding_dim": 3, "hidden_dim": 4, "discriminator_embedding_dim": 3, "discriminator": "lstm"}
        | {"mle_steps": 2, "pretrain_steps": 1, "check_every": 1},
        steps=3,
        batch_size=8,
        runs=str(tmp_path / "runs"),
    )
    for p in run.networks["discriminator"].parameters():
        torch.nn.init.normal_(p, std=1.0)

    def scores(metric, **options):
        return {s.name: s.value for s in run.evaluate([metric], samples=50, quiet=True, **options)}

    held = run.splits()["held_out"]
    real = run.domain.real(held, sorted(held.rows)).extra["tokens"]
    plain, chosen = scores("text/nll-held-out"), scores("text/nll-held-out", rerank=4)
    gain = run.recipe.chosen_log_ratio(run.networks, real, None, 4).mean() / 5
    assert chosen["text/nll-held-out (rerank 4)"] == pytest.approx(plain["text/nll-held-out"] - float(gain), rel=1e-6)
    assert chosen["text/nll-held-out-of-mle (rerank 4)"] == plain["text/nll-held-out-of-mle"]
    cooler = scores("text/nll-oracle", temperature=0.5)
    assert cooler["text/nll-oracle (temperature 0.5)"] < scores("text/nll-oracle")["text/nll-oracle"]
    assert cooler["text/nll-oracle-of-mle (temperature 0.5)"] < scores("text/nll-oracle")["text/nll-oracle-of-mle"]
    assert scores("text/nll-held-out", top_k=3) == {}
    assert scores("text/nll-held-out", rerank=2, rerank_by="best") == {}
