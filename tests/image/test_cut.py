"""CUT and FastCUT: their losses by the published code's formula, mirrored pictures, and data that cannot be learned from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from small_sides import INFO, batches, context_of, played, recipe_of, sampled

from polygan import ConfigError
from polygan_image import cut
from polygan_image.cut import CUT

SMALL = {"patches": 6, "projection_width": 4}


def official_nce(query, key, projection, places, temperature):
    """The loss of the official code: the positive first, then all patches of the picture with the own one at -10."""
    total = 0.0
    for q_map, k_map, mlp, place in zip(query, key, projection.layers, places, strict=True):
        per_picture = []
        for q, k, at in zip(q_map.flatten(2).mT, k_map.flatten(2).mT, place, strict=True):
            q, k = (F.normalize(mlp(rows[at]), dim=1) for rows in (q, k))
            positive = (q * k).sum(1, keepdim=True)
            negative = (q @ k.T).masked_fill(torch.eye(len(q), dtype=torch.bool), -10.0)
            out = torch.cat([positive, negative], 1) / temperature
            per_picture.append(F.cross_entropy(out, torch.zeros(len(q), dtype=torch.long), reduction="none"))
        total = total + torch.cat(per_picture).mean()
    return total / len(query)


def spied(monkeypatch):
    """The positions that a step draws, in order."""
    seen, draw = [], cut.positions

    def spy(*given):
        seen.append(draw(*given))
        return seen[-1]

    monkeypatch.setattr(cut, "positions", spy)
    return seen


@pytest.mark.parametrize("up", ["antialias", "resize"])
def test_terms_of_cut_are_those_of_the_official_code(monkeypatch, up):
    recipe, seen = recipe_of(CUT, **SMALL, contrast=2.0, up=up), spied(monkeypatch)
    ctx, (a, b) = context_of(recipe), batches()
    terms = played(recipe, ctx, a, b)
    x, y, g, d = a["image"], b["image"], ctx["generator"], ctx["discriminator"]
    with torch.no_grad():
        fake, same = g(x), g(y)
        first = official_nce(g.features(fake), g.features(x), ctx["projection"], seen[0], 0.07)
        second = official_nce(g.features(same), g.features(y), ctx["projection"], seen[1], 0.07)
        expected = {
            "d/real": (d(y) - 1).square().mean() / 2,
            "d/fake": d(fake).square().mean() / 2,
            "g/adversarial": (d(fake) - 1).square().mean(),
            "g/contrast": 2 * (first + second) / 2,
        }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=0, atol=1e-10, msg=name)


def test_terms_of_fastcut_are_those_of_the_official_code_with_mirrored_pictures(monkeypatch):
    recipe, seen = recipe_of(CUT, **SMALL, fast=True, up="resize"), spied(monkeypatch)
    ctx, (a, b) = context_of(recipe), batches(n=8)
    kept = {}
    monkeypatch.setattr(recipe, "_made", lambda *given, real=recipe._made: kept.setdefault("made", real(*given)))
    terms = played(recipe, ctx, a, b)
    flips, x, g = kept["made"].flips, a["image"], ctx["generator"]
    assert 0 < int(flips.sum()) < 8
    with torch.no_grad():
        shown = torch.stack([p.flip(2) if f else p for p, f in zip(x, flips, strict=True)])
        fake = g(shown)
        query = [torch.stack([p.flip(2) if f else p for p, f in zip(m, flips, strict=True)]) for m in g.features(fake)]
        contrast = 10 * official_nce(query, g.features(x), ctx["projection"], seen[0], 0.07)
        adversarial = (ctx["discriminator"](fake) - 1).square().mean()
    assert len(seen) == 1  # no identity term
    torch.testing.assert_close(terms["g/contrast"], contrast, rtol=0, atol=1e-10)
    torch.testing.assert_close(terms["g/adversarial"], adversarial, rtol=0, atol=1e-12)


def test_the_contrast_moves_generator_and_projection_but_not_through_the_given_picture():
    recipe = recipe_of(CUT, **SMALL)
    ctx, (a, b) = context_of(recipe), batches()
    a["image"].requires_grad_()
    made = recipe._made(ctx, a["image"].detach(), b["image"])
    assert not any(m.requires_grad for m in made.maps)
    played(recipe, ctx, a, b)
    assert all(p.grad is not None for p in ctx["projection"].parameters())
    assert all(p.grad is not None for p in ctx["generator"].parameters())


@pytest.mark.parametrize("fast", [False, True])
def test_pictures_whose_sides_are_no_multiples_of_4_can_be_learned_from(fast):
    recipe = recipe_of(CUT, **SMALL, fast=fast)
    terms = played(recipe, context_of(recipe), *batches(2, 18, 13))
    assert all(torch.isfinite(term) for term in terms.values())


def test_places_do_not_depend_on_the_number_of_processes():
    recipe = recipe_of(CUT, **SMALL)
    ctx, (a, b) = context_of(recipe), batches(n=2)
    whole = played(recipe, ctx, a, b)
    parts = []
    for part in range(2):
        ctx.noise.reset(0, part=part, parts=2)
        half = [{"image": side["image"][part : part + 1]} for side in (a, b)]
        parts.append(played(recipe, ctx, *half))
    for name, value in whole.items():
        torch.testing.assert_close(value, (parts[0][name] + parts[1][name]) / 2, rtol=0, atol=1e-10, msg=name)


def test_the_first_class_becomes_the_second():
    recipe = recipe_of(CUT, **SMALL)
    assert recipe.sides(recipe.Sampling()) == ("a", "b")
    pictures, given, networks = sampled(recipe)
    with torch.no_grad():
        assert torch.allclose(pictures, networks["generator"].eval()(given), atol=1e-6)


def test_the_weight_of_the_contrast_is_told():
    for settings, weight in (({}, "1"), ({"fast": True}, "10")):
        assert f"model.contrast = 0 is {weight}" in recipe_of(CUT, **SMALL, **settings).notes(None)
    assert recipe_of(CUT, **SMALL, fast=True, contrast=3.0).weight == 3


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"classes": ["a"]}, "image/cut learns from two classes of pictures, and this data has one side, a"),
        ({"classes": ["a", "b", "c"]}, r"has 3 \(a, b, c\)"),
        ({"width": 5}, "image/cut: pictures of 5x16 are too small"),
    ],
)
def test_facts_that_do_not_fit_are_refused(facts, words):
    with pytest.raises(ConfigError, match=words):
        recipe_of(CUT, {**INFO, **facts}, **SMALL)
