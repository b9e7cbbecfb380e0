"""SeqGAN's numbers: losses, phases, dropout, resume, devices."""

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
