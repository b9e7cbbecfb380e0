"""The DCGAN recipe: its configuration, its turns, its losses and penalties."""

import sys
import typing
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_dcgan import DIGITS, TINY, Loop, networks, players_of, recipe

from polygan import ConfigError
from polygan.losses import ADVERSARIAL
from polygan_image.dcgan import DCGAN, Config

PENALTIES = typing.get_args(typing.get_type_hints(Config)["penalty"])


# Configuration


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"latent_dim": 0}, "latent_dim"),
        ({"generator_width": -1}, "generator_width"),
        ({"discriminator_width": 0}, "discriminator_width"),
        ({"embedding_dim": 0}, "embedding_dim"),
        ({"penalty_every": 0}, "penalty_every"),
        ({"critic_steps": 0}, "critic_steps"),
        ({"penalty_weight": -1.0}, "penalty_weight"),
        ({"penalty_weight": float("nan")}, "penalty_weight"),
        ({"weight_clip": -0.1}, "weight_clip"),
        ({"ema_half_life": float("inf")}, "ema_half_life"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"discriminator_learning_rate": 1.5}, "discriminator_learning_rate"),
        ({"beta1": 1.0}, "beta1"),
        ({"beta2": -0.1}, "beta2"),
        ({"loss": "minmax"}, "did you mean 'minimax'"),
        ({"penalty": "gp"}, "wgan_gp"),
        ({"norm": "layer"}, "batch"),
        ({"optimizer": "sgd"}, "rmsprop"),
        ({"conditional": "maybe"}, "auto"),
        ({"norm": "batch", "penalty": "wgan_gp"}, "wgan_gp"),
        ({"norm": "batch", "penalty": "r1", "penalty_every": 16}, "norm auto"),
    ],
)
def test_bad_settings_are_one_clear_line(options, word):
    with pytest.raises(ConfigError, match=word) as error:
        Config(**options)
    assert "\n" not in str(error.value)


def test_defaults_are_the_papers():
    c = Config()
    assert (c.latent_dim, c.learning_rate, c.beta1, c.beta2) == (100, 2e-4, 0.5, 0.999)


def test_every_game_can_be_chosen():
    assert set(typing.get_args(typing.get_type_hints(Config)["loss"])) == set(ADVERSARIAL)


CHANGED = {
    "latent_dim": 6,
    "generator_width": 5,
    "discriminator_width": 5,
    "conditional": "no",
    "embedding_dim": 4,
    "loss": "hinge",
    "penalty": "r1",
    "critic_steps": 2,
    "optimizer": "rmsprop",
    "learning_rate": 1e-3,
    "discriminator_learning_rate": 1e-3,
    "beta1": 0.0,
    "beta2": 0.9,
    "norm": "none",
    "spectral_norm": True,
    "reuse_fakes": False,
    "mode_seeking": 0.0,
    "penalty_weight": 5.0,
    "penalty_every": 2,
    "weight_clip": 0.5,
    "ema_half_life": 5.0,
    "augment": "diffaugment",
}


def fingerprint(**options):
    loop = Loop(recipe(**options))
    terms = loop.iterate() | {"again": loop.iterate()["d"]}
    values = [(turn, name, t.item()) for turn, named in terms.items() for name, t in named.items()]
    settings = [(p.ema_half_life, p.weight_clip) for p in loop.players.values()]
    parameters = [p.sum().item() for q in loop.players.values() for p in q.module.parameters()]
    return values, settings, parameters


# The settings of adaptive augmentation are those of test_augment.py.
@pytest.mark.parametrize("name", [f.name for f in fields(Config) if not f.name.startswith("augment_")])
def test_every_setting_changes_something(name):
    base = {"penalty": "r1"} if name.startswith("penalty_") else {}
    assert fingerprint(**base) == fingerprint(**base)
    assert fingerprint(**base) != fingerprint(**base, **{name: CHANGED[name]})


def batch_norms(**options):
    d = recipe(size=(16, 16), **options).networks()["discriminator"]
    return sum(isinstance(m, torch.nn.BatchNorm2d) for m in d.modules())


def test_auto_norm():
    assert batch_norms() == batch_norms(norm="batch") == batch_norms(norm="batch", spectral_norm=True) == 1
    assert batch_norms(norm="none") == batch_norms(penalty="r1") == batch_norms(spectral_norm=True) == 0


def test_spectral_norm_covers_every_layer_of_the_discriminator_only():
    nets = recipe(spectral_norm=True).networks()
    names = [n for n, _ in nets["discriminator"].named_parameters() if "weight" in n]
    assert len(names) == 3  # one convolution, the logit, the classes
    assert all("parametrizations" in n for n in names)
    assert not any("parametrizations" in n for n, _ in nets["generator"].named_parameters())


def test_players_and_turns():
    r = recipe(critic_steps=3, discriminator_learning_rate=4e-4, weight_clip=0.01)
    players, turns = players_of(r), r.turns()
    g, d = players["generator"], players["discriminator"]
    assert (g.ema_half_life, g.weight_clip, d.ema_half_life, d.weight_clip) == (20_000, 0, 0, 0.01)
    assert g.optimizer.param_groups[0]["lr"] == 2e-4
    assert d.optimizer.param_groups[0]["lr"] == 4e-4
    assert g.optimizer.param_groups[0]["betas"] == (0.5, 0.999)
    assert [(t.name, t.players, t.every) for t in turns[2:]] == [("statistics", (), 4)]
    assert len(recipe(ema_half_life=0.0).turns()) == 2
    assert [(t.name, t.repeat, t.differentiates_twice) for t in turns[:2]] == [("d", 3, False), ("g", 1, False)]
    assert [(t.name, t.differentiates_twice) for t in recipe(penalty="r1").turns()[:2]] == [("d", True), ("g", False)]
    lazy = recipe(penalty="r1r2", penalty_every=16).turns()[:3]
    assert [(t.name, t.every, t.differentiates_twice) for t in lazy] == [
        ("d", 1, False),
        ("r1r2", 16, True),
        ("g", 1, False),
    ]


# The method


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("loss", ADVERSARIAL)
@pytest.mark.parametrize("every", [1, 4])
def test_every_loss_with_every_penalty(loss, penalty, every, device):
    if penalty == "none" and every > 1:
        return
    loop = Loop(recipe(loss=loss, penalty=penalty, penalty_every=every), device)
    terms = loop.iterate()
    expected = {"r1r2": {"r1", "r2"}, "none": set()}.get(penalty, {penalty})
    where = terms["d"] if every == 1 else terms.get(penalty, {})
    assert expected <= where.keys()
    assert terms["g"].keys() == {"adversarial", "mode_seeking"}
    for named in terms.values():
        assert all(t.shape == () and t.device.type == device for t in named.values())
    if device == "cpu":
        assert all(torch.isfinite(t) for named in terms.values() for t in named.values())
        for player in loop.players.values():
            assert all(torch.isfinite(p).all() for p in player.module.parameters())


@pytest.mark.parametrize("options", [{}, {"spectral_norm": True}, {"critic_steps": 2}, {"reuse_fakes": False}])
@pytest.mark.parametrize("classes", [DIGITS, ()])
def test_other_choices_play_on_meta(options, classes):
    assert Loop(recipe(classes, **options), "meta").iterate().keys() == {"d", "g"}


def test_lazy_and_inline_penalty_are_the_same_up_to_the_interval():
    inline, lazy = Loop(recipe(penalty="r1")), Loop(recipe(penalty="r1", penalty_every=8))
    inline.context.cache, lazy.context.cache = {}, {}
    term = inline.play("d", step=False)["r1"]
    torch.testing.assert_close(lazy.play("r1", step=False)["r1"], 8 * term)


def test_weight_zero_is_the_papers_ten():
    def term(weight):
        loop = Loop(recipe(penalty="wgan_gp", penalty_weight=weight))
        loop.context.cache = {}
        return loop.play("d", step=False)["wgan_gp"]

    torch.testing.assert_close(term(0.0), term(10.0))
    torch.testing.assert_close(term(5.0) * 2, term(10.0))


def test_least_squares_logits_are_centred_on_a_half():
    r = recipe(loss="least_squares")
    loop = Loop(r)
    r._played(loop.context, torch.tensor([0.9, 0.6, 0.4]), torch.tensor([0.1, 0.3, 0.7]))
    values = {name.rpartition("/")[2]: float(v) for name, v in loop.context.observations}
    assert values["r_t"] == pytest.approx(1 / 3)
    assert values["accuracy"] == pytest.approx(4 / 6)


def test_autocast_plays_every_turn():
    loop = Loop(recipe(size=(16, 16), loss="relativistic", spectral_norm=True))
    with torch.autocast("cpu", torch.bfloat16):
        terms = loop.iterate()
    assert all(t.dtype == torch.float32 for named in terms.values() for t in named.values())


def test_the_class_matters_to_both_networks():
    r = recipe()
    nets, latent = networks(r), torch.randn(1, TINY["latent_dim"])
    with torch.no_grad():
        pictures = [nets["generator"](latent, torch.tensor([k])) for k in range(3)]
        logits = [nets["discriminator"](pictures[0], torch.tensor([k])) for k in range(3)]
    assert not torch.equal(pictures[0], pictures[1])
    assert not torch.equal(logits[0], logits[1])


def test_the_recipe_says_how_it_is_trained():
    assert DCGAN.domain == "image"
    assert DCGAN.memory_format is torch.channels_last
    assert DCGAN.defaults.keys() == {"steps", "batch_size"}
    assert DCGAN.Config is Config
    assert replace(Config(), latent_dim=3).latent_dim == 3
