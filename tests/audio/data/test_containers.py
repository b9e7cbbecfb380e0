"""What headers of sound files promise, of whole files, of cut ones and of streams."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile

from polygan import DataError
from polygan_audio.data import files
from polygan_audio.data.containers import promise_of

KINDS = {
    "WAV": ("wav", "PCM_16"),
    "WAVEX": ("wav", "PCM_24"),
    "RF64": ("rf64", "PCM_16"),
    "W64": ("w64", "PCM_16"),
    "AIFF": ("aiff", "PCM_16"),
    "AU": ("au", "PCM_16"),
}
FRAMES = 16_000


def made(folder, kind, channels=1):
    suffix, subtype = KINDS[kind]
    path = folder / f"a.{suffix}"
    sound = np.random.default_rng(0).normal(0, 0.1, (FRAMES, channels))
    soundfile.write(path, sound, 16_000, subtype, format=kind)
    return path, FRAMES * channels * (3 if subtype == "PCM_24" else 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_whole_file_keeps_its_promise(tmp_path, kind, channels):
    path, size = made(tmp_path, kind, channels)
    found = promise_of(path)
    assert found is not None
    assert found.said == size
    assert found.there >= size
    assert files.header(path).frames == FRAMES


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_is_refused_and_says_how_much_is_missing(tmp_path, kind):
    path, size = made(tmp_path, kind)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - size // 2])
    with pytest.raises(
        DataError, match=r"ends after 0\.50 s where its header says 1\.00 s; it is truncated, fetch it again"
    ):
        files.header(path)
    path.write_bytes(data[:-1000])  # 31 ms
    assert FRAMES - 600 < files.header(path).frames < FRAMES


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFFF0, 0x7FFFF000, 0x7FFFFFFF, 0])
def test_a_stream_of_unknown_length_promises_nothing(tmp_path, size):
    path, _ = made(tmp_path, "WAV")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", size)
    path.write_bytes(data)
    assert promise_of(path) is None


def test_chunks_before_the_sound_are_passed_over(tmp_path):
    path, size = made(tmp_path, "WAV")
    data = path.read_bytes()
    path.write_bytes(data[:36] + struct.pack("<4sI", b"LIST", 7) + bytes(8) + data[36:])
    found = promise_of(path)
    assert found is not None
    assert (found.said, found.there) == (size, size)


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\x7f", b"fLaC" + bytes(40), bytes(100)],
)
def test_what_has_no_length_promises_nothing(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    assert promise_of(tmp_path / "a.wav") is None
