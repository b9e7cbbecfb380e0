"""image/pix2pix: its settings, its turns against the usual loop, what it makes, and data that it refuses."""

import sys
import typing
from dataclasses import fields
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from small_dcgan import TRAINING, Loop, players_of

from polygan import ConfigError, Noise, Request, Samples
from polygan_image.geometry import padded
from polygan_image.networks.unet import UNet
from polygan_image.pix2pix import Config, Pix2Pix, Sampling, automatic_depth, linear_decay

TINY = {"width": 2, "depth": 2, "discriminator_width": 2, "discriminator_layers": 1, "blocks": 1}
INFO = {"channels": 3, "height": 16, "width": 16, "pairs": "folders", "given": {"channels": 2}, "count": 9}


def recipe(info=INFO, **options):
    return Pix2Pix(Config(**{**TINY, **options}), info)


def pair(seed=0, n=2, size=(16, 16)):
    draw = torch.Generator().manual_seed(seed)
    given, image = (torch.rand(n, channels, *size, generator=draw) * 2 - 1 for channels in (2, 3))
    return {"given": given, "image": image}


def iterate(loop, batch):
    loop.context.cache = {}
    return {name: loop.play(name, batch=batch) for name in ("d", "g")}


# Settings


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"generator": "u-net"}, "did you mean 'unet'"),
        ({"norm": "layer"}, "instance"),
        ({"depth": 11}, "depth"),
        ({"scales": 3}, "1 or 2"),
        ({"loss": "wasserstein"}, "hinge"),
        ({"l1_weight": -1.0}, "l1_weight"),
        ({"decay": 1.5}, "decay"),
        ({"statistics": "picture"}, "--model.norm batch"),
        ({"statistics": "picture", "norm": "batch", "generator": "resnet"}, "--model.generator unet"),
        ({"dropout": 0.5, "generator": "spade"}, "belongs to the U-Net"),
    ],
)
def test_bad_settings_are_one_clear_line(options, word):
    with pytest.raises(ConfigError, match=word) as error:
        Config(**options)
    assert "\n" not in str(error.value)


def test_loss_weights_and_optimizer_are_the_papers():
    c = Config()
    assert (c.loss, c.l1_weight, c.learning_rate, c.beta1, c.beta2) == ("minimax", 100, 2e-4, 0.5, 0.999)
    g, d = (players_of(recipe())[name].optimizer.param_groups[0] for name in ("generator", "discriminator"))
    assert g["lr"] == d["lr"] == 2e-4
    assert g["betas"] == (0.5, 0.999)
    assert players_of(recipe(discriminator_learning_rate=1e-4))["discriminator"].optimizer.param_groups[0]["lr"] == 1e-4


CHANGED = {
    "generator": "resnet",
    "width": 3,
    "depth": 1,
    "norm": "none",
    "up": "transposed",
    "dropout": 0.5,
    "discriminator_width": 3,
    "discriminator_layers": 2,
    "discriminator_norm": "spectral",
    "scales": 2,
    "loss": "hinge",
    "l1_weight": 10.0,
    "feature_weight": 10.0,
    "learning_rate": 1e-3,
    "discriminator_learning_rate": 1e-3,
    "beta1": 0.0,
    "beta2": 0.9,
    "decay": 0.0,
    "ema_half_life": 5.0,
    "blocks": 2,
    "statistics": "picture",
}


def fingerprint(**options):
    options = {"depth": 3, "discriminator_layers": 1, **options}
    loop = Loop(recipe({**INFO, "height": 24, "width": 24}, **options))
    for player in loop.players.values():
        if player.scheduler:
            player.optimizer.step()
            for _ in range(90):
                player.scheduler.step()
    terms = [iterate(loop, pair(i, size=(24, 24))) for i in range(2)]
    values = [float(t.detach()) for found in terms for named in found.values() for t in named.values()]
    made = loop.players["generator"].module.eval()(pair(size=(24, 24))["given"])
    return values, [p.ema_half_life for p in loop.players.values()], float(made.detach().sum())


@pytest.mark.parametrize("name", [f.name for f in fields(Config)])
def test_every_setting_changes_something(name):
    base = {"blocks": {"generator": "resnet"}, "statistics": {"norm": "batch"}}.get(name, {})
    assert fingerprint(**base) != fingerprint(**base, **{name: CHANGED[name]})


def test_the_depth_follows_from_the_size():
    assert [automatic_depth(side, 6) for side in (4, 8, 16, 72, 256, 1024)] == [1, 1, 2, 4, 6, 6]
    r = recipe({**INFO, "height": 40, "width": 64}, depth=0)
    assert r.networks()["generator"].geometry.multiple == 8
    assert "model.depth = 0 is 3" in r.notes(TRAINING)[0]
    assert recipe().notes(TRAINING) == []
    assert "seams" in recipe(norm="instance").notes(TRAINING)[0]


def test_learning_rates_fall_in_the_last_part_of_the_run():
    factor = linear_decay(100, 0.5)
    assert [factor(step) for step in (0, 50, 75, 100, 120)] == [1, 1, 0.5, 0, 0]
    assert linear_decay(3, 1.0)(0) == 1
    player = players_of(recipe())["generator"]
    assert player.scheduler.lr_lambdas[0](TRAINING.steps * 3 // 4) == 0.5
    assert players_of(recipe(decay=0.0))["generator"].scheduler is None


# Data


@pytest.mark.parametrize("info", [{"pairs": ""}, {"given": None}])
def test_data_without_pairs_is_refused_with_what_to_type(info):
    with pytest.raises(ConfigError, match=r"--data\.pairs folders"):
        recipe({**INFO, **info})


def test_smaller_given_pictures_belong_to_superres():
    with pytest.raises(ConfigError, match="image/superres"):
        recipe({**INFO, "pairs": "smaller"})


def test_pictures_that_the_discriminator_cannot_judge_are_refused():
    assert recipe({**INFO, "height": 11, "width": 30}, scales=2)
    with pytest.raises(ConfigError, match=r"10x30 are too small.* need 11 pixels"):
        recipe({**INFO, "height": 30, "width": 10}, scales=2)


# The game


def usual_loop(g, d, options, batches):
    """The loop of the official code: D on fake and real in two passes, then G while D is frozen; yields the terms."""
    mse, bce = F.mse_loss, F.binary_cross_entropy_with_logits
    of, scales = options["loss"], options["scales"]

    def judged(maps, real):
        if of == "hinge":
            return sum(F.relu(1 - m if real else 1 + m).mean() for m in maps) / scales
        target = torch.ones_like if real else torch.zeros_like
        return sum((bce if of == "minimax" else mse)(m, target(m)) for m in maps) / scales

    og, od = (torch.optim.Adam(m.parameters(), 2e-4, betas=(0.5, 0.999)) for m in (g, d))
    for batch in batches:
        given, real = batch["given"], batch["image"]
        fake = g(given)
        d.requires_grad_(True)
        d.zero_grad()
        half = 0.25 if of == "least_squares" else 0.5  # the paper of the least squares game has a factor 1/2 of its own
        d_fake = half * judged(d(torch.cat([given, fake], 1).detach()), False)
        d_real = half * judged(d(torch.cat([given, real], 1)), True)
        (d_fake + d_real).backward()
        od.step()
        d.requires_grad_(False)
        g.zero_grad()
        shown = torch.cat([given, fake], 1)
        maps = d(shown)
        g_gan = -sum(m.mean() for m in maps) / scales if of == "hinge" else judged(maps, True)
        g_gan = g_gan / 2 if of == "least_squares" else g_gan
        g_l1 = 100 * F.l1_loss(fake, real)
        total = g_gan + g_l1
        if options.get("feature_weight"):
            true, made = d(torch.cat([given, real], 1), features=True), d(shown, features=True)
            pairs = [(t.detach(), m) for ts, ms in zip(true, made, strict=True) for t, m in zip(ts, ms, strict=True)]
            inner = [p for i, p in enumerate(pairs) if (i + 1) % len(true[0])]
            total = total + 10 * sum(4 / (len(true[0]) - 1) / scales * F.l1_loss(m, t) for t, m in inner)
        total.backward()
        og.step()
        yield {"d/real": d_real, "d/fake": d_fake, "g/adversarial": g_gan, "g/l1": g_l1}


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "minimax", "norm": "batch", "up": "transposed", "discriminator_norm": "batch"},
        {"loss": "minimax", "discriminator_norm": "instance"},
        {"loss": "least_squares", "discriminator_norm": "none", "scales": 2},
        {"loss": "hinge", "discriminator_norm": "pixel", "generator": "spade"},
        {"loss": "least_squares", "scales": 2, "feature_weight": 10.0, "generator": "resnet"},
    ],
)
def test_losses_and_weights_are_those_of_the_usual_loop(options):
    """Same weights, same data, four iterations in float64: in float32 Adam enlarges rounding of gradients that are 0."""
    options = {"scales": 1, **options}
    one, other = Loop(recipe(**options)), Loop(recipe(**options))
    for player in [*one.players.values(), *other.players.values()]:
        player.module.double()
    batches = [{k: v.double() for k, v in pair(i).items()} for i in range(4)]
    usual = usual_loop(*(other.players[name].module for name in ("generator", "discriminator")), options, batches)
    for batch, expected in zip(batches, usual, strict=True):
        ours = {f"{turn}/{name}": t for turn, named in iterate(one, batch).items() for name, t in named.items()}
        for name, value in expected.items():
            torch.testing.assert_close(ours[name], value, rtol=1e-9, atol=1e-9)
    for name, player in one.players.items():
        for mine, theirs in zip(player.module.parameters(), other.players[name].module.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)


def test_the_generator_runs_once_an_iteration():
    loop = Loop(recipe())
    generator, calls = loop.players["generator"].module, []
    generator.register_forward_hook(lambda *_: calls.append(1))
    iterate(loop, pair())
    assert len(calls) == 1
    assert loop.context.cache == {}


def test_gradients_reach_the_acting_player_alone():
    loop = Loop(recipe(feature_weight=1.0, scales=2))
    loop.context.cache = {}
    for acting, idle in (("discriminator", "generator"), ("generator", "discriminator")):
        loop.play(acting[0], batch=pair(), step=False)
        assert all(g is None or not g.abs().sum() for g in loop.gradients(idle).values())
        reached = [bool(g.abs().sum()) for k, g in loop.gradients(acting).items() if k.endswith("weight")]
        assert all(reached)


@pytest.mark.parametrize("loss", typing.get_args(typing.get_type_hints(Config)["loss"]))
def test_logged_logits_have_a_sign(loss):
    loop = Loop(recipe(loss=loss, scales=2))
    loop.context.cache = {}
    loop.play("d", batch=pair())
    values = dict(loop.context.observations)
    assert -1 <= values["d/r_t"] <= 1
    assert 0 <= values["d/accuracy"] <= 1


def test_the_discriminator_judges_the_pair():
    """Another given picture changes the logits of the same picture; each row has its own logit."""
    torch.manual_seed(0)
    r, batch = recipe(scales=2), pair()
    nets = {name: network.eval() for name, network in r.networks().items()}
    logits = r.critic(nets, batch)
    assert logits.shape == (2,)
    torch.testing.assert_close(r.critic(nets, {k: v[1:] for k, v in batch.items()}), logits[1:], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(r.critic(nets, {**batch, "given": -batch["given"]}), logits)


# What is made


def made(r, nets, given, **options):
    request = Request(len(given), Noise().reset(0), Sampling(**options), torch.device("cpu"), Samples(given))
    with torch.no_grad():
        return r.generate(nets, request).data


def test_pictures_of_any_size_are_made_and_rows_do_not_depend_on_others():
    r = recipe(norm="batch", statistics="picture", depth=2)
    torch.manual_seed(0)
    nets = {name: network.eval() for name, network in r.networks().items()}
    given = pair(size=(19, 30))["given"]
    out = made(r, nets, given)
    assert out.shape == (2, 3, 19, 30)
    torch.testing.assert_close(made(r, nets, given[1:]), out[1:], rtol=0, atol=1e-6)


def test_sampling_chooses_the_statistics_of_batch_norm():
    r = recipe(norm="batch")
    torch.manual_seed(0)
    nets = {name: network.eval() for name, network in r.networks().items()}
    given, generator = pair(n=1)["given"], nets["generator"]
    running, picture = made(r, nets, given, statistics="running"), made(r, nets, given, statistics="picture")
    assert torch.equal(made(r, nets, given), running)
    assert r.translator(nets, Sampling(statistics="picture"))[1].halo is None
    assert r.translator(nets, Sampling())[1].halo == 7
    with torch.no_grad():
        torch.testing.assert_close(picture, generator.train()(given), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(picture, running, atol=1e-3)
    plain = recipe()
    with pytest.raises(ConfigError, match="leave --statistics out"):
        plain.translator(plain.networks(), Sampling(statistics="picture"))


def test_training_pads_pictures_as_generation_does():
    r = recipe({**INFO, "height": 18, "width": 22})
    loop, batch = Loop(r), pair(size=(18, 22))
    fake = r._make(loop.context["generator"], batch["given"])
    assert fake.shape == batch["image"].shape
    generator = typing.cast("UNet", loop.players["generator"].module)
    torch.testing.assert_close(fake, padded(generator, batch["given"], generator.geometry))
    assert iterate(loop, batch)["g"]["l1"] > 0
