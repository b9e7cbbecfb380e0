"""What a page asks of a run, without a page."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import polygan
from polygan import ConfigError
from polygan_demo.abilities import latent_shape, latents_of
from polygan_demo.playing import play
from polygan_demo.stage import WAY, Stage, open_stage
from polygan_image.latent import fixed_noise


def last(made):
    return list(made)[-1]


@pytest.fixture(scope="module")
def toy_stage(toy):
    return open_stage(toy, device="cpu")


@pytest.fixture(scope="module")
def picture_stage(pictures):
    return open_stage(pictures, device="cpu")


@pytest.fixture(scope="module")
def styled_stage(styled):
    return open_stage(styled, device="cpu")


@pytest.fixture(scope="module")
def grey_stage(grey):
    return open_stage(grey, device="cpu")


@pytest.fixture(scope="module")
def line_stage(lines):
    return open_stage(lines, device="cpu")


def test_a_recipe_of_latents_is_told_from_its_first_normal_numbers(toy_stage, picture_stage, grey_stage, line_stage):
    assert toy_stage.can.latent == (4,)
    assert picture_stage.can.latent == (6,)
    assert grey_stage.can.latent is None
    assert line_stage.can.latent is None
    assert grey_stage.can.directions is None
    assert not grey_stage.can.from_noise


def test_what_a_recipe_takes_and_which_classes_it_has(toy_stage, picture_stage, grey_stage, line_stage):
    assert toy_stage.can.given is None
    assert len(picture_stage.can.classes) == 3
    assert grey_stage.can.classes == ()
    assert ".png" in grey_stage.can.given.pictures
    assert line_stage.can.given.text
    assert line_stage.can.one_by_one
    assert not picture_stage.can.one_by_one


def test_seeds_give_the_latents_of_generate(picture_stage):
    run = picture_stage.run
    assert latent_shape(run, 5, {}) == (5, 6)
    made = run.generate(latents=latents_of(3, (5, 6)), seed=3)
    assert torch.equal(made.data, run.generate(5, seed=3).data)


def test_a_direction_moves_the_samples_and_zero_does_not(picture_stage):
    still = last(picture_stage.make(4, 1, 0))
    assert torch.equal(still.data, last(picture_stage.make(4, 1, 0, [0.0, 0.0])).data)
    assert torch.equal(still.data, picture_stage.run.generate(4, seed=1, label=picture_stage.can.classes[0]).data)
    moved = last(picture_stage.make(4, 1, 0, [2.0, 0.0]))
    vectors = picture_stage.can.directions.vectors
    wanted = picture_stage.run.generate(
        latents=latents_of(1, (4, 6)) + 2 * vectors[0], seed=1, label=picture_stage.can.classes[0]
    )
    assert torch.equal(moved.data, wanted.data)
    assert not torch.equal(moved.data, still.data)


def test_the_first_direction_changes_pictures_more_than_the_last(picture_stage):
    still = last(picture_stage.make(8, 5, 1)).data
    k = picture_stage.moves
    assert k == 6
    first, final = ([float(i == at) for i in range(k)] for at in (0, k - 1))
    change = [(last(picture_stage.make(8, 5, 1, moves)).data - still).square().mean() for moves in (first, final)]
    assert change[0] > 1.5 * change[1]


def drawn(run, z, number, move):
    """Pictures of latents of a class whose w is moved, by the networks themselves."""
    generator = run.networks["generator"].eval()
    with torch.no_grad():
        w = generator.mapping(z, torch.full((len(z),), number)) + move
        return generator.synthesise(w[:, None].expand(-1, generator.style_count, -1), fixed_noise(generator)).clamp(
            -1, 1
        )


def test_the_directions_of_stylegan_are_the_principal_components_of_w(styled_stage):
    run, found = styled_stage.run, styled_stage.can.directions
    assert styled_stage.intermediate
    mapping, groups = run.networks["generator"].mapping, []
    for number in range(3):
        with torch.no_grad():
            points = mapping(latents_of(number, (1365, 8)), torch.full((1365,), number))
        groups.append(points - points.mean(0))
    covariance = torch.cat(groups).T.cov()
    values, vectors = torch.linalg.eigh(covariance)
    wanted = (found.deviations**2).tolist()
    assert wanted == pytest.approx(values.flip(0)[: len(wanted)].tolist(), rel=1e-3)
    assert (found.vectors @ vectors.flip(1)[:, : len(wanted)]).abs().diag().tolist() == pytest.approx(
        [1] * len(wanted), abs=1e-2
    )


def test_a_slider_of_stylegan_moves_w_by_standard_deviations_and_leaves_nothing_behind(styled_stage):
    run, found, name = styled_stage.run, styled_stage.can.directions, styled_stage.can.classes[1]
    still = last(styled_stage.make(4, 1, 1))
    moved = last(styled_stage.make(4, 1, 1, [0.0, 2.0]))
    wanted = drawn(run, latents_of(1, (4, 8)), 1, 2 * found.deviations[1] * found.vectors[1])
    assert torch.allclose(moved.data, wanted, atol=1e-5)
    assert not torch.allclose(moved.data, still.data, atol=1e-4)
    assert torch.equal(run.generate(4, seed=1, label=name).data, still.data)
    with pytest.raises(ConfigError):
        last(styled_stage.make(4, -1, 1, [2.0]))
    assert torch.equal(run.generate(4, seed=1, label=name).data, still.data)
    walk = last(styled_stage.make(8, 0, None, [1.0], {"interpolate": 4}))
    assert walk.kind == "walk"  # an order of latents does not matter in w


def test_the_way_between_two_seeds_is_moved_in_w(styled_stage):
    found = styled_stage.can.directions
    here, way = styled_stage.between((2, 9), 0.0, 1, [1.5])
    wanted = drawn(styled_stage.run, latents_of(2, (1, 8)), 1, 1.5 * found.deviations[0] * found.vectors[0])
    assert torch.allclose(here.data, wanted, atol=1e-4)
    assert torch.allclose(way.data[:1], wanted, atol=1e-4)


@pytest.mark.parametrize("output", [lambda z: (z, z), lambda z: z[:1], None])
def test_an_intermediate_space_of_another_form_leaves_the_directions_of_latents(toy, monkeypatch, output, capsys):
    class Odd(torch.nn.Module):
        def forward(self, z):
            return output(z)

    run = polygan.load(toy, device="cpu")
    odd = Odd()
    kind = type(run.recipe)
    monkeypatch.setattr(kind, "intermediate", lambda self, networks: odd if output else networks["none"], raising=False)
    generate = kind.generate

    def first_odd(self, networks, request):
        odd(request.noise.normal(request.n, 4))
        return generate(self, networks, request)

    if output:
        monkeypatch.setattr(kind, "generate", first_odd)
    stage = Stage(run)
    assert not stage.intermediate
    assert output is None or stage.moves
    assert ("no intermediate space (KeyError" in capsys.readouterr().err) == (output is None)


def test_the_way_between_two_seeds_meets_both(picture_stage):
    here, way = picture_stage.between((2, 9), 0.0)
    assert (len(here), len(way)) == (1, WAY)
    assert len(set(way.class_names())) == 1
    name = way.class_names()[0]
    start, end = (picture_stage.run.generate(1, seed=seed, label=name).data for seed in (2, 9))
    assert torch.allclose(way.data[:1], start, atol=1e-5)
    assert torch.allclose(way.data[-1:], end, atol=1e-5)
    assert torch.allclose(here.data, start, atol=1e-5)


def test_directions_and_an_order_exclude_each_other(picture_stage):
    with pytest.raises(ConfigError, match="set them to 0"):
        last(picture_stage.make(8, 0, None, [1.0], {"interpolate": 4}))
    assert last(picture_stage.make(8, 0, None, [0.0], {"interpolate": 4})).kind == "walk"


def test_sentences_appear_one_after_the_other(line_stage, monkeypatch):
    monkeypatch.setattr("polygan_demo.stage._AT_ONCE", 0.0)
    made = [samples.data for samples in line_stage.make(5, 0)]
    assert [len(data) for data in made] == [1, 2, 4, 5]
    assert all(data == made[-1][: len(data)] for data in made)
    monkeypatch.setattr("polygan_demo.stage._AT_ONCE", 1e9)
    assert [len(samples) for samples in line_stage.make(5, 0)] == [1, 5]


def test_lines_are_continued_as_they_are_made(line_stage):
    made = [list(samples.data) for samples in line_stage.of_text("a small\n\ntwo birds\na", 0)]
    assert [len(texts) for texts in made] == [1, 2, 3]
    assert [text.split()[0] for text in made[-1]] == ["a", "two", "a"]
    assert line_stage.can.classes == ()
    assert made[-1][0] == next(line_stage.run.convert_lines(["a small"], seed=0)).data[0]
    with pytest.raises(ConfigError, match="write a line"):
        last(line_stage.of_text(" \n ", 0))


def test_lines_have_the_classes_in_turn(line_stage, monkeypatch):
    seen = []
    monkeypatch.setattr(line_stage.run, "convert_lines", lambda lines, **asked: iter(seen.append((lines, asked)) or ()))
    monkeypatch.setattr(line_stage, "can", dataclasses.replace(line_stage.can, classes=("x", "y")))
    list(line_stage.of_text("a\nb\nc", 5))
    list(line_stage.of_text("a", 0, 1))
    assert [asked for _, asked in seen] == [
        {"seed": 5, "label": "x"}, {"seed": 6, "label": "y"}, {"seed": 7, "label": "x"}, {"seed": 0, "label": "y"},
    ]  # fmt: skip


def test_a_file_becomes_what_the_run_makes_of_it(grey_stage, place):
    path = next((place / "pictures/plain").glob("*.png"))
    made = last(grey_stage.of_file(str(path), 0))
    assert torch.equal(made.data, grey_stage.run.generate(given=path).data)


def test_samples_of_the_data_go_round(grey_stage):
    held_out = len(grey_stage.run.splits()["held_out"])
    assert held_out > 1
    pieces, made = grey_stage.of_data(0, 0)
    assert torch.equal(made.data, grey_stage.of_data(held_out, 0)[1].data)
    assert not torch.equal(made.data, grey_stage.of_data(1, 0)[1].data)
    assert pieces[0].png


def test_a_million_classes_are_searched(toy_stage):
    names = tuple(f"Class {i}" for i in range(1_000_000))
    stage = object.__new__(Stage)
    stage._folded = [name.casefold() for name in names]
    assert stage.search("", 3) == ([0, 1, 2], 1_000_000)
    assert stage.search("CLASS 99999", 5) == ([99999, 999990, 999991, 999992, 999993], 11)
    assert stage.search("class 12", 3, kept=7) == ([7, 12, 120], 11_111)
    assert stage.search("zebra", 3) == ([], 0)


def test_options_of_the_command_line_are_the_defaults(toy):
    stage = Stage(polygan.load(toy, device="cpu"), ["scale=0"])
    assert [(option.name, option.default) for option in stage.offered] == [("scale", 0)]
    data = last(stage.make(3, 0)).data
    assert torch.equal(data[0], data[1])
    assert not torch.equal(data, last(stage.make(3, 0, options={"scale": 1.0})).data)


def values_of(stage, **changes):
    usual = {
        "mode": "seed",
        "n": 2,
        "seed": 0,
        "class": -1,
        "from": 0,
        "to": 1,
        "place": 0.5,
        "given seed": 0,
        "number": 0,
    }
    options = {f"option/{option.name}": option.default for option in stage.offered}
    return {**usual, **options, **{f"direction/{i}": 0 for i in range(stage.moves)}, **changes}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"seed": -1}, "seed = -1 is no whole number"),
        ({"seed": None}, "seed = None is no number"),
        ({"n": 1e9}, "samples = 1000000000.0 is no whole number from 1 to 16"),
        ({"class": 99}, "class = 99 is no whole number from 0 to 2"),
        ({"mode": "<b>"}, "mode = &#39;&lt;b&gt;&#39; is unknown"),
        ({"option/grid": True, "n": 4}, "a grid of 4 pictures has no full row"),
        ({"option/interpolate": 1}, "interpolate = 1"),
    ],
)
def test_a_fault_is_one_line(picture_stage, changes, line):
    (html,) = play(picture_stage, values_of(picture_stage, **changes))
    assert 'class="pg-error"' in html
    assert line in html
    assert html.strip().count("\n") == 0


def test_a_fault_that_nobody_expected_is_one_line_too(picture_stage, monkeypatch, capsys):
    def broken(networks, request):
        raise RuntimeError("shapes (3,) and <4>\nare not alike")

    with monkeypatch.context() as patched:
        patched.setattr(picture_stage.run.recipe, "generate", broken)
        (html,) = play(picture_stage, values_of(picture_stage))
    assert "RuntimeError: shapes (3,) and &lt;4&gt; are not alike" in html
    assert "Traceback" in capsys.readouterr().err
    (html,) = play(picture_stage, values_of(picture_stage))
    assert "data:image/png" in html


def test_a_damaged_upload_is_one_line(grey_stage, tmp_path):
    (tmp_path / "x.png").write_bytes(b"no picture")
    *_, html = play(grey_stage, values_of(grey_stage, mode="given", picture=str(tmp_path / "x.png")))
    assert 'class="pg-error"' in html
    assert "x.png" in html


def test_before_an_upload_a_sample_of_the_data_is_shown(grey_stage, monkeypatch):
    (html,) = play(grey_stage, values_of(grey_stage, mode="given"))
    assert "Hand something in" in html
    assert "data:image/png" in html
    monkeypatch.setattr(grey_stage, "has_data", False)
    (html,) = play(grey_stage, values_of(grey_stage, mode="given"))
    assert "data:image/png" not in html


def test_what_was_made_of_an_upload_can_be_saved(grey_stage, place):
    path = next((place / "pictures/plain").glob("*.png"))
    *_, html = play(grey_stage, values_of(grey_stage, mode="given", picture=str(path)))
    assert 'download="made.png"' in html
