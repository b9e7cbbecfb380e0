"""What scores of sounds from noise look at: how many, of which classes, the trivial answer, features."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_shots import LENGTH, RATE, Sampling, evaluation, refused, shot

from polygan import DataError
from polygan_audio.scores.made_sounds import Sounds, aligned, compared, features, log_mels, trivial

CLASSES = ("hat", "kick", "snare")


def made(label, seed):
    return shot(CLASSES[label], seed)


def test_as_many_are_made_of_each_class_as_are_held_out_and_once_for_all_scores():
    e = evaluation(made)
    c = compared(e)
    assert e.recipe.asked == [(0, 6), (1, 6), (2, 6)]
    assert torch.bincount(c.made.labels).tolist() == torch.bincount(c.held_out.labels).tolist() == [6, 6, 6]
    assert (len(c.train), len(c.trivial)) == (36, 18)
    assert compared(e) is c
    later = evaluation(made, kept=e.kept)
    assert compared(later) is not c  # the networks have learned since
    assert compared(later).held_out is not None
    assert "18 made, 18 held-out and 36 training sounds of 4096 samples at 8000 Hz" in c.note()


def test_options_that_name_a_class_are_compared_with_that_class():
    c = compared(evaluation(made, options=Sampling(label=1)))
    assert set(c.made.labels.tolist()) == set(c.held_out.labels.tolist()) == set(c.train.labels.tolist()) == {1}


def test_recipes_without_classes_make_sounds_of_all_kinds():
    e = evaluation(lambda c, s: shot("kick", s), labelled=False)
    c = compared(e)
    assert e.recipe.asked == [(None, 18)]
    assert c.made.labels is c.trivial.labels is None


def test_other_recipes_and_too_few_sounds_are_refused():
    with pytest.raises(DataError, match=r"for recipes that make sounds from noise \(audio/wavegan\)"):
        compared(refused())
    with pytest.raises(DataError, match=r"two held-out sounds or more; raise --data.held_out"):
        compared(evaluation(made, each=(3, 0)))


def test_sounds_of_other_lengths_and_broken_ones_are_brought_to_one_form():
    def broken(label, seed):
        sound = shot("kick", seed)
        sound[100] = math.nan
        return torch.cat([sound, torch.ones(50)])

    c = compared(evaluation(broken, real=lambda label, seed: shot(CLASSES[label], seed)[:3000]))
    assert c.made.waveforms.shape == c.held_out.waveforms.shape == (18, LENGTH)
    assert not c.held_out.waveforms[:, 3000:].any()
    assert c.made.broken == 18
    assert "18 made sounds had NaN" in c.note()


def test_the_trivial_answer_is_training_sounds_of_the_class_moved_and_louder():
    both = torch.stack([shot("kick", 0), shot("hat", 1)]) / 4
    train = Sounds(both.roll(LENGTH // 32, 1), torch.tensor([1, 0]))  # no shift cuts the peak
    wanted = Sounds(torch.zeros(40, LENGTH), torch.tensor([0, 1] * 20))
    found = trivial(train, wanted, 0)
    assert found.labels.tolist() == [0, 1] * 20
    gains, shifts = [], []
    for waveform, label in zip(found.waveforms, found.labels.tolist(), strict=True):
        own = train.waveforms[1 - label]
        peak, at = waveform.abs().max(0)
        gains.append(20 * math.log10(float(peak / own.abs().max())))
        shifts.append(int(at - own.abs().argmax()))
    assert -6 <= min(gains) < -2 < 2 < max(gains) <= 6
    assert max(shifts) <= LENGTH / 32
    assert len(set(shifts)) > 20
    assert torch.equal(trivial(train, wanted, 0).waveforms, found.waveforms)
    assert not torch.equal(trivial(train, wanted, 1).waveforms, found.waveforms)


def test_features_are_means_over_four_stretches():
    sounds = Sounds(torch.stack([shot("kick", 0), shot("hat", 1)]), None)
    mels, found = log_mels(sounds, RATE, 12), features(sounds, RATE)
    assert found.shape == (2, 48)
    frames = mels.shape[2]
    assert frames == 16
    torch.testing.assert_close(found[:, :12], mels[..., :1].mean(2))
    torch.testing.assert_close(found[:, 36:], mels[..., 7:].mean(2))
    assert float(log_mels(Sounds(torch.zeros(1, LENGTH), None), RATE, 12).max()) == pytest.approx(
        math.log(1e-3), abs=1e-5
    )


def test_louder_and_later_copies_are_one_sound_when_aligned():
    sound = torch.cat([shot("hat", 1)[:3000], torch.zeros(LENGTH - 3000)])
    both = Sounds(torch.stack([sound, (0.3 * sound).roll(500)]), torch.tensor([4, 5]))
    found = aligned(both)
    torch.testing.assert_close(found.waveforms[0], found.waveforms[1])
    assert float(found.waveforms.abs().max()) == 1
    assert found.labels.tolist() == [4, 5]
    assert not aligned(Sounds(torch.zeros(1, LENGTH), None)).waveforms.any()
