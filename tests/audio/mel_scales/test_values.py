"""The scale of mels without recordings: what cannot be sound is refused, what is odd is said once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_mels import LN10, OURS, SCALES, SOUNDS

from polygan import DataError
from polygan_audio.mel_scales.values import Watched, guess, loudest
from polygan_audio.networks.melspec import resolve

TEN = resolve("parallel_wavegan", 16_000)


def test_no_sound_is_above_the_loudest_value():
    time = torch.arange(16_000) / 16_000
    for spec in (OURS, TEN, resolve("vocos", 16_000)):
        for sound in (
            torch.ones(16_000),
            torch.sin(2 * torch.pi * 1000 * time).sign(),
            torch.sin(2 * torch.pi * 440 * time),
        ):
            assert float(spec(sound).max()) <= loudest(spec)


@pytest.mark.parametrize("name", ["ln", "predicted", "late", "centred", "half as loud"])
def test_right_mels_are_not_odd(name):
    for sound in SOUNDS:
        assert guess(SCALES[name](sound), OURS) is None
    assert guess(TEN(SOUNDS[0]), TEN) is None
    assert guess(torch.full((80, 40), OURS.silence), OURS) is None


@pytest.mark.parametrize(
    ("name", "proven", "said", "numbers"),
    [
        ("dB", True, "dB", (0, LN10 / 20)),
        ("below the loudest", True, "dB below the loudest of each file", None),
        ("magnitudes", True, "magnitudes or power without a logarithm", None),
        ("power", True, "magnitudes or power without a logarithm", None),
        ("[0, 1]", True, "normalised to [0, 1]", None),
        ("ln of power", True, "a logarithm with a lower floor", (0, 1)),
        ("[-4, 4]", False, "normalised to [-4, 4]", None),
        ("mean and deviation", False, "normalised by mean and deviation", None),
        ("by band", False, "normalised by mean and deviation", None),
        ("log10", False, "log10", (0, LN10)),
    ],
)
def test_odd_values_are_named(name, proven, said, numbers):
    found = guess(SCALES[name](SOUNDS[0]), OURS)
    assert found is not None
    assert (found.proven, found.name) == (proven, said)
    assert found.numbers == (None if numbers is None else pytest.approx(numbers))


def test_ln_is_proven_where_log10_is_read():
    found = guess(OURS(SOUNDS[0]), TEN)
    assert found is not None
    assert (found.proven, found.name, found.numbers) == (True, "ln", (0, pytest.approx(1 / LN10)))


def test_a_proof_is_an_error_that_names_the_file_and_doubts_are_said_once(capsys):
    watched = Watched(OURS)
    message = (
        r"mel a/b\.npy has values from -\d+ to .*; this vocoder reads ln of magnitudes, from -11\.51 \(silence\) to about .*; it "
        r"looks like dB; convert the folder: `polygan mels check MELS --normalised 0 0\.115129 --out CONVERTED`"
    )
    with pytest.raises(DataError, match=message):
        watched.look(SCALES["dB"](SOUNDS[0]), "a/b.npy")
    for name in ("one.npy", "two.npy"):
        watched.look(SCALES["[-4, 4]"](SOUNDS[0]), name)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "mel one.npy has values from -4 to" in said
    assert "it looks normalised to [-4, 4], and this vocoder reads ln" in said
    assert "`polygan mels check MELS --data RECORDINGS --out CONVERTED`" in said
