"""The scale of mels beside their recordings: named, and converted."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_mels import LN10, OURS, SCALES, SOUNDS, speech

from polygan_audio.mel_scales.evidence import Evidence, Pair
from polygan_audio.mel_scales.scale import Converter, loudness, scale_of
from polygan_audio.networks.melspec import resolve


def pairs(name, sounds=SOUNDS):
    return [Pair(sound, SCALES[name](sound)) for sound in sounds]


def found(name, sounds=SOUNDS, spec=OURS):
    scale = scale_of(pairs(name, sounds), spec)
    assert scale is not None
    return scale


@pytest.mark.parametrize(
    ("name", "said", "difference"),
    [
        ("log10", "log10", 0.02),
        ("dB", "dB", 0.02),
        ("[-4, 4]", "normalised to [-4, 4]", 0.02),
        ("[0, 1]", "normalised to [0, 1]", 0.02),
        ("mean and deviation", "normalised by mean and deviation", 0.02),
        ("by band", "normalised by mean and deviation, band by band", 0.02),
        ("magnitudes", "magnitudes without a logarithm", 0.02),
        ("integers", "ln of 16-bit integers", 0.02),
        (
            "power",
            "the power without a logarithm",
            0.3,
        ),  # bands of power are not quite the squares of bands of magnitudes
        ("ln of power", "ln of the power", 0.3),
        ("dB of power", "dB of the power", 0.3),
        ("predicted log10", "log10", 0.5),
    ],
)
def test_a_wrong_scale_is_named_and_converted(name, said, difference):
    scale = found(name)
    assert scale.name == said
    assert not scale.right
    assert scale.sure
    assert scale.convertible
    convert = Converter(scale, Evidence(pairs(name), OURS.hop_length))
    for sound in SOUNDS:
        gap = (convert(SCALES[name](sound)) - OURS(sound)).abs()
        loud = OURS(sound) > -8  # a floor cannot be undone
        assert float(gap[loud].median()) < difference


@pytest.mark.parametrize("name", ["ln", "predicted"])
def test_the_right_scale_is_right_also_where_a_network_made_the_mels(name):
    scale = found(name)
    assert scale.right
    assert scale.sure
    assert (scale.other_front_end, scale.found.shift, loudness(scale)) == ("", 0, "")


@pytest.mark.parametrize(
    ("name", "mean", "deviation"),
    [("log10", 0, LN10), ("dB", 0, LN10 / 20), ("[-4, 4]", -80 * LN10 / 20 * 0.375, LN10 * 100 / 160)],
)
def test_two_numbers_undo_an_affine_scale(name, mean, deviation):
    numbers = found(name).numbers
    assert numbers is not None
    assert numbers[1] == pytest.approx(deviation, rel=1e-3)
    made = SCALES[name](SOUNDS[0]) * numbers[1] + numbers[0]
    loud = OURS(SOUNDS[0]) > -8
    assert float((made - OURS(SOUNDS[0]))[loud].abs().max()) < 0.02


@pytest.mark.parametrize("name", ["by band", "by file", "magnitudes", "dB of power"])
def test_other_scales_have_no_two_numbers(name):
    assert found(name).numbers is None


def test_files_with_scales_of_their_own_are_told_from_a_common_scale():
    assert found("by file").name == "normalised by mean and deviation, file by file"
    assert found("below the loudest").name == "dB of the power, each file by its own loudness"
    scale = found("by file")
    convert = Converter(scale, Evidence(pairs("by file"), OURS.hop_length))
    fit = Evidence(pairs("by file")[:1], OURS.hop_length).fit(scale.found.kind)
    assert fit is not None
    gap = (convert(SCALES["by file"](SOUNDS[0]), fit.one) - OURS(SOUNDS[0])).abs()
    assert float(gap.median()) < 0.02


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fmax", "fmax 7000 instead of 8000"),
        ("not normalised", "norm none instead of slaney"),
        ("htk", "scale htk instead of slaney"),
        ("centred", "padding center instead of same"),
    ],
)
def test_another_front_end_is_named(name, said):
    scale = found(name)
    assert scale.right
    assert scale.other_front_end == said
    assert scale.convertible == (name in ("not normalised", "centred"))


def test_the_preset_whose_mels_these_are_is_named():
    scale = found("parallel_wavegan")
    assert scale.name == "log10"
    assert scale.preset() == "--model.mel parallel_wavegan"
    assert found("parallel_wavegan", spec=resolve("parallel_wavegan", 16_000)).right
    assert found("centred").preset() == "--model.mel tacotron2"
    assert found("fmax").preset() == "--model.mel hifigan --model.fmax 7000"


def test_mels_that_are_a_frame_late_are_moved_back():
    scale = found("late")
    assert scale.right
    assert scale.found.shift == 1
    convert = Converter(scale, Evidence(pairs("late"), OURS.hop_length))
    frames = OURS(SOUNDS[0]).shape[1]
    gap = (convert(SCALES["late"](SOUNDS[0]))[:, : frames - 1] - OURS(SOUNDS[0])[:, : frames - 1]).abs()
    assert float(gap.max()) < 0.1


def test_louder_mels_are_the_same_scale_and_the_decibels_are_said():
    scale = found("half as loud")
    assert scale.right
    assert loudness(scale) == "they are 6.0 dB quieter than the recordings"
    assert "file by file" in loudness(found("own peak", [SOUNDS[0], SOUNDS[1] * 0.2, SOUNDS[2]]))


def test_one_short_recording_is_enough():
    assert found("log10", SOUNDS[:1]).name == "log10"
    assert found("[-4, 4]", [speech(9, 0.4)]).name == "normalised to [-4, 4]"


def test_mels_of_other_recordings_are_like_nothing():
    scale = scale_of([Pair(sound, OURS(speech(50 + i))) for i, sound in enumerate(SOUNDS)], OURS)
    assert scale is not None
    assert not scale.known
    assert scale.said() == "nothing like the mels of these recordings"


def test_silence_and_too_few_frames_tell_nothing():
    silence = torch.zeros(16_000)
    assert scale_of([Pair(silence, OURS(silence))], OURS) is None
    assert scale_of([Pair(SOUNDS[0][:1500], OURS(SOUNDS[0][:1500]))], OURS) is None
    assert scale_of([], OURS) is None


def test_a_constant_mel_tells_nothing():
    assert scale_of([Pair(SOUNDS[0], torch.zeros(80, 62))], OURS) is None


def test_evidence_leaves_out_limits():
    evidence = Evidence(pairs("[-4, 4]", [SOUNDS[0]]), OURS.hop_length)
    own = evidence.own(scale_of(pairs("ln"), OURS).found.kind)  # type: ignore[union-attr]
    assert own[0].shape[0] == 80
    (points,) = evidence.matched(scale_of(pairs("ln"), OURS).found.kind)  # type: ignore[union-attr]
    assert np.nanmin(points[1]) > -4
