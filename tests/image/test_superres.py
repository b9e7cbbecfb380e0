"""image/superres: its settings and turns, the snapshot, what it makes of pictures of any size, and data that it refuses."""

import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from small_dcgan import TRAINING, Loop

from polygan import ConfigError, Samples, losses, make_samples
from polygan_image.data.values.shrinking import shrink
from polygan_image.formats import pictures
from polygan_image.networks.enlarging import Compact, RRDBNet
from polygan_image.superres import Config, SuperResolution, psnr

TINY = {"width": 4, "depth": 1, "discriminator_width": 4, "discriminator_layers": 1, "regression_steps": 10}
INFO = {"channels": 3, "height": 24, "width": 24, "pairs": "smaller", "given": {"channels": 3, "factor": 2}, "count": 9}


def recipe(info=INFO, **options):
    return SuperResolution(Config(**{**TINY, **options}), {"classes": [], **info})


def images(n=3, side=24, channels=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, side // 3, side // 3, generator=draw) * 2 - 1
    return F.interpolate(coarse, (side, side), mode="bilinear")


def played(loop, steps=2):
    """The terms of each turn, without the observing turn, over some iterations."""
    batch, found = {"image": images()}, []
    for _ in range(steps):
        loop.context.cache = {}
        found.append({name: loop.play(name, batch=batch) for name in ("regression", "d", "g")})
    return found


# Settings


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"network": "rddb"}, "did you mean 'rrdb'"),
        ({"scale": 3}, "0 or 2 or 4"),
        ({"degradation": "jpeg"}, "camera"),
        ({"feature_weight": -1.0}, "feature_weight"),
        ({"regression_rate": 0.0}, "regression_rate"),
    ],
)
def test_bad_settings_are_one_clear_line(options, word):
    with pytest.raises(ConfigError, match=word) as error:
        Config(**options)
    assert "\n" not in str(error.value)


CHANGED = {
    "network": "compact",
    "scale": 4,
    "width": 3,
    "depth": 2,
    "growth": 2,
    "degradation": "camera",
    "regression_steps": 20,
    "l1_weight": 0.5,
    "adversarial_weight": 0.5,
    "feature_weight": 0.0,
    "discriminator_width": 3,
    "discriminator_layers": 2,
    "regression_rate": 1e-2,
    "generator_rate": 1e-2,
    "discriminator_rate": 1e-2,
    "ema_half_life": 5.0,
}


def fingerprint(**options):
    loop = Loop(recipe({**INFO, "pairs": ""}, **options))
    player = loop.players["generator"]
    rates = [player.scheduler.lr_lambdas[0](n) for n in (0, 9, 15)]
    values = [float(t.detach()) for found in played(loop) for terms in found.values() for t in terms.values()]
    return values, rates, player.ema_half_life


@pytest.mark.parametrize("name", [f.name for f in fields(Config)])
def test_every_setting_changes_something(name):
    base = {"network": "rrdb"} if name == "growth" else {}
    assert fingerprint(**base) != fingerprint(**base, **{name: CHANGED[name]})


def test_widths_and_depths_of_0_are_the_published_ones():
    with torch.device("meta"):
        rrdb = recipe(network="rrdb", width=0, depth=0, scale=2).networks()["generator"]
        compact = recipe(network="compact", width=0, depth=0).networks()["generator"]
    assert isinstance(rrdb, RRDBNet)
    assert isinstance(compact, Compact)
    assert (len(rrdb.body), rrdb.conv_hr.out_channels) == (23, 64)
    assert (len(compact.body), compact.body[0].out_channels) == (2 * 17 + 1, 64)


def test_rates_fall_along_a_cosine_until_the_game_and_evenly_in_the_game():
    players = Loop(recipe()).players
    rates = [players["generator"].scheduler.lr_lambdas[0](n) for n in (0, 5, 10, 55, 100, 120)]
    assert rates == pytest.approx([1, 0.55, 0.2, 0.1, 0, 0])  # of 1e-3; the game begins with 2e-4 and ends at step 100
    assert [players["discriminator"].scheduler.lr_lambdas[0](n) for n in (0, 45, 90)] == [1, 0.5, 0]


def test_a_note_says_by_how_much_and_whether_the_game_begins():
    (only,) = recipe().notes(TRAINING)
    assert "2 times larger" in only
    assert "regression alone" in recipe(regression_steps=100).notes(TRAINING)[1]


# Data


@pytest.mark.parametrize(
    ("info", "options", "word"),
    [
        ({"pairs": "folders"}, {}, "--data.pairs smaller"),
        ({}, {"scale": 4}, "model.scale = 4 and data.factor = 2 differ"),
        ({"channels": 4}, {"degradation": "camera"}, "--data.channels 3"),
        ({"height": 5}, {}, "6 pixels a side or more, and these have 24x5"),
    ],
)
def test_data_that_does_not_fit_is_refused(info, options, word):
    with pytest.raises(ConfigError, match=word):
        recipe({**INFO, **info}, **options)


def test_the_scale_follows_from_the_data():
    four = {**INFO, "given": {"channels": 3, "factor": 4}}
    assert [recipe(four).scale, recipe({**INFO, "pairs": ""}).scale, recipe({**INFO, "pairs": ""}, scale=4).scale] == [
        4,
        2,
        4,
    ]


# The method


def test_the_phases_follow_each_other():
    turns = {t.name: [n for n in range(20) if t.due(n)] for t in recipe().turns()}
    assert turns == {
        "regression": [*range(10)],
        "start": [*range(11)],
        "d": [*range(10, 20)],
        "g": [*range(10, 20)],
    }
    assert [t.name for t in recipe(regression_steps=0).turns()] == ["start", "d", "g"]


def test_turns_are_the_usual_loop():
    loop = Loop(recipe())
    generator, discriminator = (loop.players[n].module for n in ("generator", "discriminator"))
    for module in (generator, discriminator):
        module.train()
    real = images()
    made = generator(shrink(real, 2))
    (found,) = played(loop, 1)
    assert float(found["regression"]["l1"].detach()) == pytest.approx(
        float((made - real).abs().mean().detach()), rel=1e-6
    )

    loop = Loop(recipe())
    generator, discriminator = (loop.players[n].module for n in ("generator", "discriminator"))
    made = generator(shrink(real, 2))
    loop.context.cache = {}
    terms = loop.play("d", batch={"image": real}, step=False)
    discriminator.eval()  # no further power iteration: the logits of the generator's turn
    *maps, logits = discriminator(made, features=True)
    *real_maps, real_logits = discriminator(real, features=True)
    found = loop.play("g", batch={"image": -real})  # the discriminator's pictures count
    assert terms["pair"].shape == ()
    adversarial = losses.relativistic_generator(logits, real_logits)["adversarial"]
    features = sum((a - b).abs().mean() for a, b in zip(maps, real_maps, strict=True)) / len(maps)
    expected = {"l1": (made - real).abs().mean(), "adversarial": 0.02 * adversarial, "features": 2 * features}
    found, expected = ({k: float(v.detach()) for k, v in terms.items()} for terms in (found, expected))
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_gradient_reaches_the_generator_through_the_game_alone():
    loop = Loop(recipe(l1_weight=0.0, feature_weight=0.0))
    played(loop, 1)
    assert max(float(g.abs().max()) for g in loop.gradients("generator").values()) > 0


def test_pictures_that_are_no_multiple_are_cut():
    loop = Loop(recipe({**INFO, "pairs": ""}, network="rrdb", growth=2))
    loop.context.cache = {}
    term = loop.play("regression", batch={"image": images(2, 27)[:, :, :26]})["l1"]  # 26 x 27: 24 x 24 are used
    assert term.isfinite()


def test_the_start_is_the_generator_before_the_game():
    loop = Loop(recipe())
    played(loop, 1)
    keep = next(t for t in loop.recipe.turns() if t.name == "start")
    with torch.no_grad():
        assert keep.loss(loop.context, {}) == {}
    generator, start = (loop.players[n].module.state_dict() for n in ("generator", "start"))
    assert all(torch.equal(generator[k], start[k]) for k in generator)
    played(loop, 1)
    assert not all(torch.equal(generator[k], start[k]) for k in generator)


def test_psnr_is_the_mean_over_pictures():
    real = torch.zeros(2, 1, 4, 4)
    made = torch.stack([torch.full((1, 4, 4), 0.2), torch.full((1, 4, 4), 0.02)])
    assert float(psnr(made, real)) == pytest.approx((20 + 40) / 2, abs=1e-3)
    assert float(psnr(real, real)) == pytest.approx(100)


# Use


def test_pictures_of_any_size_become_larger_and_strength_blends():
    r = recipe(network="rrdb", growth=2)
    torch.manual_seed(0)
    networks = r.networks()
    for parameter in networks["start"].parameters():
        parameter.data.mul_(0.5)
    given = Samples(images(1, 21)[:, :, :15])  # 15 x 21
    game, half, start = (
        make_samples(r, networks, 1, 0, r.Sampling(strength=s), given=given).data for s in (1.0, 0.5, 0.0)
    )
    assert game.shape == (1, 3, 30, 42)
    assert not torch.equal(game, start)
    expected = [
        networks[n].eval()(F.pad(given.data, (0, 1, 0, 1), mode="replicate"))[:, :, :30, :42]
        for n in ("start", "generator")
    ]
    assert torch.allclose(half, torch.lerp(*expected, 0.5).clamp(-1, 1), atol=1e-6)


def test_a_model_without_a_start_has_no_strength():
    r = recipe()
    networks = {"generator": r.networks()["generator"]}
    assert make_samples(r, networks, 1, given=Samples(images(1))).data.shape == (1, 3, 48, 48)
    with pytest.raises(ConfigError, match="leave --strength out"):
        make_samples(r, networks, 1, 0, r.Sampling(strength=0.5), given=Samples(images(1)))


@pytest.mark.parametrize(("network", "factor"), [("small", 4), ("rrdb", 2)])
def test_networks_go_to_onnx_for_any_size(tmp_path, network, factor):
    """The export itself compares both at three sizes, of which rrdb must pad one."""
    runtime = pytest.importorskip("onnxruntime")
    r = recipe({**INFO, "given": {"channels": 3, "factor": factor}}, network=network, growth=2)
    (path,) = pictures.onnx(r, r.networks(), tmp_path / "model.onnx")
    session = runtime.InferenceSession(path.read_bytes())
    (made,) = session.run(None, {"given": images(2, 21)[:, :, :15].numpy()})
    assert made.shape == (2, 3, 15 * factor, 21 * factor)


def test_networks_go_to_programs_of_torch(tmp_path):
    r = recipe({**INFO, "given": {"channels": 3, "factor": 2}}, network="small", growth=2)
    networks = r.networks()
    (path,) = pictures.program(r, networks, tmp_path / "model")
    given = images(2, 20)
    with torch.no_grad():
        expected = networks["generator"](given).clamp(-1, 1)
    assert (torch.export.load(path).module()(given=given) - expected).abs().max() < 1e-5


def test_a_regression_learns_what_bicubic_enlargement_loses():
    """In 60 steps on one kind of picture the error falls by a tenth."""
    loop = Loop(recipe(width=8, regression_rate=3e-3))
    batch = {"image": torch.sign(images(4, 24, seed=1)) * 0.8}
    first = float(loop.play("regression", batch=batch)["l1"].detach())
    for _ in range(60):
        last = loop.play("regression", batch=batch)["l1"]
    assert float(last.detach()) < 0.9 * first
