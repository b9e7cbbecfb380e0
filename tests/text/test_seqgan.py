"""SeqGAN's numbers: rewards, the policy gradient against the exact one, phases, controls, resume, devices."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_seqgan import INFO, PHASES, SMALL, batch, context, parameters, recipe, train

from polygan import Checkpoints, ConfigError, HasLikelihood, TrainerSettings, make_samples, testing
from polygan.game.protocol import complete_players
from polygan.game.recipe import swapped
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


@pytest.mark.parametrize("policy", ["lstm", "gpt2"])
def test_dropout_is_of_maximum_likelihood_alone(policy):
    made = recipe(dropout=0.5, policy=policy, hidden_dim=8, layers=2)
    ctx = context(made)

    def losses():
        ctx.noise.reset(3)
        with torch.no_grad():
            told = made.likelihood_loss(ctx, batch())["nll"], made._checks.look(ctx, batch())["nll"]
            game = made._checks.compare_with_start(ctx, batch())
            reward = made._rewards(ctx, batch()["tokens"], None)
            fake = made.discriminator_loss(ctx, batch())
            return [
                float(x)
                for x in (
                    *told,
                    *game.values(),
                    *made.generator_loss(ctx, batch()).values(),
                    reward.mean(),
                    *fake.values(),
                )
            ]

    ctx.players["discriminator"].module.eval()
    first, again = losses(), losses()
    assert first[0] != again[0]
    ctx.players["generator"].module.eval()
    ctx.players["rollout"].module.eval()
    ctx.players["mle"].module.eval()
    ctx.players["whitening"].module.square.zero_()
    ctx.players["whitening"].module.weight.zero_()
    quiet = losses()
    assert first[1:4] == pytest.approx(quiet[1:4], rel=1e-6)
    assert first[1:] == pytest.approx(quiet[1:], rel=1e-5)
    assert quiet[0] == pytest.approx(quiet[1], rel=1e-5)  # the same batch


def test_each_phase_has_moments_of_its_own():
    """The game begins with fresh moments at its own rate, and leaves those of maximum likelihood alone."""
    trainer = train(recipe(adversarial_rate=0.003), 8)
    player = trainer.actors["generator"].player
    assert {name: o.param_groups[0]["lr"] for name, o in player.others.items()} == {"g": 0.003, "teach": 0.003}
    for _ in range(8):
        trainer.iterate()
    steps = {name: {int(x["step"]) for x in o.state.values()} for name, o in player.others.items()}
    assert steps == {"g": {2}, "teach": {2}}
    assert {int(x["step"]) for x in player.optimizer.state.values()} == {4}
    assert recipe(teach=False).players(recipe().networks(), TrainerSettings())["generator"].others.keys() == {"g"}
    for preset in ("default", "paper"):  # as in earlier versions
        made = recipe(preset=preset)
        assert not made.players(made.networks(), TrainerSettings())["generator"].others


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
    assert float(made._checks.look(ctx, given)["nll"].detach()) == pytest.approx(expected, rel=1e-5)


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


# Settings


def test_classes_that_the_data_does_not_have():
    with pytest.raises(ConfigError, match="needs data with two classes"):
        recipe(conditional="yes")


def test_every_setting_is_read():
    """A setting that nothing reads would leave the method, the players and the turns as they are."""
    base = Config()
    changed = {
        "preset": "paper", "policy": "gpt2", "conditional": "no", "embedding_dim": 5, "hidden_dim": 12, "layers": 2, "dropout": 0.1, "tied": True,
        "heads": 2, "mle_steps": 7, "check_every": 3, "mle_rate": 0.5, "adversarial_rate": 0.5, "pretrain_steps": 7,
        "discriminator_steps": 9, "discriminator_rate": 0.5, "discriminator_embedding_dim": 5, "discriminator_dropout": 0.5,
        "rollouts": 9, "rollout_lag": 0.5, "reward": "random", "entropy": 0.5,
        "discriminator": "lstm", "reward_scale": "logit", "teach": False, "clip": 1.0,
        "check_texts": 9, "rollout_every": 2, "rollout_length": 1, "rewards": "dense", "probation": "tell", "tolerance": 0.5,
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
                made.remarks({"probation/worse": 1.0}),
                float(made._rewards(context(made), batch()["tokens"], torch.zeros(8, dtype=torch.long)).mean()),
            )
        )

    import dataclasses

    of_pretrained = {"lora", "trust_remote_code", "pretrained", "kl"}  # tests/text/pretrained changes these
    assert changed.keys() | of_pretrained == {f.name for f in dataclasses.fields(Config)}
    needs = {"heads": {"policy": "gpt2"}, "rewards": {"discriminator": "lstm"}}
    for name, value in changed.items():
        common = needs.get(name, {})
        assert facts(Config(**{**common, name: value})) != facts(Config(**common) if common else base), name


def test_likelihood_is_a_capability():
    assert isinstance(recipe(), HasLikelihood)


def test_samples_are_made_from_the_network_that_started_the_game():
    made = recipe()
    networks = made.networks()
    torch.nn.init.normal_(networks["mle"].policy.head.bias, 0, 5)
    start = swapped(networks, made.variants["mle"])
    assert start["generator"] is networks["mle"].policy
    ours, first = (make_samples(made, chosen, 20, seed=1).data for chosen in (networks, start))
    assert ours != first


def test_a_likelihood_drops_nothing_from_a_policy_in_training_mode():
    made = recipe(dropout=0.5)
    policy = made.networks()["generator"].train()
    tokens = torch.randint(INFO["vocabulary"], (5, INFO["length"]))
    found = made.log_likelihood(policy, tokens)
    assert policy.training
    assert torch.equal(found, made.log_likelihood(policy.eval(), tokens))
