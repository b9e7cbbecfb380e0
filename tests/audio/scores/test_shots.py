"""Scores of short sounds on recipes of known faults: copies, wrong classes, wrong notes, the distribution itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_shots import evaluation, refused, shot

from polygan import DataError
from polygan_audio.scores import shots

DRUMS, NOTES = ("hat", "kick", "snare"), ("A3", "C3", "C4")
METRICS = (shots.feature_distance, shots.nearest, shots.pitch, shots.class_agreement)


def perfect(label, seed):
    return shot(DRUMS[label], seed)


def score(metric, make, **options):
    (found,) = metric(evaluation(make, **options))
    return found


def test_the_frechet_distance_of_gaussians_is_the_formula():
    """Diagonal covariances: sum of squared differences of means and of deviations."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(20_000, 3, generator=generator)
    b = torch.tensor([1.0, 0.0, -2.0]) + torch.randn(20_000, 3, generator=generator) * torch.tensor([1.0, 3.0, 0.5])
    assert shots.frechet_distance(a, b) == pytest.approx(1 + 4 + 4 + 0.25, rel=0.03)
    assert shots.frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_the_distribution_itself_is_at_the_floor_and_one_class_alone_is_far():
    same = score(shots.feature_distance, perfect, each=(40, 20))
    collapsed = score(shots.feature_distance, lambda c, s: shot("kick", s), each=(40, 20))
    assert same.value < 2 * same.floor
    assert collapsed.value > 3 * same.value
    assert same.better == "lower"
    assert same.baseline[1] == "training sounds, moved and louder or quieter"


def test_copies_are_near_and_new_sounds_are_as_far_as_held_out_ones():
    copies = score(shots.nearest, lambda c, s: shot(DRUMS[c], c * 18 + s % 12) * 0.5)
    new = score(shots.nearest, perfect)
    assert copies.value < 0.02  # louder or quieter is no difference
    assert 0.7 < new.value <= 1
    noise = score(shots.nearest, lambda c, s: torch.randn(4096, generator=torch.Generator().manual_seed(s)) / 4)
    assert noise.value == 1  # no copy, and no better than new
    assert new.floor == 1
    assert new.baseline[0] < 0.6  # training sounds that are moved are still found
    assert new.better == "higher"


def test_repeated_files_leave_no_measure_of_copies():
    with pytest.raises(DataError, match="held-out sounds repeat training sounds"):
        score(shots.nearest, perfect, real=lambda c, s: shot(DRUMS[c], 0))


def test_a_moved_picture_is_found_at_its_shift():
    real = torch.randn(3, 5, 64, generator=torch.Generator().manual_seed(0))
    moved = torch.cat([real[1:2, :, 1:], torch.zeros(1, 5, 1)], 2)
    assert shots.gaps_to_nearest(moved, real).item() == pytest.approx(0, abs=1e-6)
    far = torch.cat([real[1:2, :, 9:], torch.zeros(1, 5, 9)], 2)
    assert shots.gaps_to_nearest(far, real).item() > 0.5


def test_notes_are_in_tune_or_a_semitone_off():
    def note(c, s):
        return shot(NOTES[c], s)

    right = score(shots.pitch, note, classes=NOTES, each=(4, 4))
    wrong = score(shots.pitch, lambda c, s: shot(("A#3", "C#3", "C#4")[c], s), classes=NOTES, each=(4, 4), real=note)
    assert right.value > 0.9
    assert right.floor > 0.9
    assert right.baseline[0] > 0.9
    assert wrong.value == 0
    assert "3 notes" in right.note


def test_the_class_that_was_asked_for_is_recognised():
    assert score(shots.class_agreement, perfect).value > 0.9
    assert score(shots.class_agreement, perfect).floor > 0.9
    turned = score(shots.class_agreement, lambda c, s: shot(DRUMS[(c + 1) % 3], s))
    assert turned.value < 0.1
    assert score(shots.class_agreement, lambda c, s: shot("kick", s)).value == pytest.approx(1 / 3, abs=0.05)


def test_the_nearest_class_counts_deviations_within_classes():
    known = torch.tensor([[0.0, 0.0], [0.0, 9.0], [4.0, 0.0], [4.0, 9.0]])
    labels = torch.tensor([0, 0, 2, 2])  # class 1 has no training sound
    found = shots.nearest_class(torch.tensor([[1.0, 20.0], [3.0, -9.0]]), known, labels)
    assert found.tolist() == [0, 2]


def test_scores_that_need_classes_or_notes_are_refused_without():
    with pytest.raises(DataError, match=r"audio/pitch is for data whose classes are all notes"):
        score(shots.pitch, perfect)
    with pytest.raises(DataError, match=r"audio/class-agreement is for data with classes .*--data.speakers folders"):
        score(shots.class_agreement, lambda c, s: shot("kick", s), labelled=False)


def test_other_recipes_are_refused_with_one_line_for_all():
    said = set()
    for metric in METRICS:
        with pytest.raises(DataError) as error:
            metric(refused())
        said.add(str(error.value))
    assert said == {"the score is for recipes that make sounds from noise (audio/wavegan)"}
