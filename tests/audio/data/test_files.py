"""Reading, resampling and writing sound files, and files that mean harm."""

from __future__ import annotations

import io
import struct
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.transforms import Resample

from polygan import DataError, Room
from polygan_audio.data import files

KAISER_BEST = {
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}


def noise(frames, seed=0, scale=0.1):
    return np.random.default_rng(seed).normal(0, scale, frames).clip(-1, 1).astype(np.float32)


def saved(folder, name, samples, rate=16_000, subtype=None):
    soundfile.write(folder / name, samples, rate, subtype)
    return folder / name


def test_a_wav_that_claims_4_gb_is_read_as_far_as_it_goes(tmp_path):
    path = saved(tmp_path, "a.wav", noise(5000), subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(data)
    assert files.header(path).frames == 5000
    waveform, rate = files.read(path)
    assert rate == 16_000
    assert np.abs(waveform - noise(5000)).max() < 1.01 / 32768


def bomb(folder):
    """88 kB that become 140 MB of 24-bit samples."""
    path = folder / "bomb.flac"
    with soundfile.SoundFile(path, "w", 44_100, 8, "PCM_24") as file:
        for _ in range(10):
            file.write(np.zeros((441_000, 8), np.int32))
    return path


def not_finite(value):
    def make(folder):
        samples = noise(8000)
        samples[4000:4002] = value
        return saved(folder, "a.wav", samples, subtype="FLOAT")

    return make


def text(folder):
    (folder / "a.wav").write_text("It was a dark and stormy night. " * 30)
    return folder / "a.wav"


def empty(folder):
    (folder / "a.wav").touch()
    return folder / "a.wav"


def part_of(suffix, share, seconds=10):
    def make(folder):
        path = saved(folder, f"a{suffix}", noise(16_000 * seconds))
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return make


HOSTILE = {
    "bomb": (bomb, r"claims 100 s in [\d,]+ bytes, more than 1,000-fold compression"),
    "channels": (
        lambda folder: saved(folder, "a.wav", np.ones((100, 1024), np.float32)),
        r"has 1,024 channels, more than data.max_channels = 32",
    ),
    "no frames": (lambda folder: saved(folder, "a.wav", np.zeros(0)), r"holds no sound \(0 samples\)"),
    "nan": (not_finite(np.nan), r"not finite \(NaN or infinite\), the first at 0\.250 s"),
    "inf": (not_finite(-np.inf), r"not finite \(NaN or infinite\), the first at 0\.250 s"),
    "integers as floats": (
        lambda folder: saved(folder, "a.wav", np.full(100, 12_000.0), subtype="FLOAT"),
        r"samples reach 12,000, full scale is 1; .* divide by 32768",
    ),
    "text": (text, r"cannot be read as sound \(Format not recognised\); convert it"),
    "empty": (empty, r"the file is empty; remove it"),
    "folder": (lambda folder: folder, r"is no file"),
    "missing": (lambda folder: folder / "a.wav", r"does not exist"),
    "cut flac": (part_of(".flac", 0.5), r"cannot be read as sound|ends after .* truncated"),
    "cut mp3": (part_of(".mp3", 0.5), r"ends after \d\.\d\d s where its header says 10\.00 s; it is truncated"),
    "cut wav": (
        part_of(".wav", 0.5),
        r"ends after 5\.00 s where its header says 10\.00 s; it is truncated, fetch it again",
    ),
    "cut aiff": (part_of(".aiff", 0.5), r"ends after 5\.00 s where its header says 10\.00 s; it is truncated"),
    "ogg header": (part_of(".ogg", 0.001), r"cannot be read as sound"),
    "flac header": (part_of(".flac", 0.0005), r"claims 10 s in \d+ bytes, more than 1,000-fold compression"),
    "rate": (
        lambda folder: saved(folder, "a.wav", noise(100), rate=10),
        r"claims 10 Hz; sound has 1,000 to 768,000 Hz",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_in_one_line_and_little_memory(tmp_path, case):
    make, message = HOSTILE[case]
    path = make(tmp_path)
    tracemalloc.start()
    with pytest.raises(DataError, match=message) as caught:
        files.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert peak < 8e6


def test_a_cut_ogg_gives_what_is_there(tmp_path):
    waveform, _ = files.read(part_of(".ogg", 0.5)(tmp_path))
    assert 50_000 < len(waveform) < 81_000
    assert waveform.std() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_channels_are_averaged_and_rates_kept(tmp_path, suffix):
    left, right = noise(3000), noise(3000, 1)
    path = saved(tmp_path, f"a{suffix}", np.stack([left, right], 1), 22_050)
    waveform, rate = files.read(path)
    assert rate == 22_050
    assert waveform.dtype == np.float32
    np.testing.assert_allclose(waveform, (left + right) / 2, atol=2 / 65536)
    part, _ = files.read(path, 1000, 500)
    np.testing.assert_array_equal(part, waveform[1000:1500])
    assert files.header(path) == files.Header(22_050, 3000, 2)


@pytest.mark.parametrize(
    ("suffix", "subtype", "rate"),
    [
        (".ogg", "VORBIS", 44_100),
        (".ogg", "VORBIS", 8000),
        (".ogg", "OPUS", 48_000),
        (".mp3", None, 16_000),
        (".flac", None, 16_000),
    ],
)
def test_any_part_of_a_file_is_that_part(tmp_path, suffix, subtype, rate):
    path = tmp_path / f"a{suffix}"
    with soundfile.SoundFile(path, "w", rate, 1, subtype) as file:
        for second in range(30):
            file.write(noise(rate, second))
    whole, _ = files.read(path)
    for start in (1, 441, 9 * rate, 19 * rate + 77, len(whole) - rate, len(whole) - 5000):
        part, _ = files.read(path, start, 4000)
        np.testing.assert_allclose(part, whole[start : start + 4000], atol=1e-6)


def test_channels_may_be_allowed(tmp_path):
    path = saved(tmp_path, "a.wav", np.full((2000, 64), 0.25, np.float32))
    np.testing.assert_allclose(files.read(path, max_channels=64)[0], 0.25, atol=1e-4)


@pytest.mark.parametrize(("own", "rate"), [(44_100, 16_000), (22_050, 16_000), (16_000, 24_000), (48_000, 22_050)])
def test_pieces_resampled_are_the_whole_file_resampled(tmp_path, own, rate):
    samples = noise(3 * own + 123)
    path = saved(tmp_path, "a.wav", samples, own, "FLOAT")
    whole = Resample(own, rate, **KAISER_BEST)(torch.from_numpy(samples)).numpy()
    unit = files.grid(own, rate)
    edges = [0, 7 * unit, len(samples) // unit // 2 * unit, len(samples)]
    pieces = [files.read(path, a, b - a, rate)[0] for a, b in pairwise(edges)]
    assert [len(p) for p in pieces[:2]] == [(b - a) * rate // own for a, b in pairwise(edges[:3])]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=2e-6)
    np.testing.assert_allclose(files.read(path, rate=rate)[0], whole, atol=2e-6)
    with pytest.raises(ValueError, match=f"start = 1 is not a multiple of {unit}"):
        files.read(path, 1, 1000, rate)


def test_a_tone_survives_resampling_and_what_is_over_half_the_rate_goes(tmp_path):
    time = np.arange(44_100) / 44_100
    path = saved(tmp_path, "a.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 44_100, "FLOAT")
    waveform, _ = files.read(path, rate=16_000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(waveform[200:-200], expected[200:-200], atol=1e-4)
    saved(tmp_path, "a.wav", 0.5 * np.sin(2 * np.pi * 9000 * time), 44_100, "FLOAT")
    assert np.abs(files.read(path, rate=16_000)[0][200:-200]).max() < 1e-4


def test_rates_without_a_common_divisor_are_refused(tmp_path):
    path = saved(tmp_path, "a.wav", noise(44_101), 44_101)
    with pytest.raises(
        DataError, match="44,101 Hz cannot be resampled to 16,000 Hz, their common divisor 1 is too small"
    ):
        files.read(path, rate=16_000)


@pytest.mark.parametrize("frames", [1000, 700_000, 10_000_000])
def test_blocks_are_the_file(tmp_path, frames):
    path = saved(tmp_path, "a.flac", np.stack([noise(1_300_500), noise(1_300_500, 1)], 1))
    found = list(files.blocks(path, frames))
    assert {len(b) for b in found[:-1]} <= {frames}
    assert 0 < len(found[-1]) <= frames
    np.testing.assert_array_equal(np.concatenate(found), files.read(path)[0])


def test_blocks_of_a_long_file_take_the_memory_of_a_few(tmp_path):
    path = tmp_path / "a.wav"
    files.write_blocks(path, (noise(160_000, seed=i) for i in range(60)), 16_000)  # 10 minutes, 38 MB as floats
    tracemalloc.start()
    total = sum(float(b[0] != 9) * len(b) for b in files.blocks(path, 4096))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 9_600_000
    assert peak < 10e6


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_what_is_written_comes_back_to_the_bit(tmp_path, suffix):
    integers = np.random.default_rng(0).integers(-32768, 32768, 4000).astype(np.int16)
    assert files.write(tmp_path / f"a{suffix}", torch.from_numpy(integers / np.float32(32768)), 24_000) == 0
    waveform, rate = files.read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(files.to_int16(waveform)[0], integers)
    assert rate == 24_000
    assert soundfile.info(tmp_path / f"a{suffix}").subtype == "PCM_16"


def test_a_long_ogg_is_written(tmp_path):
    time = np.arange(100 * 16_000) / 16_000
    waveform = (0.5 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    files.write(tmp_path / "a.ogg", waveform, 16_000)
    back, _ = files.read(tmp_path / "a.ogg")
    assert len(back) == len(waveform)
    assert np.abs(back - waveform)[1000:-1000].max() < 0.05


def test_samples_beyond_full_scale_are_clipped_and_counted(tmp_path):
    assert files.write(tmp_path / "a.wav", np.array([0.0, 1.5, -1.0, -1.2, 0.5, 1.0], np.float32), 8000) == 3
    np.testing.assert_array_equal(
        soundfile.read(tmp_path / "a.wav", dtype="int16")[0], [0, 32767, -32768, -32768, 16384, 32767]
    )


def test_a_wav_in_memory(tmp_path):
    waveform = noise(2000)
    found, rate = soundfile.read(io.BytesIO(files.wav_bytes(waveform, 22_050)), dtype="int16")
    np.testing.assert_array_equal(found, files.to_int16(waveform)[0])
    assert rate == 22_050


@pytest.mark.parametrize(
    ("name", "value", "rate", "message"),
    [
        ("a.mp4", 0.0, 16_000, r"a\.mp4: sound is written as \.wav, \.flac, \.ogg"),
        ("a.wav", np.nan, 16_000, r"a\.wav: holds samples that are not finite"),
        ("none/a.wav", 0.0, 16_000, r"a\.wav: cannot be written at 16,000 Hz"),
        ("a.flac", 0.0, 700_000, r"a\.flac: cannot be written at 700,000 Hz"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path, name, value, rate, message):
    with pytest.raises(DataError, match=message):
        files.write(tmp_path / name, np.full(100, value, np.float32), rate)


def test_resampling_holds_a_bounded_number_of_samples(tmp_path, monkeypatch):
    """torch's convolution takes many times the memory of its input, and every thread may resample."""
    soundfile.write(tmp_path / "a.wav", noise(44_100), 44_100)
    held, filled = [], files._filled
    monkeypatch.setattr(files, "_room", room := Room(1000))
    monkeypatch.setattr(files, "_filled", lambda *args: held.append(room._held) or filled(*args))
    assert len(files.read(tmp_path / "a.wav", rate=22_050)[0]) == 22_050
    files.read(tmp_path / "a.wav")
    assert (held, room._held) == ([44_100, 0], 0)
