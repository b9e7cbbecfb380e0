import pytest
import torch
from small_pairs import EOS, UNK, VOCABULARY, batch, given
from small_seq2seq import INFO, context, recipe
from small_seqgan import parameters

from polygan import ConfigError, TrainerSettings
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_text.rewriting.settings import Sampling
from polygan_text.rewriting.sources import trimmed_batch


def train(made, steps, precision="fp32", **options):
    streams = {"train": RepeatedBatch(batch()), "held_out": RepeatedBatch(batch())}
    settings = TrainerSettings(steps=steps, batch_size=8, precision=precision, hang_timeout=0, **options)
    trainer = Trainer(made, streams, settings)
    trainer.fit()
    return trainer


def ready(made, turn):
    """A context in which a turn may compute its loss."""
    ctx = context(made)
    ctx.turn = turn
    return ctx


def test_data_without_pairs_is_refused_with_the_option_that_names_the_sources():
    with pytest.raises(ConfigError, match=r"--data\.given"):
        recipe({k: v for k, v in INFO.items() if k != "given_length"})


def test_a_batch_of_one_pair_is_refused_before_training():
    made = recipe()
    with pytest.raises(ConfigError, match="batch_size"):
        made.players(made.networks(), TrainerSettings(batch_size=1, steps=10))
    made.players(made.networks(), TrainerSettings(batch_size=1, steps=1))  # only maximum likelihood


def test_likelihood_is_of_copies_where_a_target_copies():
    made = recipe(dropout=0.0)
    ctx, data = ready(made, "mle"), batch()
    policy = ctx.players["generator"].module
    whole = policy(torch.where(data["copied"] >= 0, VOCABULARY + data["copied"], data["tokens"]), given(8))
    tokens = torch.where(data["copied"] >= 0, VOCABULARY + data["copied"], data["tokens"])
    mask = ((tokens == EOS).cumsum(1) < 1) | ((tokens == EOS).cumsum(1) == 1) & (tokens == EOS)
    expected = -whole.log_probability(tokens)[mask].mean()
    torch.testing.assert_close(made.likelihood_loss(ctx, data)["nll"], expected)


def test_checks_count_copies_and_leave_other_unknown_words_out():
    made = recipe()
    policy, data = made.networks()["generator"], batch(2)
    data["tokens"][0, 0], data["copied"][0, 0] = UNK, -1
    made._checks.text = {**made.text, "tokenizer": "of words"}
    tokens = torch.where(data["copied"] >= 0, VOCABULARY + data["copied"], data["tokens"])
    mask = made._checks.mask(data)
    ended = (data["tokens"] == EOS).cumsum(1)
    whole = (ended == 0) | ((ended == 1) & (data["tokens"] == EOS))
    expected = whole & ((data["tokens"] != UNK) | (data["copied"] >= 0))
    assert torch.equal(mask.bool(), expected)
    assert (whole.sum() - mask.sum(), (expected & (data["copied"] >= 0)).any()) == (1, True)
    torch.testing.assert_close(made._nats(policy, data), -policy(tokens, data["given"]).log_probability(tokens))


def test_coverage_is_added_with_its_weight():
    made = recipe(coverage=0.5, dropout=0.0)
    terms = made.likelihood_loss(ready(made, "mle"), batch())
    whole = recipe(coverage=1.0, dropout=0.0).likelihood_loss(ready(made, "mle"), batch())["coverage"]
    assert whole.item() > 0
    torch.testing.assert_close(2 * terms["coverage"], whole)
    assert set(recipe().likelihood_loss(ready(recipe(), "mle"), batch())) == {"nll"}


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_mismatched_pairs_have_their_share_of_the_negatives(share):
    made = recipe(mismatched=share, discriminator_dropout=0.0)
    ctx = ready(made, "d")
    discriminator = ctx.players["discriminator"].module
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.zero_()
        discriminator.bias.fill_(1.5)  # every logit is 1.5
    terms = made.discriminator_loss(ctx, batch())
    refuse, accept = (torch.nn.functional.softplus(torch.tensor(x)).item() / 2 for x in (1.5, -1.5))
    assert terms["real"].item() == pytest.approx(accept)
    assert terms["fake"].item() == pytest.approx((1 - share) * refuse)
    assert terms.get("mismatched", torch.tensor(0.0)).item() == pytest.approx(share * refuse)


def test_mismatched_pairs_are_real_texts_with_the_source_of_another_text(monkeypatch):
    made = recipe()
    ctx, data, seen = ready(made, "d"), batch(), {}
    discriminator = ctx.players["discriminator"].module

    def look(tokens, sources):
        seen.update(tokens=tokens[16:], sources=sources[16:])
        return tokens.sum(1).float()

    monkeypatch.setattr(discriminator, "forward", look)
    made.discriminator_loss(ctx, data)
    assert torch.equal(seen["tokens"], data["tokens"])  # copies are unknown words there
    assert torch.equal(seen["sources"], data["given"].roll(1, 0))


def test_the_discriminator_learns_from_the_texts_that_the_policy_learned_from_once():
    made = recipe(discriminator_dropout=0.0)
    ctx, other = ready(made, "g"), {**batch(), "given": given(8, seed=9)}
    made.generator_loss(ctx, batch())
    drawn = dict(ctx.cache)
    ((own, tokens),) = drawn.values()
    made.discriminator_loss(ctx, other)
    assert not ctx.cache
    ctx.cache.update(drawn)
    found = made.discriminator_loss(ctx, other)["fake"]
    expected = torch.nn.functional.softplus(ctx["discriminator"](tokens, own["given"])).mean() * 0.75 / 2
    torch.testing.assert_close(found, expected)


def test_dense_rewards_are_the_terms_from_a_token_on():
    made = recipe()
    ctx = ready(made, "g")
    tokens = made._drawn(ctx, given(8))
    terms = ctx.players["discriminator"].module.terms(tokens, given(8))
    rewards = made._rewards(ctx, tokens, given(8))
    for t in range(tokens.shape[1]):
        torch.testing.assert_close(rewards[:, t], terms[:, t:].sum(1))


def test_rollouts_reward_the_last_token_by_the_whole_text():
    made = recipe(rewards="rollouts")
    ctx = ready(made, "g")
    tokens = made._drawn(ctx, given(8))
    rewards = made._rewards(ctx, tokens, given(8))
    assert rewards.shape == tokens.shape
    torch.testing.assert_close(rewards[:, -1], ctx.players["discriminator"].module.eval()(tokens, given(8)))


def test_a_constant_reward_gives_no_gradient():
    made = recipe(reward="constant", entropy=0.0, teach=0.0)
    ctx = ready(made, "g")
    loss = made.generator_loss(ctx, batch())["policy"]
    loss.backward()
    assert all(not p.grad.any() for p in ctx.players["generator"].module.parameters() if p.grad is not None)


def test_the_policy_gradient_raises_what_the_discriminator_praises():
    made = recipe(entropy=0.0, teach=0.0)
    ctx, data = ready(made, "g"), batch(64)
    discriminator, policy = (ctx.players[name].module for name in ("discriminator", "generator"))
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.zero_()
        discriminator.token_bias.weight[5] = 1.0  # only word 5 looks real
    before = policy(data["tokens"], data["given"]).probabilities()[:, 0, 5].mean()
    made.generator_loss(ctx, data)["policy"].backward()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter -= 0.1 * (0 if parameter.grad is None else parameter.grad)
    assert policy(data["tokens"], data["given"]).probabilities()[:, 0, 5].mean() > before + 1e-4


def test_a_game_that_loses_goes_back_to_its_start():
    for probation, lost, back in (("undo", 0.2, True), ("undo", 0.05, False), ("tell", 0.2, False)):
        made = recipe(tolerance=0.1, probation=probation)
        ctx = ready(made, "probation")
        generator, start = ctx.players["generator"].module, ctx.players["mle"].module
        with torch.no_grad():
            generator.head.bias += 1
            start.look(torch.tensor(lost))
            told = made._checks.undo(ctx, {})
        assert bool(told["worse"]) == (lost > 0.1)
        assert torch.equal(parameters(generator), parameters(start.policy)) == back


def test_the_game_starts_from_the_best_policy():
    made = recipe(mle_steps=3)
    networks = train(made, 4).networks()  # step 3 begins the game, with the discriminator alone
    assert torch.equal(parameters(networks["generator"]), parameters(networks["mle"].policy))
    assert float(networks["mle"].ready) == 1


def test_a_run_without_game_says_so():
    assert "never starts" in recipe().notes(TrainerSettings(steps=2))[0]
    assert recipe().notes(TrainerSettings(steps=3)) == ()


def test_likelihoods_need_the_source():
    made = recipe()
    network, data = made.networks()["generator"], batch()
    with pytest.raises(ConfigError, match="source"):
        made.log_likelihood(network, data["tokens"])
    found = made.log_likelihood(network, data["tokens"], given=data["given"])
    expected = network(data["tokens"], data["given"]).log_probability(data["tokens"])
    torch.testing.assert_close(found[1], expected[1])
    assert found[0, -1] == 0  # after the end


@pytest.mark.parametrize(
    ("options", "width"),
    [({}, 4), ({"beams": 1}, 1), ({"beams": 0}, 0), ({"rerank": 8}, 0), ({"temperature": 0.7}, 0), ({"top_p": 0.9}, 0)],
)
def test_texts_are_searched_unless_options_ask_for_drawn_texts(options, width):
    assert Sampling(**options).width == width


def test_a_search_and_drawn_texts_exclude_each_other():
    with pytest.raises(ConfigError, match="--beams 0"):
        Sampling(beams=4, rerank=8)


def test_padding_is_cut_on_the_processor_and_changes_no_loss():
    made = recipe(dropout=0.0, discriminator_dropout=0.0)
    data = {k: v[:, :4] if k != "given" else v for k, v in batch().items()}
    data["tokens"], data["copied"] = data["tokens"].clone(), data["copied"].clone()
    data["tokens"][:, 3], data["copied"][:, 3] = EOS, -1
    longer = {
        "tokens": torch.nn.functional.pad(data["tokens"], (0, 2), value=EOS),
        "copied": torch.nn.functional.pad(data["copied"], (0, 2), value=-1),
        "given": torch.nn.functional.pad(data["given"], (0, 3), value=EOS),
    }
    assert trimmed_batch(longer)["tokens"].shape == (8, 4)
    assert trimmed_batch(longer)["given"].shape[1] == int(1 + (data["given"] != EOS).sum(1).max())
    for turn in ("likelihood_loss", "discriminator_loss", "generator_loss"):
        found = [getattr(made, turn)(ready(made, "g"), b) for b in (data, longer)]
        torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("policy", ["lstm", "transformer"])
def test_a_game_in_bf16_stays_finite_and_near_the_game_in_fp32(policy):
    made = {precision: train(recipe(policy=policy, dropout=0.0), 4, precision) for precision in ("bf16", "fp32")}
    found, expected = (parameters(t.networks()["discriminator"]) for t in made.values())
    assert found.isfinite().all()
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)
