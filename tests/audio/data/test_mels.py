"""Mels beside recordings: what is read, what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import torch as tensors
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parent))
from recordings import mel_for, noise, save, stored

from polygan import ConfigError, DataError
from polygan_audio.data import files
from polygan_audio.data.mels import read_mel
from polygan_audio.data.settings import AudioSettings


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_mels_lie_beside_their_recordings(tmp_path, opened, suffix, extra):
    given = mel_for(10_000 // 256 + extra)
    save(tmp_path / "data/sub/a.wav", noise(10_000))
    (tmp_path / "mels").mkdir()
    if suffix == ".npy":
        np.save(tmp_path / "mels/a.npy", given[None].astype(np.float64))
    else:
        save_file({"mel": given, "speaker": given[:1]}, tmp_path / "mels/a.safetensors")
    source, _ = opened(mels=str(tmp_path / "mels"))
    assert (source.info["n_mels"], source.info["mel_hop"]) == (80, 256)
    np.testing.assert_array_equal(source.decode(0)["mel"], given.T)


def test_pieces_take_the_frames_of_their_samples(tmp_path, opened):
    given = mel_for(55_125 // 512, seed=3)
    save(tmp_path / "data/a.wav", noise(110_250), 44_100, "FLOAT")
    (tmp_path / "mels").mkdir()
    np.save(tmp_path / "mels/a.npy", given)
    source, _ = opened(mels=str(tmp_path / "mels"), sample_rate=22_050, hop_length=512, piece_seconds=1.0)
    found = [source.decode(i) for i in range(len(source))]
    assert len(found) == 3
    assert all(len(f["waveform"]) % 512 == 0 for f in found[:-1])
    np.testing.assert_array_equal(np.concatenate([f["mel"] for f in found]), given.T)
    assert [len(f["mel"]) for f in found[:-1]] == [len(f["waveform"]) // 512 for f in found[:-1]]


@pytest.mark.parametrize(
    ("mel", "message"),
    [
        (mel_for(39, 100), r"has 100 bands, .*a\.npy has 80; make all with the same front end"),
        (mel_for(80, 39), r"has 39 bands, .*a\.npy has 80; it lies the other way round, save \[bands, frames\]"),
        (
            mel_for(80),
            r"has 80 frames, 80 \* 256 = 20480 samples, but the recording has 10000 / 256 = 39\.1 frames at 16000 Hz; set --data\.hop_length",
        ),
        (np.zeros(80), r"has the shape \[80\]; a mel is \[bands, frames\]"),
        (np.array([{"x": 1}], object), r"cannot be read \(.*Python objects.*\); write it again"),
        (np.zeros((80, 39), np.int64), r"holds int64 numbers; log-mels are floats"),
        (np.full((80, 39), np.nan, np.float32), r"mel holds numbers that are not finite"),
        (None, r"has no mel .*b\.npy or \.safetensors; make one or leave the recording out"),
    ],
)
def test_mels_that_do_not_fit_are_refused_with_the_arithmetic(tmp_path, opened, mel, message):
    for name in "ab":
        save(tmp_path / f"data/{name}.wav", noise(10_000))
    (tmp_path / "mels").mkdir()
    np.save(tmp_path / "mels/a.npy", mel_for(39))
    if mel is not None:
        np.save(tmp_path / "mels/b.npy", mel, allow_pickle=True)
    store = stored(opened(mels=str(tmp_path / "mels"), max_bad=0.6))
    assert len(store) == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(store.bad[0])


def test_mels_are_needed_where_they_are_asked_for(tmp_path, opened):
    save(tmp_path / "data/a.wav", noise(10_000))
    with pytest.raises(DataError, match=r"data\.mels = .*mels' is no folder"):
        opened(mels=str(tmp_path / "mels"))
    (tmp_path / "mels").mkdir()
    with pytest.raises(DataError, match=r"no recording has a mel in .*looked for NAME\.npy, NAME\.safetensors"):
        opened(mels=str(tmp_path / "mels"))
    (tmp_path / "mels/a.safetensors").write_bytes(b"no tensors here")
    with pytest.raises(DataError, match=r"no recording has a mel .*a\.safetensors cannot be read"):
        opened(mels=str(tmp_path / "mels"))


def test_mels_of_bfloat16_are_read(tmp_path):
    tensors.save_file({"mel": torch.full((80, 5), 0.5, dtype=torch.bfloat16)}, tmp_path / "a.safetensors")
    mel = read_mel(tmp_path / "a.safetensors")
    assert (mel.shape, mel.dtype, float(mel.mean())) == ((80, 5), np.float32, 0.5)


def test_a_mel_serves_one_recording(tmp_path, opened):
    for place in ("x", "y"):
        (tmp_path / "data" / place).mkdir(parents=True)
        files.write(tmp_path / "data" / place / "a.wav", torch.randn(8192) * 0.1, 16_000)
    (tmp_path / "mels").mkdir()
    np.save(tmp_path / "mels/a.npy", np.zeros((80, 32), np.float32))
    with pytest.raises(DataError, match=r"a\.npy would serve both x/a and y/a"):
        opened(mels=str(tmp_path / "mels"))


def folder_of(tmp_path, frames_of, lengths=(10_000, 20_000, 30_000), turned=False, change=lambda mel: mel):
    (tmp_path / "mels").mkdir()
    for i, samples in enumerate(lengths):
        save(tmp_path / f"data/{i}.wav", noise(samples, i))
        mel = change(mel_for(frames_of(samples), seed=i))
        np.save(tmp_path / f"mels/{i}.npy", mel.T if turned else mel)
    return str(tmp_path / "mels")


@pytest.mark.parametrize(
    ("frames_of", "turned", "message"),
    [
        (lambda n: n // 256, True, r"the mels lie the other way round: \[frames, bands\], e\.g\. \[39, 80\]; .*mel\.T"),
        (lambda n: n // 256 - 3, False, r"every mel is 3 frames shorter than its recording, .*center=True"),
        (
            lambda n: n // 512,
            False,
            r"a frame for each 51\d samples, and data\.hop_length is 256; set --data\.hop_length 51",
        ),
    ],
)
def test_a_fault_that_all_mels_share_is_said_once(tmp_path, opened, frames_of, turned, message):
    mels = folder_of(tmp_path, frames_of, turned=turned)
    with pytest.raises(DataError, match=message):
        opened(mels=mels)


def test_mels_of_one_length_that_lie_the_other_way_round_are_told_by_the_recording(tmp_path, opened):
    mels = folder_of(tmp_path, lambda n: n // 256, lengths=(10_000,), turned=True)
    with pytest.raises(DataError, match="lie the other way round"):
        opened(mels=mels)


def test_the_bands_of_most_mels_count_whichever_comes_first(tmp_path, opened):
    mels = folder_of(tmp_path, lambda n: n // 256, lengths=(10_000,) * 5)
    np.save(tmp_path / "mels/0.npy", mel_for(39, 100))
    assert opened(mels=mels)[0].info["n_mels"] == 80


def test_normalised_mels_are_told_and_undone(tmp_path, opened):
    mels = folder_of(tmp_path, lambda n: n // 256, change=lambda mel: (mel + 5) / 2)
    assert "--data.mels_normalised MEAN DEVIATION" in dict(opened(mels=mels)[0].describe())["mels look normalised"]
    plain, _ = opened(mels=mels)
    source, _ = opened(mels=mels, mels_normalised=(-5.0, 2.0))
    assert "mels look normalised" not in dict(source.describe())
    np.testing.assert_allclose(source.decode(1)["mel"], mel_for(20_000 // 256, seed=1).T, atol=1e-5)
    assert source.fingerprint() != plain.fingerprint()


@pytest.mark.parametrize("value", [(1.0,), (0.0, 0.0), (float("nan"), 1.0), (0.0, 1.0, 2.0)])
def test_a_normalisation_is_a_mean_and_a_deviation(value):
    with pytest.raises(ConfigError, match=r"data\.mels_normalised = .* is not a mean and a deviation above 0"):
        AudioSettings(mels_normalised=value)


def test_integer_mels_are_refused_once(tmp_path, opened):
    mels = folder_of(tmp_path, lambda n: n // 256, change=lambda mel: mel.astype(np.int16))
    with pytest.raises(DataError, match=r"no recording has a mel .*int16 numbers; log-mels are floats"):
        opened(mels=mels)
