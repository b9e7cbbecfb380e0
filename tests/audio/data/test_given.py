"""What a user hands in: files in pieces, mels, arrays; and pieces put together again."""

from __future__ import annotations

import re

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from polygan import ConfigError, DataError, Samples
from polygan_audio.data import files
from polygan_audio.data.domain import AudioDomain

DOMAIN = AudioDomain()
INFO = {"sample_rate": 16_000, "segment": 2048}


def piece(samples, *names):
    return Samples([torch.full((n,), float(n)) for n in samples], names=names, extra={"sample_rate": 16_000})


@pytest.mark.parametrize(("rate", "frames"), [(16_000, 400_001), (22_050, 700_000), (8000, 5)])
def test_a_file_comes_in_pieces_that_are_the_whole(tmp_path, rate, frames):
    waveform = np.random.default_rng(0).normal(0, 0.1, frames).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", waveform, rate)
    pieces = list(DOMAIN.read(tmp_path / "a.wav", INFO))
    whole, _ = files.read(tmp_path / "a.wav", rate=16_000)
    assert len(pieces) == -(-frames // (10 * rate))
    assert all(len(p) == 1 and p.names == [str(tmp_path / "a.wav")] and p.domain is DOMAIN for p in pieces)
    assert max(len(p.data[0]) for p in pieces) <= 160_000
    joined = DOMAIN.join(pieces)
    assert len(joined) == 1
    assert joined.names == [str(tmp_path / "a.wav")]
    assert joined.extra == {"sample_rate": 16_000}
    np.testing.assert_allclose(joined.data[0], whole, atol=1e-6)


def test_only_one_piece_is_read_at_a_time(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000 * 60, np.float32), 16_000)
    read, calls = files.read, []
    monkeypatch.setattr(files, "read", lambda *args, **more: calls.append(args[1:3]) or read(*args, **more))
    pieces = DOMAIN.read(tmp_path / "a.wav", INFO)
    next(pieces)
    next(pieces)
    assert calls == [(0, 160_000), (160_000, 160_000)]


def test_mels_are_given_beside_no_sound(tmp_path):
    mel = torch.randn(80, 7)
    np.save(tmp_path / "a.npy", mel.numpy())
    save_file({"mel": mel[None]}, tmp_path / "b.safetensors")
    for name in ("a.npy", "b.safetensors"):
        (one,) = DOMAIN.read(tmp_path / name, INFO)
        assert len(one) == 1
        assert not len(one.data[0])
        assert torch.equal(one.extra["mel"][0], mel)


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    (tmp_path / "b.npy").write_text("no mel")
    for name in ("a.wav", "b.npy"):
        with pytest.raises(DataError, match=f"{re.escape(str(tmp_path / name))}.* cannot be read"):
            list(DOMAIN.read(tmp_path / name, INFO))


def test_arrays_are_waveforms():
    one, two = np.linspace(-1, 1, 100), np.zeros((2, 50), np.float32)
    assert [tuple(w.shape) for w in DOMAIN.take(one, INFO).data] == [(100,)]
    assert [tuple(w.shape) for w in DOMAIN.take(torch.from_numpy(two), INFO).data] == [(50,), (50,)]
    assert [len(w) for w in DOMAIN.take([one, torch.zeros(7)], INFO).data] == [100, 7]
    assert len(DOMAIN.take([0.0, 0.5, 1.0], INFO)) == 1
    taken = DOMAIN.take(np.array([-32768, 16384], np.int16), INFO)
    assert taken.data[0].dtype == torch.float32
    assert taken.data[0].tolist() == [-1, 0.5]
    assert taken.extra == {"sample_rate": 16_000}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            np.zeros((2, 3, 4)),
            r"has the shape \[2, 3, 4\]; give floats \(T,\) or \(n, T\) in \[-1, 1\], .* at 16,000 Hz",
        ),
        (np.zeros(0), r"has the shape \[0\]"),
        (np.zeros(4, np.int64), "has the type torch.int64"),
        (np.array([0.0, np.nan]), "not finite"),
        (object(), "is no sound"),
    ],
)
def test_what_is_no_waveform_is_refused(value, message):
    with pytest.raises(ConfigError, match=message):
        DOMAIN.take(value, INFO)


def test_pieces_of_one_name_are_one_sound_and_others_stand_apart():
    joined = DOMAIN.join([piece([3], "a"), piece([4], "a"), piece([2, 2], "b", "c"), piece([5], "c")])
    assert [len(w) for w in joined.data] == [7, 2, 2, 5]
    assert joined.names == ["a", "b", "c", "c"]
    assert [len(w) for w in DOMAIN.join([piece([3]), piece([4])]).data] == [7]


def test_pieces_are_written_as_they_come(tmp_path):
    asked = []

    def pieces():
        for n in range(3):
            asked.append(n)
            yield Samples([torch.full((1000,), 0.1 * n)], names=["a"], extra={"sample_rate": 16_000})

    DOMAIN.write_file(pieces(), tmp_path / "a.flac")
    found, rate = files.read(tmp_path / "a.flac")
    assert rate == 16_000
    assert asked == [0, 1, 2]
    np.testing.assert_allclose(found[::1000], [0, 0.1, 0.2], atol=1e-4)
    apart = [Samples([torch.zeros(100), torch.zeros(100)], names=["a", "b"], extra={"sample_rate": 16_000})]
    DOMAIN.write_file(apart, tmp_path / "b.wav")
    assert files.header(tmp_path / "b.wav").frames == 100 + 4800 + 100
    with pytest.raises(DataError, match="no sound was made"):
        DOMAIN.write_file([], tmp_path / "c.wav")
