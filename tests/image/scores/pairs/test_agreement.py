"""Made pictures against what was given: shrunk, without colours, and from frame to frame."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from scenes import DOMAIN, Made, Paired, evaluation, splits_of, truth_of

from polygan import DataError, Samples, Sides
from polygan_image.data.given import in_colour
from polygan_image.scores.pairs.agreement import consistency, cycle, flicker


@pytest.mark.parametrize("pairs", ["grey", "smaller"])
def test_the_truth_agrees_with_what_was_given(pairs, request):
    splits = request.getfixturevalue(pairs)
    (score,) = consistency(evaluation(splits, lambda given: truth_of(splits)))
    assert score.value < 0.01
    assert score.kind == ""  # such a score says nothing of the truth
    (brighter,) = consistency(evaluation(splits, lambda given: truth_of(splits) * 0.5))
    assert brighter.value > 10


def test_stored_pairs_cannot_be_turned_back(grey):
    own = evaluation(grey, in_colour)
    own.info = {**own.info, "pairs": "folders"}
    with pytest.raises(DataError, match=r"which only data\.pairs = grey and smaller allow"):
        consistency(own)


def test_frames_that_follow_the_given_ones_do_not_flicker(frames):
    (score,) = flicker(evaluation(frames, in_colour))
    assert score.value == pytest.approx(0, abs=1e-4)
    assert "pairs of neighbouring frames" in score.note
    assert abs(score.floor) < 2  # of the real frames, whose colours move too


def test_frames_with_colours_of_their_own_flicker(frames):
    calls = []

    def restless(given):
        calls.append(None)
        return (in_colour(given) + (0.2 if len(calls) % 2 else -0.2)).clamp(-1, 1)

    (score,) = flicker(evaluation(frames, restless))
    assert score.value > 10


def test_pictures_that_are_no_frames_do_not_flicker(grey):
    with pytest.raises(DataError, match="neighbouring pictures of this data are not alike"):
        flicker(evaluation(grey, in_colour))


def test_flicker_needs_a_recipe_with_given_pictures_and_held_out_frames(frames, monkeypatch):
    own = evaluation(frames, in_colour)
    rest = own.held_out
    none = dataclasses.replace(own, held_out=type(rest)(rest.store, rest.rows[:0], rest.name))
    with pytest.raises(DataError, match=r"none were kept; train with --data\.held_out 0\.1"):
        flicker(none)
    monkeypatch.setattr(type(own.recipe), "given", None)
    with pytest.raises(DataError, match="this recipe makes pictures from noise"):
        flicker(own)


def test_a_window_gives_the_units_of_the_scores(tmp_path):
    """CT: values from -1000 to 1000; a difference of a tenth of the window is 200 units."""
    from polygan_image.scores.pairs.similarity import absolute

    values = np.random.default_rng(0).integers(-900, 700, (20, 16, 16), dtype=np.int16)
    np.save(tmp_path / "ct.npy", values)
    images = (values.astype(np.float32) + 1000) / 2000 * 255
    splits = splits_of(tmp_path, images.astype(np.uint8), pairs="smaller")
    own = evaluation(splits, lambda given: truth_of(splits) + 0.2)
    own.info = {**own.info, "window": [-1000, 1000], "dtype": "int16"}
    (score,) = absolute(own)
    assert score.value == pytest.approx(200, abs=1)
    assert "from -1000 to 1000" in score.note
    assert torch.is_tensor(DOMAIN.real(splits["held_out"], splits["held_out"].rows).data)


@dataclasses.dataclass
class Shifting(Paired):
    """On the way to b, pictures get half the contrast and become darker by ``make`` of 255; on the way back, twice the contrast."""

    def generate(self, n, seed, options=None, *, networks=None, given=None):
        back = options is not None and options.to == "a"
        return Samples(2 * given.data if back else given.data / 2 - self.make / 127.5, DOMAIN)


def test_the_way_there_and_back_is_measured_in_units_of_the_data(sides):
    (score,) = cycle(sides(10, kind=Shifting))
    assert score.value == pytest.approx(20, rel=1e-4)  # 10 darker there, doubled on the way back
    assert "held-out pictures of a" in score.note
    (all_the_way,) = cycle(sides(0.001, kind=Shifting))
    assert all_the_way.value == pytest.approx(0.002, rel=0.01)


def test_a_recipe_of_one_direction_has_no_way_back(sides, grey):
    class OneWay(Made):
        def sides(self, options):
            return Sides("a", "b")

    for own in (sides(10, recipe=OneWay), evaluation(grey, in_colour)):
        with pytest.raises(DataError, match="does not make both sides"):
            cycle(own)
