"""Grey pictures get colours and keep their lightness; a game that makes colours worse stops, and its steps are left out."""

from __future__ import annotations

import math

import pytest
import torch

from polygan import ConfigError, Samples, TrainerSettings, make_samples
from polygan.testing import RepeatedBatch
from polygan.training.trainer import Trainer
from polygan_image.colorize import Colorize, Config
from polygan_image.colour import delta_e, lab_to_srgb, lightness, srgb_to_lab
from polygan_image.data.given import grey
from polygan_image.formats import pictures
from polygan_image.translation.copies import Colouring

INFO = {"channels": 3, "height": 32, "width": 32, "count": 9, "pairs": "grey", "given": {"channels": 1}}
SMALL = {"width": 4, "depth": 2, "discriminator_width": 4, "discriminator_layers": 1}
TRUE, FAR = (20.0, 30.0), (-60.0, -60.0)
"""a and b of every picture below, and colours further from them than grey is."""


def recipe(**options):
    return Colorize(Config(**{**SMALL, **options}), INFO)


def batch(n=4):
    """Pictures of one hue and several lightnesses, with their grey copies."""
    light = torch.linspace(40, 70, n * 32 * 32).view(n, 1, 32, 32)
    image = lab_to_srgb(torch.cat([light, torch.tensor(TRUE).view(1, 2, 1, 1).expand(n, -1, 32, 32)], 1))
    return {"image": image, "given": grey(image)}


def answers(network, ab):
    """Make the network answer the same a and b everywhere."""
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
        network.up[-1].bias.copy_(torch.tensor([math.atanh(x / 110) for x in ab]))
    return network


def answer(network):
    return tuple(round(110 * math.tanh(x)) for x in network.up[-1].bias.tolist())


def trainer(steps, **options):
    """A trainer whose learner hardly moves by itself, so that a test decides what each check finds."""
    still = {"regression_rate": 1e-9, "generator_rate": 1e-9, "ema_half_life": 0.0, "regression_steps": 2}
    made = recipe(**{**still, "check_every": 1, "check_batches": 1, "margin": 0.0, "patience": 2, **options})
    streams = {name: RepeatedBatch(batch()) for name in ("train", "held_out")}
    run = TrainerSettings(steps=steps, batch_size=4, precision="fp32", hang_timeout=0)
    return Trainer(made, streams, run)


def coloured(networks, given, made=None, **options):
    return make_samples(made or recipe(), networks, 0, options=Colouring(**options), given=Samples(given)).data


@pytest.mark.parametrize("size", [(32, 32), (31, 45)])
def test_made_pictures_keep_size_and_lightness_in_8_bits(size):
    made = recipe()
    networks = made.networks()
    answers(networks["generator"], (90.0, -70.0))  # most lightnesses do not have this chroma
    given = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    picture = coloured(networks, given, made)
    assert picture.shape == (2, 3, *size)
    written = ((picture + 1) * 127.5).round() / 127.5 - 1
    assert float((srgb_to_lab(written)[:, :1] - lightness(given)).abs().max()) < 0.35
    assert float(srgb_to_lab(picture)[:, 1:].norm(dim=1).mean()) > 20


@pytest.mark.parametrize("ab", [None, (90.0, -70.0)], ids=["within sRGB", "beyond sRGB"])
def test_onnx_computes_the_same_pictures(tmp_path, ab):
    pytest.importorskip("onnxruntime")
    made = recipe()
    networks = made.networks()
    if ab:
        answers(networks["generator"], ab)
    (path,) = pictures.onnx(made, networks, tmp_path / "colours")  # compares with torch, and raises if pictures differ
    assert path.suffix == ".onnx"


def test_strength_goes_from_the_start_to_the_game():
    networks, given = recipe().networks(), batch()["given"]
    answers(networks["start"], (10.0, 20.0))
    answers(networks["generator"], (20.0, 0.0))
    of_start = coloured(networks | {"generator": networks["start"]}, given)
    assert torch.equal(coloured(networks, given, strength=0.0), of_start)
    for strength, ab in ((0.0, (10, 20)), (0.25, (12.5, 15)), (1.0, (20, 0))):
        found = srgb_to_lab(coloured(networks, given, strength=strength))[:, 1:]
        torch.testing.assert_close(found, torch.tensor(ab).view(1, 2, 1, 1).expand_as(found).float(), atol=0.05, rtol=0)


def test_generator_and_start_follow_the_average_until_the_game_begins():
    run = trainer(3, ema_half_life=100.0, regression_rate=0.01, generator_rate=0.01, check_every=0)
    run.iterate()
    run.iterate()
    average = [p.clone() for p in run.networks()["learner"].parameters()]
    run.iterate()  # the game's first step
    assert all(map(torch.equal, average, run.actors["start"].module.parameters()))
    learner = run.actors["learner"].module
    assert not any(map(torch.equal, average, learner.parameters()))
    # without checks the generator goes on with the average
    run = trainer(4, check_every=0)
    for _ in range(4):
        answers(run.actors["learner"].module, FAR)
        run.iterate()
    assert answer(run.actors["generator"].module) == FAR


@pytest.mark.parametrize(("every", "best"), [(1, 1), (1, 3), (2, 2), (2, 3)])
def test_the_regression_s_best_checked_network_stays_as_the_start(every, best):
    run = trainer(4, regression_steps=3, check_every=every)
    learner, start, generator = (run.actors[name].module for name in ("learner", "start", "generator"))
    for step in range(4):  # the game begins in the last one, which checks too
        answers(learner, TRUE if step == best else FAR)
        run.iterate()
    assert answer(start) == answer(generator) == TRUE
    assert answer(learner) == (TRUE if best == 3 else FAR)
    assert float(run.actors["stop"].module.stopped) == 0
    assert 0 < float(run.actors["stop"].module.best) < 0.1


def test_a_game_that_becomes_worse_than_grey_stops_and_samples_come_from_the_last_good_step():
    run = trainer(9)
    learner, generator, stop = (run.actors[name].module for name in ("learner", "generator", "stop"))
    seen = []
    better = (15.0, 30.0)
    for step, ab in enumerate((TRUE, TRUE, TRUE, FAR, better, FAR, FAR, TRUE)):
        answers(learner, ab)
        run.iterate()
        seen.append((step, answer(generator), float(stop.stopped)))
    assert seen[2:] == [
        (2, TRUE, 0.0),  # the game's first step
        (3, TRUE, 0.0),  # one bad check is not enough to stop
        (4, better, 0.0),
        (5, better, 0.0),
        (6, better, 1.0),
        (7, better, 1.0),  # the game does not begin again
    ]
    assert float(stop.kept) == 4
    values = run._meter.means()
    run._meter.clear()
    assert values["held_out/difference"] > 0
    run.iterate()
    after = run._meter.means()
    assert {name: after[name] for name in ("g/adversarial", "g/regression", "d/real", "d/fake")} == dict.fromkeys(
        ("g/adversarial", "g/regression", "d/real", "d/fake"), 0
    )
    assert after["grad/learner"] == after["grad/discriminator"] == 0
    (sentence,) = run.recipe.remarks(after)
    assert "stopped" in sentence
    assert "step 4" in sentence


def test_a_check_compares_made_and_grey_with_the_truth_of_the_same_pictures():
    run = trainer(4, margin=0.1)
    for _ in range(3):
        run.iterate()
    stop, found = run.actors["stop"].module, []
    run.context.players["stop"].module.look = lambda made, limit: found.append((float(made), float(limit)))
    answers(run.actors["learner"].module, FAR)
    run.iterate()
    real, truth = batch(), srgb_to_lab(batch()["image"])
    plain = srgb_to_lab(real["given"].expand(-1, 3, -1, -1))
    made = srgb_to_lab(coloured({**run.networks(), "generator": run.networks()["learner"]}, real["given"], run.recipe))
    assert stop.worse == 1
    assert found[0] == pytest.approx(
        (float(delta_e(made, truth).mean()), 0.9 * float(delta_e(plain, truth).mean())), rel=1e-4
    )


def test_a_game_whose_checks_all_fail_leaves_the_start():
    run = trainer(5, margin=0.999)
    for ab in (TRUE, TRUE, TRUE, FAR, FAR):
        answers(run.actors["learner"].module, ab)
        run.iterate()
    assert answer(run.actors["generator"].module) == answer(run.actors["start"].module) == TRUE
    values = {"keep/stopped": 1.0, "keep/step": float(run.actors["stop"].module.kept)}
    assert "`start`" in run.recipe.remarks(values)[0]
    assert not run.recipe.remarks({"keep/stopped": 0.5, "keep/step": 1.0})


def test_the_regression_counts_a_pixel_of_chroma_50_twice():
    made = recipe(chroma_weight=1.0)
    truth = torch.tensor([30.0, 40.0]).view(1, 2, 1, 1)
    error = made._error(truth + 25, truth)
    grey_error = made._error(torch.full_like(truth, 25.0), torch.zeros_like(truth))
    torch.testing.assert_close(error, 2 * grey_error)
    torch.testing.assert_close(error, recipe(chroma_weight=0.0)._error(truth + 25, truth) * 2)


@pytest.mark.parametrize(
    ("info", "options", "message"),
    [
        ({"pairs": ""}, {}, "--data.pairs grey"),
        ({"pairs": "folders"}, {}, "--data.pairs grey"),
        ({"channels": 4}, {}, "--data.channels 3"),
        ({"height": 16}, {"discriminator_layers": 3}, "--model.discriminator_layers"),
    ],
)
def test_data_that_teaches_no_colours_is_refused(info, options, message):
    with pytest.raises(ConfigError, match=message):
        Colorize(Config(**{**SMALL, **options}), {**INFO, **info})


def test_a_run_without_a_game_or_without_checks_says_so():
    assert "regression alone" in recipe(regression_steps=10).notes(TrainerSettings(steps=10))[0]
    assert "check_every" in recipe(regression_steps=10, check_every=0).notes(TrainerSettings(steps=11))[0]
    assert not recipe(regression_steps=10).notes(TrainerSettings(steps=11))
