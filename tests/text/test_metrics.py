"""Scores of text: worked out by hand, against their floors, and what they see in generators that are known to be bad."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from polygan import DataError, Evaluation
from polygan.data import build_store, split_store
from polygan.game.recipe import NoOptions
from polygan_text import bleu, datasets, likelihoods, metrics
from polygan_text.data.facts import tokens_of
from polygan_text.data.settings import OracleSettings, TextSettings
from polygan_text.domain import TextDomain
from polygan_text.oracle import oracle_of
from polygan_text.residual import Config as ResidualConfig
from polygan_text.residual import Residual
from polygan_text.rollout import UNK
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config, Sampling

DOMAIN = TextDomain()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("stores"))

    def make(name, **options):
        settings = OracleSettings(source=name, cache=cache, **options)
        store = build_store(getattr(datasets, name)(settings), settings, progress=False)
        return split_store(store, settings.held_out)

    return {
        "grammar": make("grammar", size=900),
        "oracle": make("oracle", size=900, vocabulary=40, max_length=8),
    }


def evaluation(splits, policy=None, started=1, **options):
    """Of a recipe whose generator is ``policy``, or a fresh one."""
    torch.manual_seed(0)
    recipe = SeqGAN(Config(embedding_dim=4, hidden_dim=8), splits["train"].store.info)
    networks = recipe.networks()
    networks["mle"].ready.fill_(started)
    if policy is not None:
        networks["generator"] = policy
    return Evaluation(
        domain=DOMAIN,
        info=splits["train"].store.info,
        train=splits["train"],
        held_out=splits["held_out"],
        cache=None,
        device=torch.device("cpu"),
        recipe=recipe,
        networks=networks,
        **{"samples": 200, **options},
    )


def by_name(scores):
    return {s.name: s for s in scores}


def test_the_oracle_as_generator_stands_on_the_floor(data):
    splits = data["oracle"]
    oracle = oracle_of(splits["train"].store.info)
    found = evaluation(splits, oracle, samples=3000)
    score = by_name(likelihoods.nll_oracle(found))
    assert score["text/nll-oracle"].value == pytest.approx(score["text/nll-oracle"].floor, abs=0.1)
    assert score["text/nll-oracle-of-mle"].value > score["text/nll-oracle"].floor + 0.5  # it knows nothing yet
    held = by_name(likelihoods.nll_held_out(found))
    assert held["text/nll-held-out"].value == pytest.approx(held["text/nll-held-out"].floor, rel=1e-5)
    assert held["text/nll-held-out-of-mle"].value == pytest.approx(math.log(40), abs=0.3)


def test_a_start_that_is_not_there_yet_is_not_scored(data):
    found = evaluation(data["oracle"], started=0)
    assert [s.name for s in likelihoods.nll_oracle(found)] == ["text/nll-oracle"]


def test_a_sharpened_oracle_falls_below_the_floor_and_pays_elsewhere(data):
    """Doubled logits: better by the oracle than the oracle, worse on held-out data. Both are shown."""
    splits = data["oracle"]
    sharp = oracle_of(splits["train"].store.info)
    sharp.head.weight.mul_(2)
    sharp.head.bias.mul_(2)
    found = evaluation(splits, sharp, samples=2000)
    nll, held = (by_name(m(found)) for m in (likelihoods.nll_oracle, likelihoods.nll_held_out))
    assert nll["text/nll-oracle"].value < nll["text/nll-oracle"].floor - 0.1
    assert held["text/nll-held-out"].value > held["text/nll-held-out"].floor + 0.1


def test_likelihood_scores_are_means_over_tokens_up_to_the_end(data):
    found = evaluation(data["grammar"])
    score = by_name(likelihoods.nll_held_out(found))["text/nll-held-out"]
    assert score.floor is None
    split, policy = found.held_out, found.networks["generator"].eval()
    total, count = 0.0, 0
    for row in split.rows:
        tokens = torch.from_numpy(split.store.item("tokens", row).copy()).long()
        length = tokens.tolist().index(1) + 1
        total -= float(policy.log_probabilities(tokens[None])[0, :length].sum().detach())
        count += length
    assert score.value == pytest.approx(total / count, rel=1e-4)


def test_every_score_of_samples_and_of_held_out_texts_carries_its_standard_error(data):
    measures = (metrics.bleu, metrics.self_bleu, metrics.distinct, metrics.entropy, likelihoods.nll_held_out)
    for name, more in (("grammar", (metrics.grammatical,)), ("oracle", (likelihoods.nll_oracle,))):
        for score in (s for measure in (*measures, *more) for s in measure(evaluation(data[name], samples=40))):
            assert score.error is not None, score.name
            assert 0 <= score.error < 1, score.name


def test_the_error_of_a_likelihood_is_over_texts(data):
    e = evaluation(data["oracle"])  # every text has 8 tokens, so the ratio is a mean of means
    found = by_name(likelihoods.nll_held_out(e))["text/nll-held-out"]
    real = likelihoods.real_texts(e, e.held_out, len(e.held_out))
    nats, counts = likelihoods.nats_of_each(e, e.networks["generator"], real)
    each = (nats / counts).numpy()
    assert found.error == pytest.approx(each.std(ddof=1) / len(each) ** 0.5)


def test_one_training_text_is_too_few_for_bleu(data):
    found = evaluation(data["grammar"])
    found.train = type(found.train)(found.train.store, found.train.rows[:1], "train")
    for measure in (metrics.bleu, metrics.self_bleu):
        with pytest.raises(DataError, match="1 training text is too few, 2 are needed"):
            measure(found)


def test_words_outside_the_vocabulary_are_in_no_likelihood(tmp_path):
    file, test = tmp_path / "train.txt", tmp_path / "test.txt"
    file.write_text("a cat sleeps\n" * 8 + "a dog barks\n" * 8)
    test.write_text("a zebra sleeps\na zebra barks")
    settings = TextSettings(source=str(file), test=str(test), cache=str(tmp_path))
    splits = split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0)
    found = evaluation(splits)
    score = by_name(likelihoods.nll_held_out(found))["text/nll-held-out"]
    policy, split = found.networks["generator"].eval(), found.held_out
    tokens = split.store.gather("tokens", np.sort(split.rows)).long()
    logp = policy.log_probabilities(tokens).detach()
    assert (tokens[:, 1] == 2).all()
    assert score.value == pytest.approx(-float(logp[:, [0, 2, 3]].mean()), rel=1e-4)  # a, sleeps or barks, the end
    told = "of 2 held-out texts at temperature 1; 33.3 % of the tokens are unknown and do not count; try --data.tokenizer char or bpe"
    assert score.note == f"nats a token {told}"


def test_nats_a_character_are_the_nats_of_all_tokens_over_all_characters(tmp_path):
    """With the uniform policy the likelihood is known for each tokenizer."""
    file = tmp_path / "train.txt"
    file.write_text("春眠不觉晓\n处处闻啼鸟\n" * 20)
    for tokenizer in ("char", "bpe"):
        settings = TextSettings(source=str(file), cache=str(tmp_path), tokenizer=tokenizer, vocabulary=300)
        splits = split_store(build_store(DOMAIN.open(settings), settings, progress=False), 0)
        found = evaluation(splits)
        for parameter in found.networks["generator"].parameters():
            torch.nn.init.zeros_(parameter)
        scores = by_name(likelihoods.nll_held_out(found))
        tokens = splits["held_out"].store.gather("tokens", np.sort(splits["held_out"].rows))
        count = int((tokens != 1).sum()) + len(tokens)  # each text has one end
        score = scores["text/nll-held-out-character"]
        assert score.value == pytest.approx(count * math.log(found.info["vocabulary"]) / (5 * len(tokens)), rel=1e-4)
        assert (
            score.note
            == f"nats a character of {len(tokens)} held-out texts at temperature 1; 0.0 % of the tokens are unknown and do not count"
        )
        assert "text/nll-held-out-character-of-mle" in scores


def test_real_texts_are_counted_once_for_all_evaluations_of_a_run(data, monkeypatch):
    counted, kept = [], {}
    monkeypatch.setattr(metrics, "References", lambda texts: counted.append(len(texts)) or bleu.References(texts))
    first, second = (by_name(metrics.bleu(evaluation(data["grammar"], kept=kept, seed=seed))) for seed in (0, 1))
    assert counted == [90]
    assert first["text/bleu-2"].floor == second["text/bleu-2"].floor
    assert first["text/bleu-2"].value != second["text/bleu-2"].value  # what is generated is not kept


def test_one_text_for_ever_is_seen_by_every_score_of_variety(data):
    found = evaluation(data["grammar"])
    one = found.domain.real(found.train, found.train.rows[:1])
    samples = found.domain.real(found.train, found.train.rows[[0] * 200])
    assert samples.data == one.data * 200
    found.generate = lambda n, seed, *_, **__: found.domain.real(found.train, found.train.rows[[0] * n])
    scores = by_name(metrics.self_bleu(found) + metrics.distinct(found) + metrics.entropy(found) + metrics.bleu(found))
    assert scores["text/self-bleu-4"].value == pytest.approx(1)
    assert scores["text/self-bleu-4"].floor < 0.95
    assert scores["text/duplicates"].value == pytest.approx(199 / 200)
    assert scores["text/duplicates"].floor < 0.2
    assert scores["text/distinct-2"].value < scores["text/distinct-2"].floor / 3
    assert scores["text/entropy-2"].value < scores["text/entropy-2"].floor - 1
    assert scores["text/bleu-2"].value > 0.8 * scores["text/bleu-2"].floor  # and by none of quality


def test_real_text_is_grammatical_and_noise_is_not(data):
    found = evaluation(data["grammar"])
    score = metrics.grammatical(found)[0]
    assert (score.value, score.floor) == (0.0, 1.0)
    found.generate = lambda n, seed, *_, **__: found.domain.real(found.train, found.train.rows[:n])
    assert metrics.grammatical(found)[0].value == 1.0


def test_entropy_and_distinct_by_hand():
    assert metrics._grams([[1, 2, 1], [2, 1]], 2) == {(1, 2): 1, (2, 1): 2}


@pytest.mark.parametrize("name", ["oracle", "grammar"])
def test_the_sweep_shows_generator_and_start_over_temperatures(data, name, monkeypatch):
    monkeypatch.setattr(metrics, "SWEEP", 20)
    (plot,) = metrics.temperature_sweep(evaluation(data[name]))
    assert list(plot.lines) == ["generator", "maximum likelihood"]
    assert all(len(points) == len(metrics.TEMPERATURES) for points in plot.lines.values())
    assert all(math.isfinite(v) for points in plot.lines.values() for point in points for v in point)


def test_the_sweep_of_chosen_texts_has_the_likelihood_of_the_choice(data, monkeypatch):
    monkeypatch.setattr(metrics, "SWEEP", 20)
    found = evaluation(data["oracle"])
    settings = ResidualConfig(embedding_dim=4, hidden_dim=8, rerank=4)
    found.recipe = Residual(settings, found.info)
    found.networks["generator"] = found.networks["mle"].policy
    for p in found.networks["discriminator"].parameters():
        torch.nn.init.normal_(p, std=0.5)
    (plot,) = metrics.temperature_sweep(found)
    real = likelihoods.real_texts(found, found.held_out, 1000)
    for temperature, chosen, plain in zip(metrics.TEMPERATURES, *plot.lines.values(), strict=True):
        gain = found.recipe.chosen_log_ratio(found.networks, tokens_of(real), None, 4, temperature).mean() / 8
        assert chosen[0] == pytest.approx(plain[0] - float(gain), rel=1e-6)
        assert chosen[1] != plain[1]  # other texts


def test_a_recipe_of_others_needs_none_of_our_options_of_generation(data):
    class Plain(SeqGAN):
        Sampling = NoOptions

        def generate(self, networks, request):
            return super().generate(networks, replace(request, options=Sampling()))

    found, usual = evaluation(data["grammar"]), evaluation(data["grammar"])
    found.recipe = Plain(Config(embedding_dim=4, hidden_dim=8), found.info)
    found.networks = usual.networks
    for metric in (metrics.bleu, metrics.self_bleu, likelihoods.nll_held_out):
        assert by_name(metric(found)) == by_name(metric(usual))
    with pytest.raises(DataError, match="no option temperature"):
        metrics.temperature_sweep(found)


def test_scores_that_do_not_fit_the_data_say_so(data):
    with pytest.raises(DataError, match="train on --data oracle"):
        likelihoods.nll_oracle(evaluation(data["grammar"]))
    with pytest.raises(DataError, match="for --data grammar"):
        metrics.grammatical(evaluation(data["oracle"]))
    found = evaluation(data["grammar"])
    found.recipe = None
    with pytest.raises(DataError, match="gives no likelihoods"):
        likelihoods.nll_held_out(found)
    found = evaluation(data["grammar"])
    found.held_out = type(found.held_out)(found.held_out.store, found.held_out.rows[:1], "held_out")
    with pytest.raises(DataError, match=r"1 held-out texts are too few.*raise --data.held_out"):
        metrics.bleu(found)


def test_a_policy_that_has_diverged_is_named_and_gives_no_score(data):
    e = evaluation(data["oracle"])
    for parameter in e.networks["generator"].parameters():
        parameter.data[...] = math.nan
    with pytest.raises(DataError, match=r"NaN as the likelihood of (\d+) of \1 texts: its weights have diverged"):
        likelihoods.nll_held_out(e)


def test_words_outside_the_vocabulary_change_no_likelihood_even_if_they_are_impossible(data, monkeypatch):
    e = evaluation(data["oracle"])
    info = {**e.info, "tokenizer": {}}
    tokens = torch.tensor([[5, UNK, 6], [UNK, 7, 8]])
    values = torch.tensor([[-1.0, -math.inf, -2.0], [math.nan, -3.0, -4.0]])
    monkeypatch.setattr(likelihoods, "tokens_of", lambda samples: tokens)
    monkeypatch.setattr(e.recipe, "log_likelihood", lambda *_: values)
    samples = DOMAIN.real(e.held_out, e.held_out.rows[:2])
    assert likelihoods.nats_of(replace(e, info=info), e.networks["generator"], samples) == (10.0, 4)
    tokens[:] = UNK
    with pytest.raises(DataError, match="none of the 2 texts has a token of the vocabulary"):
        likelihoods.nats_of(replace(e, info=info), e.networks["generator"], samples)


def test_bleu_of_short_texts_is_left_out_and_said(data, monkeypatch):
    """Texts of 4 tokens have no 5-grams: a BLEU-5 of them would be smoothing alone."""
    monkeypatch.setattr(metrics, "words_of", lambda samples, info: [row[:4] for row in tokens_of(samples).tolist()])
    found = evaluation(data["oracle"])
    scores = by_name(metrics.bleu(found) + metrics.self_bleu(found))
    assert {name[-1] for name in scores} - {"e"} == {"2", "3", "4"}
    assert all("no BLEU-5: half of the real texts have at most 4 words" in s.note for s in scores.values())
