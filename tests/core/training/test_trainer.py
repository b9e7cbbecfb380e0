"""The loop plays the turns that are due, resumes to the bit, recovers from divergence, and names mistakes of a recipe."""

from __future__ import annotations

import copy
import math
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from toy_trainer import Points, assert_equal, make, parameters, train

import polygan
from polygan.settings.trainer import TrainerSettings
from polygan.training.checkpoint import Checkpoints
from polygan.training.trainer import Listener, Trainer

sys.path.insert(0, str(Path(__file__).parents[2]))
from toy_gan import MLPGAN, Config

# What a turn does


def test_two_steps_of_sgd_are_those_of_a_loop_written_by_hand():
    class Plain(MLPGAN):
        def players(self, networks, training):
            players = super().players(networks, training)
            for p in players.values():
                p.optimizer, p.scheduler, p.clip = torch.optim.SGD(p.module.parameters(), lr=0.1), None, 0
            return players

    recipe = Plain(Config(double=True), {})
    settings = TrainerSettings(steps=2, batch_size=16, precision="fp32", hang_timeout=0)
    trainer = Trainer(recipe, {"train": Points(16)}, settings)
    g = copy.deepcopy(trainer.actors["generator"].module).requires_grad_(True)
    d = copy.deepcopy(trainer.actors["discriminator"].module).requires_grad_(True)
    noise = polygan.Noise()
    for step in range(2):
        trainer.iterate()
        real = Points(16).batch(step)["point"].double()
        fake = g(noise.reset(0, 0, step, 0, 0).normal(16, 4, dtype=torch.float64)).detach()
        loss = nn.functional.softplus(-d(real)).mean() + nn.functional.softplus(d(fake)).mean()
        for p, grad in zip(d.parameters(), torch.autograd.grad(loss, list(d.parameters())), strict=True):
            p.data -= 0.1 * grad
        fake = g(noise.reset(0, 0, step, 1, 0).normal(16, 4, dtype=torch.float64))
        loss = nn.functional.softplus(-d(fake)).mean()
        for p, grad in zip(g.parameters(), torch.autograd.grad(loss, list(g.parameters())), strict=True):
            p.data -= 0.1 * grad
    for mine, theirs in ((g, "generator"), (d, "discriminator")):
        for a, b in zip(mine.parameters(), trainer.actors[theirs].module.parameters(), strict=True):
            torch.testing.assert_close(a.detach(), b.detach(), rtol=0, atol=1e-14)


def test_only_the_acting_players_require_gradients():
    seen = {}

    class Spy(MLPGAN):
        def d(self, ctx, batch):
            seen["d"] = {n: any(p.requires_grad for p in ctx[n].parameters()) for n in ctx.players}
            return super().d(ctx, batch)

        def g(self, ctx, batch):
            seen["g"] = {n: any(p.requires_grad for p in ctx[n].parameters()) for n in ctx.players}
            return super().g(ctx, batch)

    trainer = Trainer(
        Spy(Config(), {}), {"train": Points(16)}, TrainerSettings(steps=1, batch_size=16, precision="fp32")
    )
    trainer.iterate()
    assert seen == {
        "d": {"generator": False, "discriminator": True},
        "g": {"generator": True, "discriminator": False},
    }
    assert all(p.grad is None for a in trainer.actors.values() for p in a.module.parameters())


def test_turns_are_due_by_start_stop_every_and_repeat():
    played = []

    class Phases(MLPGAN):
        def turns(self):
            def loss(ctx, batch):
                played.append((ctx.step, ctx.turn))
                return self.d(ctx, batch)

            def turn(name, **kw):
                return polygan.Turn(name, ("discriminator",), loss, **kw)

            return [turn("mle", stop=3), turn("adversarial", start=3, repeat=2), turn("lazy", every=4)]

    settings = TrainerSettings(steps=6, batch_size=8, precision="fp32")
    trainer = Trainer(Phases(Config(), {}), {"train": Points(8)}, settings)
    for _ in range(6):
        trainer.iterate()
    assert played == [
        (0, "mle"), (0, "lazy"), (1, "mle"), (2, "mle"), (3, "adversarial"), (3, "adversarial"),
        (4, "adversarial"), (4, "adversarial"), (4, "lazy"), (5, "adversarial"), (5, "adversarial"),
    ]  # fmt: skip
    assert trainer.samples == 48


def test_repeats_see_other_batches_and_the_generator_sees_the_first_one():
    seen = []

    class Spy(MLPGAN):
        def d(self, ctx, batch):
            seen.append(("d", batch["point"].sum().item()))
            return super().d(ctx, batch)

        def g(self, ctx, batch):
            seen.append(("g", batch["point"].sum().item()))
            return super().g(ctx, batch)

    trainer = Trainer(
        Spy(Config(critic_steps=2), {}),
        {"train": Points(8)},
        TrainerSettings(steps=2, batch_size=8, precision="fp32"),
    )
    trainer.iterate()
    trainer.iterate()
    sums = [Points(8).batch(i)["point"].sum().item() for i in range(4)]
    assert seen == [
        ("d", sums[0]),
        ("d", sums[1]),
        ("g", sums[0]),
        ("d", sums[2]),
        ("d", sums[3]),
        ("g", sums[2]),
    ]


# Accumulation


@pytest.mark.parametrize("config", [{}, {"loss": "hinge", "r1": 0.5}, {"policy": True}, {"r1": 1.0, "r1_every": 2}])
def test_accumulation_equals_the_whole_batch(config):
    whole = train(config=Config(double=True, **config))
    parts = train(config=Config(double=True, **config), accumulate=4)
    assert_equal(parameters(whole), parameters(parts), 1e-12)


# Non-finite numbers


def test_running_means_that_are_no_numbers_go_back_too(tmp_path):
    """One forward pass overflows, whose gradient nobody sees: batch norm keeps it, and every sample after it is NaN."""

    class Once(MLPGAN):
        def g(self, ctx, batch):
            if ctx.step == 9 and not ctx.rollbacks:
                ctx["generator"](torch.full((4, 4), math.inf))
            return super().g(ctx, batch)

    settings = TrainerSettings(steps=40, batch_size=16, precision="fp32", hang_timeout=0, log_every=4, save_every=4)
    recipe = Once(Config(batch_norm=True, latent_dim=4), {})
    trainer = Trainer(recipe, {"train": Points(16)}, settings, checkpoints=Checkpoints(tmp_path))
    trainer.fit()
    assert trainer.rollbacks == 1
    assert Checkpoints(tmp_path).entries()[-1].good
    assert all(torch.isfinite(b).all() for b in trainer.networks()["generator"].buffers())


def test_a_score_is_kept_with_its_checkpoint_whenever_it_comes(tmp_path):
    scores = {7: 3.0, 14: 1.0, 21: 2.0, 28: 4.0}

    class Judge(Listener):
        def evaluate(self, trainer):
            return scores[trainer.step]

    checkpoints = Checkpoints(tmp_path, keep=1)
    train(steps=30, evaluate_every=7, save_every=5, checkpoints=checkpoints, listener=Judge())
    assert {e.step: e.score for e in checkpoints.entries()}.get(14) == 1.0


def test_divergence_goes_back_with_other_randomness_and_recovers(tmp_path):
    messages = []

    class Ears(Listener):
        def diverged(self, trainer, message):
            messages.append(message)

    config = Config(poison_at=9, poison_rollbacks=1)
    checkpoints = Checkpoints(tmp_path)
    trainer = train(config=config, steps=40, max_skips=3, checkpoints=checkpoints, listener=Ears())
    assert trainer.step == 40
    assert trainer.rollbacks == 1
    assert len(messages) == 1
    assert "went back to step 8" in messages[0]
    assert all(torch.isfinite(v).all() for v in parameters(trainer).values())


def test_divergence_ends_with_advice(tmp_path):
    with pytest.raises(polygan.DivergenceError, match=r"generator were not finite.*lower the learning rate"):
        train(
            config=Config(poison_at=9),
            steps=400,
            max_skips=3,
            max_rollbacks=2,
            checkpoints=Checkpoints(tmp_path),
        )
    with pytest.raises(polygan.DivergenceError, match="lower the learning rate"):
        train(config=Config(poison_at=0), steps=400, max_skips=3)


# Precision


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.05), ("fp16", 0.01)])
def test_low_precision_stays_near_fp32(precision, tolerance):
    full, low = train(steps=6), train(steps=6, precision=precision)
    assert_equal(parameters(full), parameters(low), tolerance)
    with pytest.raises(AssertionError):
        assert_equal(parameters(full), parameters(low), 0)


def test_an_fp32_turn_is_an_island():
    kinds = {}

    class Spy(MLPGAN):
        def d(self, ctx, batch):
            kinds["d"] = ctx["discriminator"](batch["point"]).dtype
            with ctx.fp32():
                kinds["inside"] = ctx["discriminator"](batch["point"]).dtype
            return super().d(ctx, batch)

        def r1(self, ctx, batch):
            kinds["r1"] = ctx["discriminator"](batch["point"]).dtype
            return super().r1(ctx, batch)

    settings = TrainerSettings(steps=1, batch_size=8, precision="bf16")
    Trainer(Spy(Config(r1=1.0, r1_every=4), {}), {"train": Points(8)}, settings).iterate()
    assert kinds == {"d": torch.bfloat16, "inside": torch.float32, "r1": torch.float32}


# Resume


@pytest.mark.parametrize(
    "case",
    [
        ({}, {}),
        ({"critic_steps": 2, "r1": 1.0, "r1_every": 3}, {"accumulate": 2}),
        ({"optimizer": "rmsprop", "batch_norm": True}, {"precision": "bf16"}),
        ({}, {"precision": "fp16"}),
        ({"policy": True}, {}),
    ],
    ids=["plain", "lazy-accumulate", "rmsprop-bn-bf16", "fp16", "policy"],
)
def test_resume_is_bit_identical(case, tmp_path):
    config, settings = Config(**case[0]), case[1]
    whole = train(config=config, steps=12, **settings)
    first = make(config=config, steps=12, checkpoints=Checkpoints(tmp_path), **settings)
    for _ in range(7):
        first.iterate()
    first.save()
    torch.manual_seed(99)  # whatever happened to the global generators in between
    second = make(config=config, steps=12, checkpoints=Checkpoints(tmp_path), **settings)
    second.restore(second.checkpoints.load())
    assert second.step == 7
    second.fit()
    assert_equal(parameters(whole), parameters(second))
    a, b = whole.actors["generator"].state(), second.actors["generator"].state()
    assert torch.equal(a["counters"], b["counters"])
    assert a["scheduler"]["last_epoch"] == b["scheduler"]["last_epoch"]


def test_the_seed_decides_everything():
    assert_equal(parameters(train(seed=3)), parameters(train(seed=3)))
    with pytest.raises(AssertionError):
        assert_equal(parameters(train(seed=3)), parameters(train(seed=4)))


def test_a_requested_stop_saves_and_raises(tmp_path):
    class Stop(Listener):
        def logged(self, trainer, values):
            trainer.request_stop()

    with pytest.raises(polygan.Preempted, match="after step 4"):
        train(checkpoints=Checkpoints(tmp_path), listener=Stop(), save_every=0)
    assert [e.step for e in Checkpoints(tmp_path).entries()] == [4]


# Mistakes in a recipe


def broken(turns):
    class Broken(MLPGAN):
        pass

    Broken.turns = turns
    return Trainer(Broken(Config(), {}), {"train": Points(8)}, TrainerSettings(steps=1, batch_size=8, precision="fp32"))


def test_a_recipe_whose_players_have_no_optimizer_observes_and_learns_nothing():
    """A baseline without training is a recipe too."""
    seen = []

    class Baseline(MLPGAN):
        def players(self, networks, training):
            return {}

        def turns(self):
            def look(ctx, batch):
                seen.append(torch.is_grad_enabled())
                return {"mean": batch["point"].mean()}

            return [polygan.Turn("look", (), look)]

    made = Trainer(
        Baseline(Config(), {}), {"train": Points(8)}, TrainerSettings(steps=2, batch_size=8, precision="fp32")
    )
    before = [p.clone() for a in made.actors.values() for p in a.module.parameters()]
    made.fit()
    assert (made.step, seen) == (2, [False, False])
    assert all(map(torch.equal, before, [p for a in made.actors.values() for p in a.module.parameters()]))


def test_mistakes_are_named():
    def turn(loss, players=("discriminator",), **kw):
        return lambda self: [polygan.Turn("t", players, loss, **kw)]

    with pytest.raises(polygan.ConfigError, match="names player 'critic'"):
        broken(turn(None, ("critic",)))
    with pytest.raises(polygan.ConfigError, match="no turns"):
        broken(lambda self: [])
    with pytest.raises(polygan.ConfigError, match="every >= 1"):
        broken(turn(None, every=0))
    with pytest.raises(polygan.ConfigError, match="no terms"):
        broken(turn(lambda ctx, batch: {})).iterate()
    with pytest.raises(polygan.ConfigError, match=r"term 'x' is \(8,\), not a scalar"):
        broken(turn(lambda ctx, batch: {"x": ctx["discriminator"](batch["point"])})).iterate()
    with pytest.raises(polygan.ConfigError, match="turn 't' needs the stream 'paired'; this run has train"):
        broken(turn(lambda ctx, batch: {}, data="paired"))
    with pytest.raises(polygan.ConfigError, match="no turn starts"):
        broken(turn(None, ()))  # who only watches learns nothing
    with pytest.raises(polygan.ConfigError, match="no player 'critic'; this recipe has generator"):
        broken(turn(lambda ctx, batch: {"x": ctx["critic"]})).iterate()
    with pytest.raises(polygan.ConfigError, match="multiple of 3"):
        make(batch=16, accumulate=3)


def test_a_turn_without_players_observes():
    """No gradients, terms logged, and what it does to a network stays: a copy that lags by a fixed share."""
    seen = []

    class Watched(MLPGAN):
        def networks(self):
            networks = super().networks()
            return networks | {"lagged": copy.deepcopy(networks["generator"])}

        def turns(self):
            watch = polygan.Turn("watch", (), self.watch, data=None, every=2, start=1)
            return [*super().turns(), watch]

        def watch(self, ctx, batch):
            assert batch == {}
            assert not torch.is_grad_enabled()
            seen.append(ctx.step)
            pairs = zip(ctx.players["lagged"].module.parameters(), ctx["generator"].parameters(), strict=True)
            for mine, its in pairs:
                assert not its.requires_grad
                mine.lerp_(its, 0.25)
            return {"norm": sum(p.square().sum() for p in ctx.players["lagged"].module.parameters())}

    class Log(Listener):
        def logged(self, trainer, values):
            self.values = dict(values)

    settings = TrainerSettings(steps=5, batch_size=16, precision="fp32", hang_timeout=0, log_every=5)
    trainer = Trainer(Watched(Config(), {}), {"train": Points(16)}, settings, listener=Log())
    expected = [p.clone() for p in trainer.actors["lagged"].module.parameters()]
    while trainer.step < 4:
        step = trainer.step
        trainer.iterate()
        if step in (2,):  # due at even steps from 1 on
            generator = trainer.actors["generator"].module
            expected = [e + 0.25 * (p - e) for e, p in zip(expected, generator.parameters(), strict=True)]
    assert seen == [2]
    for e, p in zip(expected, trainer.actors["lagged"].module.parameters(), strict=True):
        torch.testing.assert_close(e, p)
    trainer.fit()
    assert seen == [2, 4]
    norms = sum(p.square().sum() for p in trainer.actors["lagged"].module.parameters())
    assert 0 < trainer.listener.values["watch/norm"] < 10 * float(norms)


def test_an_observer_looks_once_without_data_and_at_each_micro_batch_with_it():
    seen = {"none": 0, "train": 0}

    class Watched(MLPGAN):
        def turns(self):
            def watch(name):
                return lambda ctx, batch: seen.update({name: seen[name] + 1}) or {}

            looks = [polygan.Turn("none", (), watch("none"), data=None), polygan.Turn("train", (), watch("train"))]
            return [*super().turns(), *looks]

    settings = TrainerSettings(steps=2, batch_size=18, accumulate=3, precision="fp32", hang_timeout=0)
    trainer = Trainer(Watched(Config(), {}), {"train": Points(18)}, settings)
    trainer.fit()
    assert seen == {"none": 2, "train": 6}


# Devices


def test_compiled_networks_serve_turns_that_differentiate_once():
    trainer = make(config=Config(r1=1.0, r1_every=2))
    marks = {n: nn.Identity() for n in trainer.actors}
    trainer._compiled = marks
    kinds = []

    def spy(ctx, batch):
        kinds.append(isinstance(ctx["generator"], nn.Identity))
        return {"x": trainer.actors["discriminator"].module[0].weight.mean()}

    trainer.turns = [
        polygan.Turn("a", ("discriminator",), spy),
        polygan.Turn("b", ("discriminator",), spy, differentiates_twice=True),
    ]
    trainer.iterate()
    assert kinds == [True, False]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_cuda_trains_without_synchronisation_and_repeats(precision):
    def run():
        trainer = make(config=Config(r1=1.0, r1_every=2), device="cuda", precision=precision)
        trainer.iterate()
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(5):
                trainer.iterate()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return parameters(trainer)

    assert_equal(run(), run())


def test_no_warning_is_raised_by_a_run(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(checkpoints=Checkpoints(tmp_path))


@pytest.mark.slow
def test_compiled_networks_train_as_eager_ones_do():
    """Inductor's own kernels, the penalty's turn eager: the same parameters to rounding. Needs a C++ compiler."""
    config = Config(r1=1.0, r1_every=2)
    compiled, eager = (train(config=config, steps=4, compile=c) for c in (True, False))
    assert_equal(parameters(compiled), parameters(eager), 1e-4)
    assert any(p.abs().max() > 0 for p in parameters(compiled).values())


# Changed settings


def described(**model):
    return {"recipe": "points/mlp", "steps": 12, "model": {"learning_rate": 2e-3, **model}}


def changed(folder, config, now, **settings):
    """A trainer of 12 steps with another configuration, restored from a checkpoint of step 8."""
    first = make(Config(), steps=8, checkpoints=Checkpoints(folder))
    first.described = described()
    first.fit()
    trainer = make(config, steps=12, checkpoints=Checkpoints(folder), **settings)
    trainer.described = now
    return trainer


def learning_rates(trainer):
    return {name: actor.optimizer.param_groups[0]["lr"] for name, actor in trainer.actors.items()}


def test_changed_settings_give_optimizers_their_new_values_and_keep_their_moments(tmp_path):
    trainer = changed(tmp_path, Config(learning_rate=1e-4), described(learning_rate=1e-4))
    found = trainer.checkpoints.load()
    for _ in range(2):  # a rollback restores a second time, when the schedule has moved on
        trainer.restore(found)
        assert learning_rates(trainer) == pytest.approx(dict.fromkeys(trainer.actors, 1e-4 * 0.99**8))
        for name, actor in trainer.actors.items():
            saved = found.training["actors"][name]["optimizer"]["state"]
            for i, p in enumerate(actor.parameters):
                assert torch.equal(actor.optimizer.state[p]["exp_avg"], saved[i]["exp_avg"])
        trainer.iterate()
        assert learning_rates(trainer) == pytest.approx(dict.fromkeys(trainer.actors, 1e-4 * 0.99**9))


def test_settings_that_do_not_reach_optimizers_leave_their_state_alone(tmp_path):
    trainer = changed(tmp_path, Config(learning_rate=1e-4), {**described(), "log_every": 3})
    trainer.restore(trainer.checkpoints.load())
    assert learning_rates(trainer) == pytest.approx(dict.fromkeys(trainer.actors, 2e-3 * 0.99**8))


def test_a_rollback_behind_a_change_keeps_the_change(tmp_path):
    trainer = changed(
        tmp_path, Config(learning_rate=1e-4, poison_at=9, poison_rollbacks=1), described(learning_rate=1e-4),
        max_skips=1, log_every=1, save_every=0,
    )  # fmt: skip
    trainer.restore(trainer.checkpoints.load())
    trainer.fit()
    assert trainer.rollbacks == 1
    assert learning_rates(trainer) == pytest.approx(dict.fromkeys(trainer.actors, 1e-4 * 0.99**12))


def test_another_optimizer_is_refused(tmp_path):
    trainer = changed(tmp_path, Config(optimizer="rmsprop"), described(learning_rate=1))
    with pytest.raises(polygan.CheckpointError, match=r"step-00000008: \w+: the saved state .* does not fit RMSprop"):
        trainer.restore(trainer.checkpoints.load())
