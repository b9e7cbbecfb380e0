"""CycleGAN: its losses by the paper's equations, the history, the direction, and data that cannot be learned from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from small_sides import INFO, batches, context_of, played, recipe_of, sampled

import polygan
from polygan import ConfigError
from polygan.game.sampling import given_of, shown_beside
from polygan_image.cyclegan import CycleGAN
from polygan_image.geometry import padded


def made(network, image):
    with torch.no_grad():
        return padded(network, image, network.geometry)


@pytest.mark.parametrize("size", [(16, 16), (18, 13)])
@pytest.mark.parametrize("norms", [("pixel", "instance"), ("batch", "batch")])
def test_terms_are_those_of_the_paper(size, norms):
    recipe = recipe_of(
        CycleGAN, norm=norms[0], discriminator_norm=norms[1], cycle=7.0, identity=0.3, history=0, identity_every=1
    )
    ctx, (a, b) = context_of(recipe), batches(2, *size)
    terms = played(recipe, ctx, a, b)
    x, y = a["image"], b["image"]
    fake_b, fake_a = made(ctx["to_b"], x), made(ctx["to_a"], y)
    with torch.no_grad():
        d_a, d_b = ctx["discriminator_a"], ctx["discriminator_b"]
        expected = {
            "d/real_a": (d_a(x) - 1).square().mean() / 2,
            "d/fake_a": d_a(fake_a).square().mean() / 2,
            "d/real_b": (d_b(y) - 1).square().mean() / 2,
            "d/fake_b": d_b(fake_b).square().mean() / 2,
            "g/to_b": (d_b(fake_b) - 1).square().mean(),
            "g/to_a": (d_a(fake_a) - 1).square().mean(),
        }
    expected |= {
        "g/cycle_a": 7 * (made(ctx["to_a"], fake_b) - x).abs().mean(),
        "g/cycle_b": 7 * (made(ctx["to_b"], fake_a) - y).abs().mean(),
        "g/identity_a": 2.1 * (made(ctx["to_a"], x) - x).abs().mean(),
        "g/identity_b": 2.1 * (made(ctx["to_b"], y) - y).abs().mean(),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=0, atol=1e-12, msg=name)


def test_shared_fakes_give_the_gradient_of_fresh_fakes():
    recipe = recipe_of(CycleGAN, history=0, identity_every=1)
    ctx, (a, b) = context_of(recipe), batches()
    played(recipe, ctx, a, b)
    shared = [p.grad.clone() for name in ("to_a", "to_b") for p in ctx[name].parameters()]
    for player in ctx.players.values():
        player.module.requires_grad_(True).zero_grad()
    fake_b, fake_a = ctx["to_b"](a["image"]), ctx["to_a"](b["image"])
    loss = (ctx["discriminator_b"](fake_b) - 1).square().mean() + (ctx["discriminator_a"](fake_a) - 1).square().mean()
    for there, back, x in ((fake_b, "to_a", a["image"]), (fake_a, "to_b", b["image"])):
        loss = loss + 10 * (ctx[back](there) - x).abs().mean() + 5 * (ctx[back](x) - x).abs().mean()
    loss.backward()
    fresh = [p.grad for name in ("to_a", "to_b") for p in ctx[name].parameters()]
    assert all(torch.allclose(s, f, rtol=0, atol=1e-10) for s, f in zip(shared, fresh, strict=True))


@pytest.mark.parametrize(
    ("history", "step", "old"), [(2, 0, False), (2, 1, True), (3, 1, False), (3, 2, True), (1, 0, True)]
)
def test_discriminators_see_fakes_of_the_averaged_generators_in_turn(history, step, old):
    recipe = recipe_of(CycleGAN, history=history)
    ctx, (a, b) = context_of(recipe, step), batches()
    terms = played(recipe, ctx, a, b)
    maker = ctx.averaged("to_b") if old else ctx["to_b"]
    with torch.no_grad():
        seen = ctx["discriminator_b"](made(maker, a["image"])).square().mean() / 2
        fresh = (ctx["discriminator_b"](made(ctx["to_b"], a["image"])) - 1).square().mean()
    torch.testing.assert_close(terms["d/fake_b"], seen, rtol=0, atol=1e-12)
    torch.testing.assert_close(terms["g/to_b"], fresh, rtol=0, atol=1e-12)  # generators learn from fresh fakes alone


def test_terms_without_weight_are_left_out():
    ctx, sides = context_of(recipe_of(CycleGAN)), batches()
    assert "g/identity_a" not in played(recipe_of(CycleGAN, identity=0), ctx, *sides)
    terms = played(recipe_of(CycleGAN, cycle=0), ctx, *sides)
    assert sorted(name for name in terms if name.startswith("g/")) == ["g/to_a", "g/to_b"]


def test_a_rare_identity_term_has_that_many_times_the_weight():
    each, rare = recipe_of(CycleGAN, identity_every=1), recipe_of(CycleGAN, identity_every=3)
    always = played(each, context_of(each, 3), *batches())
    due, not_due = (played(rare, context_of(rare, step), *batches()) for step in (3, 4))
    for side in "ab":
        torch.testing.assert_close(due[f"g/identity_{side}"], 3 * always[f"g/identity_{side}"], rtol=1e-12, atol=0)
        assert f"g/identity_{side}" not in not_due


def test_the_option_to_picks_the_direction():
    recipe = recipe_of(CycleGAN)
    for to, name, sides in (("", "to_b", ("a", "b")), ("b", "to_b", ("a", "b")), ("a", "to_a", ("b", "a"))):
        options = recipe.Sampling(to=to)
        assert recipe.sides(options) == sides
        pictures, given, networks = sampled(recipe, options)
        with torch.no_grad():
            assert torch.allclose(pictures, networks[name].eval()(given), atol=1e-6)
    with pytest.raises(ConfigError, match=r"to = 'c': no such class; there are a and b"):
        sampled(recipe, recipe.Sampling(to="c"))


def test_a_model_of_one_direction_names_the_class_that_it_makes():
    recipe = recipe_of(CycleGAN, {**INFO, "makes": ["b"]})
    networks, given = recipe.networks(), polygan.Samples(torch.zeros(1, 3, 16, 16))
    assert len(polygan.make_samples(recipe, networks, 1, given=given)) == 1
    with pytest.raises(ConfigError, match="make pictures of the class b alone; type --to b"):
        polygan.make_samples(recipe, networks, 1, 0, recipe.Sampling(to="a"), given=given)


def side(folder, count, value):
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(np.full((16, 16, 3), value + i, np.uint8)).save(folder / f"{i}.png")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"trainA": 3}, "this data has one side, A; put the pictures of each side into a folder, trainA and trainB"),
        ({"trainA": 3, "trainB": 1}, "class B holds one picture, and a class needs two or more"),
        (
            {"cats": 2, "dogs": 2, "owls": 2},
            r"this data has 3 \(cats, dogs, owls\); keep two folders below --data.*--data.labels",
        ),
    ],
)
def test_data_without_two_sides_is_one_clear_line(tmp_path, monkeypatch, counts, words):
    monkeypatch.chdir(tmp_path)
    for i, (name, count) in enumerate(counts.items()):
        side(tmp_path / "data" / name, count, 60 * i)
    with pytest.raises(polygan.PolyganError, match=words) as error:
        polygan.train("image/cyclegan", "data", steps=1, quiet=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"classes": []}, "this data has no classes; .*--data.labels folders"),
        ({"class_counts": [4, 0]}, "the side b has no pictures, and each side needs two or more"),
        ({"class_counts": [1, 4]}, "the side a has one picture"),
        ({"pairs": "grey"}, "learns without pairs; leave --data.pairs out"),
        ({"height": 4}, r"pictures of 16x4 are too small for these settings, which need \d+ pixels a side"),
    ],
)
def test_facts_that_do_not_fit_are_refused(facts, words):
    with pytest.raises(ConfigError, match=words):
        recipe_of(CycleGAN, {**INFO, **facts})


def test_previews_take_the_held_out_pictures_of_one_side_and_show_those_of_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    side(tmp_path / "data/trainA", 4, 10)
    side(tmp_path / "data/trainB", 5, 200)
    side(tmp_path / "data/testA", 2, 30)
    side(tmp_path / "data/testB", 3, 230)
    model = {"width": 2, "blocks": 1, "discriminator_width": 2, "discriminator_layers": 1}
    run = polygan.train("image/cyclegan", "data", model=model, steps=1, quiet=True, precision="fp32", hang_timeout=0)
    given = given_of(run.recipe, run.domain, run.splits(), 9)
    assert (len(given), sorted(((given.data.mean((1, 2, 3)) + 1) * 127.5).round().tolist())) == (2, [30, 31])
    beside = shown_beside(run.recipe, run.domain, run.splits(), given)
    assert sorted(((beside.data.mean((1, 2, 3)) + 1) * 127.5).round().tolist())[0] >= 230
