"""Given mels before training: wrong scales are refused with the command, what may be right is one warning."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
from made_mels import RATE, SCALES, SOUNDS, speech

import polygan
from polygan import ConfigError
from polygan_audio.data.domain import AudioDomain
from polygan_audio.data.settings import AudioSettings
from polygan_audio.parallel_wavegan import ParallelWaveGAN
from polygan_audio.vocos import Config, Vocos


@pytest.fixture
def split(tmp_path):
    """The training split of recordings with mels of a scale."""

    def make(name, **settings):
        from polygan.data import build_store, split_store

        for place in ("rec", "mels"):
            (tmp_path / place).mkdir(exist_ok=True)
        for i, sound in enumerate(SOUNDS):
            soundfile.write(tmp_path / f"rec/{i}.wav", sound.numpy(), RATE)
            np.save(tmp_path / f"mels/{i}.npy", SCALES[name](sound).numpy())
        options = AudioSettings(
            source=str(tmp_path / "rec"), mels=str(tmp_path / "mels"), cache=str(tmp_path / "cache"), **settings
        )
        store = build_store(AudioDomain().open(options), options, progress=False)
        return split_store(store, 0.0)["train"]

    return make


def test_a_wrong_scale_is_refused_with_the_command_that_converts(split):
    with pytest.raises(ConfigError) as caught:
        Vocos.survey(Config(), AudioDomain(), split("log10"))
    said = str(caught.value)
    assert "\n" not in said
    assert (
        "the given mels (data.mels) are log10 (given = 0.4343 x ln(magnitude) + 0), compared with 4 recordings" in said
    )
    assert "the front end reads ln" in said
    assert "`polygan mels check MELS --data RECORDINGS --out MELS-converted`" in said
    assert "--data.mels_normalised 0 2.30259" in said
    assert "--data.mels_scale keep takes them as they are" in said


def test_a_recipe_with_facts_of_its_own_compares_too(split):
    with pytest.raises(ConfigError, match=r"are dB .* the front end reads log10; .* --mel parallel_wavegan --out"):
        ParallelWaveGAN.survey(
            ParallelWaveGAN.Config(mel="parallel_wavegan"), AudioDomain(), split("dB of parallel_wavegan")
        )


def test_two_numbers_or_keep_let_the_mels_pass(split, capsys):
    Vocos.survey(Config(), AudioDomain(), split("log10", mels_normalised=(0.0, np.log(10))))
    Vocos.survey(Config(), AudioDomain(), split("log10", mels_scale="keep"))
    Vocos.survey(Config(), AudioDomain(), split("predicted"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "centred",
            "they fit another front end better (padding center instead of same); these are mels of --model.mel tacotron2",
        ),
        ("half as loud", "they are 6.0 dB quieter than the recordings"),
        ("late", "they are 1 frame late"),
    ],
)
def test_what_may_be_right_is_one_warning(split, capsys, name, said):
    Vocos.survey(Config(), AudioDomain(), split(name))
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err


def test_mels_of_other_recordings_are_a_warning(split, capsys, monkeypatch):
    monkeypatch.setitem(SCALES, "others", lambda sound: SCALES["ln"](speech(int(sound.abs().sum()))))
    Vocos.survey(Config(), AudioDomain(), split("others"))
    assert "nothing like the mels of these recordings" in capsys.readouterr().err


def test_training_names_the_folders_in_the_command(tmp_path, split):
    split("[-4, 4]")
    words = ["--data.mels", str(tmp_path / "mels"), "--data.cache", str(tmp_path / "cache"), "--data.segment", "8192"]
    small = {"dim": 16, "hidden": 32, "blocks": 1, "iterations": 2}
    with pytest.raises(ConfigError) as caught:
        polygan.train(
            "audio/vocos", str(tmp_path / "rec"), model=small, arguments=words, steps=1, batch_size=2,
            runs=str(tmp_path / "runs"), quiet=True,
        )  # fmt: skip
    assert f"polygan mels check {tmp_path}/mels --data {tmp_path}/rec --out {tmp_path}/mels-converted" in str(
        caught.value
    )
    assert "normalised to [-4, 4]" in str(caught.value)
    assert not (tmp_path / "runs").exists()
