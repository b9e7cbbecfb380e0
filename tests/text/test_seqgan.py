"""SeqGAN's numbers: rewards, the policy gradient against the exact one, phases, controls, resume, devices."""

from __future__ import annotations

import pytest
import torch

from polygan import Checkpoints, ConfigError, Context, HasLikelihood, TrainerSettings, make_samples, testing
from polygan.game.protocol import complete_players
from polygan.game.sampling import stream_samples
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_text import discriminator as cnn
from polygan_text.discriminator import PAPER_FILTERS, Discriminator
from polygan_text.domain import TextDomain
from polygan_text.facts import ROWS
from polygan_text.recurrent_discriminator import RecurrentDiscriminator
from polygan_text.rollout import valid
from polygan_text.seqgan import SeqGAN
from polygan_text.settings import Config, Sampling

INFO = {"vocabulary": 12, "length": 6, "start": 0, "eos": 1, "classes": []}
SMALL = {"embedding_dim": 4, "hidden_dim": 6, "discriminator_embedding_dim": 4, "rollouts": 2, "discriminator_steps": 1}
PHASES = {"mle_steps": 4, "pretrain_steps": 2, "check_every": 2}


def recipe(info=INFO, **options):
    return SeqGAN(Config(**{**SMALL, **PHASES, **options}), info)


def context(made, seed=0):
    torch.manual_seed(seed)
    training, networks = TrainerSettings(), made.networks()
    ctx = Context(complete_players(networks, made.players(networks, training)), torch.device("cpu"), training)
    ctx.noise.reset(seed)
    return ctx


def batch(n=8, classes=0, length=6):
    tokens = torch.randint(2, 12, (n, length), generator=torch.Generator().manual_seed(1))
    tokens[::2, -2:] = 1
    return {"tokens": tokens, **({"label": torch.arange(n) % classes} if classes else {})}


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


@pytest.mark.parametrize("tables", [cnn.TABLES, 0])
@pytest.mark.parametrize("classes", [0, 3])
def test_tables_and_sharing_the_common_beginning_change_no_score(classes, tables, monkeypatch):
    monkeypatch.setattr(cnn, "TABLES", tables)
    monkeypatch.setattr(cnn, "COMPLETIONS", 100)
    torch.manual_seed(0)
    discriminator = Discriminator(12, 20, 4, classes=classes).train()
    if classes:
        torch.nn.init.normal_(discriminator.classes.weight)
    tokens, labels = torch.randint(12, (30, 20)), torch.arange(30) % 3 if classes else None
    complete = torch.randint(12, (19, 11, 30, 20))  # 330 rows a prefix: four chunks
    for k in range(19):
        complete[k, :, :, : k + 1] = tokens[:, : k + 1]
    got = discriminator.score_completions(tokens, complete, labels)
    told = None if labels is None else labels.repeat(19 * 11)
    expected = discriminator.score(complete.flatten(0, 2), told).view(19, 11, 30)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_tables_are_made_where_they_pay(monkeypatch):
    made = []
    monkeypatch.setattr(cnn, "_sums", lambda table, sums=cnn._sums: made.append(1) or sums(table))
    discriminator = Discriminator(500, 6, 4)
    for copies, tables in (
        (1, 0),
        (20, len(discriminator.convolutions)),
    ):  # 90 and 1,800 tokens, of a vocabulary of 500
        complete = torch.randint(500, (5, copies, 3, 6))
        discriminator.score_completions(complete[0, 0], complete)
        assert len(made) == tables


def test_the_discriminator_scores_without_dropout_in_training_mode():
    discriminator = Discriminator(12, 6, 4, dropout=0.9).train()
    tokens = torch.randint(12, (300, 6))
    a, b = discriminator.score(tokens), discriminator.score(tokens)
    assert torch.equal(a, b)
    assert not a.requires_grad
    torch.testing.assert_close(a, discriminator.eval()(tokens))
    assert not torch.equal(discriminator.train()(tokens), discriminator(tokens))


def test_pooling_before_the_bias_is_the_paper_s_order():
    """relu(max(conv) + b) against max(relu(conv + b)), convolution by convolution, with torch's own layers."""
    discriminator = Discriminator(12, 20, 8).eval()
    torch.nn.init.normal_(discriminator.bias)
    tokens = torch.randint(12, (4, 20))
    x = discriminator.embedding(tokens).transpose(1, 2)
    pooled, begin = [], 0
    for (_, maps), convolution in zip(PAPER_FILTERS, discriminator.convolutions, strict=True):
        kernel = convolution.weight.squeeze(2)  # (maps, embedding, size)
        h = torch.nn.functional.conv1d(x, kernel, discriminator.bias[begin : begin + maps]).relu()
        pooled.append(h.amax(2))
        begin += maps
    x = torch.cat(pooled, 1)
    gate = discriminator.gate(x).sigmoid()
    expected = gate * discriminator.highway(x).relu() + (1 - gate) * x
    torch.testing.assert_close(discriminator.features(tokens), expected, rtol=1e-4, atol=1e-5)


def recurrent():
    torch.manual_seed(0)
    made = RecurrentDiscriminator(12, 4, 5, dropout=0.5, classes=3, eos=1)
    torch.nn.init.normal_(made.output.weight)
    torch.nn.init.normal_(made.token_bias.weight)
    torch.nn.init.constant_(made.bias, 0.3)
    return made


def test_the_recurrent_discriminator_adds_up_what_it_says_of_each_token():
    """Token by token with torch's LSTM cell, and nothing after the first end."""
    discriminator = recurrent().eval()
    tokens, labels = torch.tensor([[3, 5, 1, 1], [4, 4, 7, 2]]), torch.tensor([2, 0])
    cell = torch.nn.LSTMCell(4, 5)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in discriminator.lstm.state_dict().items()})
    expected = []
    for row, label in zip(tokens, labels, strict=True):
        state, total, given = (
            (torch.zeros(1, 5), torch.zeros(1, 5)),
            discriminator.bias,
            discriminator.first.weight[label],
        )
        for token in row.tolist():
            state = cell(given[None], state)
            total = total + state[0][0] @ discriminator.output.weight[token] + discriminator.token_bias.weight[token, 0]
            given = discriminator.embedding.weight[token]
            if token == 1:
                break
        expected.append(total)
    torch.testing.assert_close(discriminator(tokens, labels), torch.stack(expected))
    other = tokens.clone()
    other[0, 3] = 6  # after the end
    torch.testing.assert_close(discriminator(other, labels), discriminator(tokens, labels))
    assert not torch.allclose(discriminator(tokens, labels.flip(0)), discriminator(tokens, labels))


def test_the_recurrent_discriminator_scores_completions_without_dropout():
    discriminator = recurrent().train()
    tokens, labels = torch.randint(12, (30, 6)), torch.arange(30) % 3
    complete = torch.randint(12, (5, 11, 30, 6))  # 1,650 rows: more than one chunk
    got = discriminator.score_completions(tokens, complete, labels)
    assert not got.requires_grad
    assert not torch.equal(discriminator(tokens, labels), discriminator(tokens, labels))
    discriminator.eval()
    for k, copy in ((0, 0), (2, 5), (4, 10)):
        torch.testing.assert_close(got[k, copy], discriminator(complete[k, copy], labels), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(discriminator.train().score(tokens, labels), discriminator.eval()(tokens, labels))


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


def test_no_advantage_no_gradient():
    """The same reward everywhere, and rewards that differ between time steps alone, teach nothing against the baseline."""
    made = recipe(entropy=0.0, reward="constant")
    ctx = context(made)
    for rewards in (torch.ones(8, 6), torch.arange(6.0).expand(8, 6)):
        made._rewards = lambda *_, r=rewards: r
        made.generator_loss(ctx, batch())["policy"].backward()
        for p in ctx.players["generator"].module.parameters():
            assert float(p.grad.abs().max()) < 1e-6
            p.grad = None


def test_the_loss_gives_no_gradient_to_the_discriminator_or_the_rollout_policy():
    made = recipe()
    ctx = context(made)
    sum(made.generator_loss(ctx, batch()).values()).backward()
    assert all(p.grad is None for name in ("discriminator", "rollout") for p in ctx.players[name].module.parameters())
    assert all(p.grad is not None for p in ctx.players["generator"].module.parameters())


def test_likelihood_is_per_token_up_to_the_end():
    made = recipe()
    ctx = context(made)
    given = batch()
    logp = ctx["generator"].log_probabilities(given["tokens"])
    mask = valid(given["tokens"], 1)
    assert float(made.likelihood_loss(ctx, given)["nll"].detach()) == pytest.approx(
        float(-(logp.detach() * mask).sum() / mask.sum()), rel=1e-5
    )


@pytest.mark.parametrize("words", [True, False])
def test_words_outside_the_vocabulary_do_not_stop_early(words):
    """Id 2 is <unk> where there is a tokenizer, and a token like others where there is none."""
    made = recipe({**INFO, "tokenizer": "{}"} if words else INFO)
    ctx = context(made)
    given = {"tokens": torch.tensor([[3, 2, 5, 1, 1, 1], [2, 4, 6, 7, 8, 9]])}
    logp = ctx["generator"].log_probabilities(given["tokens"]).detach()
    mask = torch.tensor([[1.0, 0, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1]])
    if not words:
        mask[given["tokens"] == 2] = 1
    expected = float(-(logp * mask).sum() / mask.sum())
    assert float(made.held_out(ctx, given)["nll"].detach()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_discriminator_s_loss_is_a_classifier_s_cross_entropy(classes):
    made = recipe({**INFO, "classes": ["a", "b", "c"][:classes]}, preset="paper", discriminator_dropout=0.0)
    ctx, given, seen = context(made), batch(classes=classes), []
    module = ctx.players["discriminator"].module
    if classes:  # zeros at first, with which labels would say nothing
        torch.nn.init.normal_(module.classes.weight)
    hook = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    terms = made.discriminator_loss(ctx, given)
    hook.remove()
    (tokens,) = seen
    assert torch.equal(tokens[:8], given["tokens"])
    for name, of, sign in (("real", tokens[:8], -1), ("fake", tokens[8:], 1)):
        expected = torch.nn.functional.softplus(sign * module(of, given.get("label"))).mean() / 2
        assert float(terms[name].detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    seen = 0.05 * float(sum(p.detach().square().sum() for p in module.head.parameters()))
    assert float(terms["l2"].detach()) == pytest.approx(seen, rel=1e-5)


# Phases, through the trainer


def train(made, steps, held_out=None, **options):
    streams = {"train": RepeatedBatch(batch()), "held_out": RepeatedBatch(held_out or batch())}
    settings = TrainerSettings(steps=steps, batch_size=8, precision="fp32", hang_timeout=0, **options)
    return Trainer(made, streams, settings)


def parameters(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


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


@pytest.mark.parametrize("check_every", [0, 2])
def test_its_checkpoints_can_be_rolled_back_to(tmp_path, check_every):
    trainer = train(recipe(check_every=check_every), 3)
    trainer.checkpoints = Checkpoints(tmp_path)
    trainer.fit()
    assert trainer.checkpoints.entries()[-1].good


def test_a_run_that_ends_before_the_game_says_so():
    made = recipe()
    for steps, said in ((6, True), (7, False)):
        assert bool(made.notes(TrainerSettings(steps=steps))) is said
    assert "The game begins at step 6 and this run ends at 6" in made.notes(TrainerSettings(steps=6))[0]


def test_one_text_has_no_baseline():
    with pytest.raises(ConfigError, match="one text has no baseline"):
        train(recipe(), 7, accumulate=8)  # before anything is trained
    train(recipe(), 6, accumulate=8)  # which ends before the game
    with pytest.raises(ConfigError, match="one text has no baseline"):
        recipe().generator_loss(context(recipe()), batch(n=1))


def test_phases_begin_and_end_where_they_should():
    trainer = train(recipe(), 8)
    moved = []
    for _ in range(8):
        before = {n: parameters(a.module).clone() for n, a in trainer.actors.items()}
        trainer.iterate()
        moved.append({n for n, a in trainer.actors.items() if not torch.equal(before[n], parameters(a.module))})
    assert [("discriminator" in m) for m in moved] == [False] * 4 + [True] * 4
    assert all("generator" in m for m in moved[:4] + moved[6:])
    assert "generator" not in moved[5]
    assert all("rollout" in m for m in moved[6:])
    assert not any("mle" in m for m in moved[5:])  # it stays what maximum likelihood made


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


@pytest.mark.parametrize("policy", ["lstm", "gpt2"])
def test_a_resumed_run_is_the_same_to_the_bit(tmp_path, policy):
    from polygan.training.checkpoint import Checkpoints

    options = {"policy": policy, **({"hidden_dim": 8} if policy == "gpt2" else {})}
    whole = train(recipe(**options), 9)
    whole.fit()
    for stop in (3, 5, 8):
        half = train(recipe(**options), stop)
        half.checkpoints = Checkpoints(tmp_path / f"{policy}{stop}")
        half.fit()
        rest = train(recipe(**options), 9)
        rest.restore(half.checkpoints.load())
        rest.fit()
        for name, actor in whole.actors.items():
            assert torch.equal(parameters(actor.module), parameters(rest.actors[name].module)), (stop, name)


@pytest.mark.parametrize(
    "options",
    [  # the default is held to it in test_conformance
        {"policy": "gpt2", "hidden_dim": 8},
        {"preset": "paper", **SMALL, **PHASES},
        {"reward": "random"},
        {"classes": 3},
        {"classes": 3, "discriminator": "lstm", "reward_scale": "logit"},
    ],
    ids=str,
)
def test_whole_iterations_play_on_the_meta_device(options):
    options = dict(options)
    classes = options.pop("classes", 0)
    info = {**INFO, "classes": [str(i) for i in range(classes)]}
    testing.check_devices(recipe(info, **options), batch(classes=classes))


# Use


def generated(made, n=70, seed=0, **options):
    return make_samples(made, made.networks(), n, seed, Sampling(**options))


def test_a_class_reaches_the_policy_and_the_discriminator():
    info = {**INFO, "classes": ["a", "b", "c"]}
    made = recipe(info)
    networks = made.networks()
    for p in (networks["generator"].first, networks["discriminator"].classes):
        torch.nn.init.normal_(p.weight)
    samples = make_samples(made, networks, 7)
    assert samples.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert make_samples(made, networks, 3, 0, Sampling(label="c")).labels.tolist() == [2, 2, 2]
    given = {"tokens": samples.extra["tokens"], "label": samples.labels}
    other = {**given, "label": (samples.labels + 1) % 3}
    assert not torch.allclose(made.critic(networks, given), made.critic(networks, other))
    with pytest.raises(ConfigError, match=r"label = 'd': no such class.*a, b, c"):
        make_samples(made, networks, 3, 0, Sampling(label="d"))
    with pytest.raises(ConfigError, match="without classes"):
        generated(recipe(), label="a")


def test_the_first_samples_of_a_seed_do_not_depend_on_their_number():
    made = recipe()
    testing.check_prefix(made, made.networks(), Sampling())
    assert generated(made, seed=1).data != generated(made, seed=2).data


def test_a_prefix_begins_every_text():
    texts = generated(recipe({**INFO, "eos": None}), prefix="3 4").data
    assert all(t.startswith("3 4 ") for t in texts)
    assert len(set(texts)) > 1


@pytest.mark.parametrize(("prefix", "message"), [("3 cats", "only numbers below 12"), ("2 2 2 2 2 2", "has 6 tokens")])
def test_a_prefix_that_cannot_be(prefix, message):
    with pytest.raises(ConfigError, match=message):
        generated(recipe({**INFO, "eos": None}), prefix=prefix)


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_impossible_temperatures(temperature):
    with pytest.raises(ConfigError, match=r"temperature = .* use more than 0; 1 is the model's own"):
        Sampling(temperature=temperature)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rollouts": 0}, "model.rollouts = 0 is too small; the least is 1"),
        ({"mle_rate": 2.0}, r"model.mle_rate = 2.0 is outside \(0, 1\]"),
        ({"discriminator_dropout": 1.0}, "model.discriminator_dropout"),
        ({"rollout_lag": 1.5}, "model.rollout_lag"),
        ({"policy": "gpt2", "hidden_dim": 6}, "no multiple of model.heads"),
        ({"discriminator": "rnn"}, "known are cnn, lstm"),
        ({"reward_scale": "log"}, "known are probability, logit"),
        ({"reward": "none"}, "known are discriminator, constant, random"),
        ({"preset": "papre"}, "known are default, paper"),
    ],
)
def test_impossible_settings(options, message):
    with pytest.raises(ConfigError, match=message):
        Config(**options)


def test_classes_that_the_data_does_not_have():
    with pytest.raises(ConfigError, match="needs data with two classes"):
        recipe(conditional="yes")


def test_the_paper_s_numbers():
    m = Config(preset="paper").method()
    assert (m.embedding_dim, m.hidden_dim, m.init_std, m.rollouts, m.rollout_lag) == (32, 32, 0.1, 16, 0.8)
    assert (m.mle_rate, m.adversarial_rate, m.discriminator_rate) == (0.01, 0.01, 1e-4)
    assert (m.mle_steps, m.pretrain_steps, m.discriminator_steps, m.l2) == (18_720, 23_400, 2340, 0.2)
    assert [m.baseline, m.teach, m.entropy, m.check_every] == [False, False, 0, 0]
    assert m.summed
    assert sum(maps for _, maps in m.filters) == 1720
    assert Config(preset="paper", rollouts=3).method().rollouts == 3


def test_every_setting_is_read():
    """A setting that nothing reads would leave the method, the players and the turns as they are."""
    base = Config()
    changed = {
        "preset": "paper", "policy": "gpt2", "conditional": "no", "embedding_dim": 5, "hidden_dim": 12, "layers": 2,
        "heads": 2, "mle_steps": 7, "check_every": 3, "mle_rate": 0.5, "adversarial_rate": 0.5, "pretrain_steps": 7,
        "discriminator_steps": 9, "discriminator_rate": 0.5, "discriminator_embedding_dim": 5, "discriminator_dropout": 0.5,
        "rollouts": 9, "rollout_lag": 0.5, "reward": "random", "entropy": 0.5,
        "discriminator": "lstm", "reward_scale": "logit", "teach": False, "clip": 1.0,
    }  # fmt: skip
    info = {**INFO, "classes": ["a", "b"]}

    def facts(config):
        made = SeqGAN(config, info)
        networks = made.networks()
        players = complete_players(networks, made.players(networks, TrainerSettings()))
        return repr(
            (
                made.method,
                made.classes,
                [(n, str(p.module), p.clip, p.optimizer and p.optimizer.defaults["lr"]) for n, p in players.items()],
                networks["discriminator"].dropout,
                getattr(getattr(networks["generator"], "model", None), "config", None),
                [(t.name, t.start, t.stop, t.repeat, t.every) for t in made.turns()],
                config.reward,
                float(made._rewards(context(made), batch()["tokens"], torch.zeros(8, dtype=torch.long)).mean()),
            )
        )

    import dataclasses

    assert changed.keys() == {f.name for f in dataclasses.fields(Config)}
    gpt2 = {"policy": "gpt2"}
    for name, value in changed.items():
        common = gpt2 if name == "heads" else {}
        assert facts(Config(**{**common, name: value})) != facts(Config(**common) if common else base), name


# Texts that go on from given ones

WORDS = {"vocabulary": 12, "length": 6, "start": 0, "eos": None, "classes": []}


def continued(made, texts, seed=0, networks=None, **options):
    given = TextDomain().take(texts, made.info)
    return make_samples(made, networks or made.networks(), 0, seed, Sampling(**options), given=given)


def test_each_given_text_is_continued_and_lengths_may_differ():
    made = recipe(WORDS)
    torch.manual_seed(0)
    networks = made.networks()
    texts = ["3 4", "", "5", "7 8 9 10 11"]
    found = continued(made, texts, networks=networks)
    assert len(found) == 4
    for text, begin in zip(found.data, texts, strict=True):
        assert text.startswith(f"{begin} ".lstrip())
        assert len(text.split()) == 6
    assert found.extra["tokens"].shape == (4, 6)
    # A text does not depend on its neighbours, and the option prefix gives the same.
    assert continued(made, texts[:1], networks=networks).data == found.data[:1]
    assert make_samples(made, networks, 1, 0, Sampling(prefix="3 4")).data == found.data[:1]
    assert make_samples(made, networks, 2, 0).data[1] == found.data[1]  # the empty one is invented
    assert continued(made, texts, seed=1, networks=networks).data != found.data


def test_a_given_text_ends_only_after_what_was_given():
    """The end token is drawn for a text while another one is still given."""
    made = recipe()
    networks = made.networks()
    policy = networks["generator"]
    torch.nn.init.zeros_(policy.head.weight)
    policy.head.bias.data = torch.nn.functional.one_hot(torch.tensor(1), 12) * 100.0  # it always says the end
    found = continued(made, ["3", "4 5 6", ""], networks=networks)
    assert found.extra["tokens"].tolist() == [[3, 1, 1, 1, 1, 1], [4, 5, 6, 1, 1, 1], [1, 1, 1, 1, 1, 1]]


def test_pieces_of_a_file_are_what_one_list_gives(tmp_path):
    """More texts than are read at a time: the same noise, and classes go on from piece to piece."""
    made = recipe({**WORDS, "classes": ["a", "b", "c"]})
    networks = made.networks()
    texts = ["3"] * (ROWS + 3)
    (tmp_path / "in.txt").write_text("\n".join(texts))
    whole = continued(made, texts, networks=networks)
    pieces = list(TextDomain().read(tmp_path / "in.txt", made.info))
    assert [len(p) for p in pieces] == [ROWS, 3]
    streamed = TextDomain().join(stream_samples(made, networks, pieces))
    assert streamed.data == whole.data
    assert torch.equal(streamed.labels, whole.labels)
    assert torch.equal(streamed.extra["tokens"], whole.extra["tokens"])
    assert streamed.names == [str(i + 1) for i in range(ROWS + 3)]
    assert whole.data[ROWS:] != whole.data[:3]  # each piece has numbers of its own


def test_given_texts_keep_their_classes():
    made = recipe({**WORDS, "classes": ["a", "b", "c"]})
    given = TextDomain().take(["3", "4"], made.info)
    given.labels = torch.tensor([2, 2])
    networks = made.networks()
    assert make_samples(made, networks, 0, given=given).labels.tolist() == [2, 2]
    assert make_samples(made, networks, 0, 0, Sampling(label="b"), given=given).labels.tolist() == [1, 1]


def test_given_texts_that_cannot_be():
    made = recipe(WORDS)
    with pytest.raises(ConfigError, match=r"^prefix '3 cats': this data has no words, only numbers below 12"):
        continued(made, ["3", "3 cats"])
    with pytest.raises(ConfigError, match=r"prefix = '3': the given texts are prefixes already; leave the prefix out"):
        continued(made, ["3"], prefix="3")
    for nothing in ([], [1], 3.5):
        with pytest.raises(ConfigError, match="must be a list of at least one string"):
            continued(made, nothing)


def test_likelihood_is_a_capability():
    assert isinstance(recipe(), HasLikelihood)
