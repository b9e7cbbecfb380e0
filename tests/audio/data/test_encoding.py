"""Samples of 16 and 24 bits and floats: in files and streams, to the last bit."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
import soundfile
import torch

from polygan import ConfigError, DataError, Samples
from polygan_audio.data import encoding, files
from polygan_audio.data.domain import AudioDomain

DOMAIN = AudioDomain()
SOUND = torch.tensor([0.0, 0.5, -1.0, 1 / 3, 2**-20, 1.5, -0.7])
STEP = {"pcm16": 2**-15, "pcm24": 2**-23, "float": 0}


def samples(encoding="pcm16", *sounds, names=()):
    return Samples([*(sounds or [SOUND])], DOMAIN, names=names, extra={"sample_rate": 8000, "encoding": encoding})


def expected(kind):
    return SOUND if kind == "float" else SOUND.clamp(-1, 1 - STEP[kind])


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("kind", STEP)
def test_files_keep_as_many_bits_as_asked_for(tmp_path, kind, suffix):
    path = tmp_path / f"a{suffix}"
    if (kind, suffix) == ("float", ".flac"):
        with pytest.raises(ConfigError, match=r"\.flac files have pcm16 or pcm24 samples; write \.wav with --format"):
            DOMAIN.write(samples(kind), path)
        return
    DOMAIN.write(samples(kind), path)
    DOMAIN.write_file(iter([samples(kind)]), tmp_path / f"b{suffix}")
    assert soundfile.info(path).subtype == encoding.SUBTYPES[kind]
    assert path.read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    read, _ = soundfile.read(path, dtype="float64")
    np.testing.assert_allclose(read, expected(kind), atol=STEP[kind] / 2 + 1e-9, rtol=0)
    assert files.write(path, SOUND, 8000, kind) == (kind != "float")  # one sample is beyond full scale


def test_pieces_of_one_sound_keep_their_encoding(tmp_path):
    whole = DOMAIN.join([samples("pcm24", names=["x"]), samples("pcm24", names=["x"])])
    assert len(whole.data[0]) == 2 * len(SOUND)
    (path,) = DOMAIN.write(whole, tmp_path / "a.wav")
    assert soundfile.info(path).subtype == "PCM_24"


@pytest.mark.parametrize("kind", STEP)
def test_a_stream_is_a_wav_without_a_length_or_bare_samples(kind):
    raw, wav = io.BytesIO(), io.BytesIO()
    DOMAIN.pour([samples(kind, SOUND[:3], names=["x"]), samples(kind, SOUND[3:], names=["x"])], wav, "")
    DOMAIN.pour([samples(kind)], raw, "raw")
    header, data = wav.getvalue()[:44], wav.getvalue()[44:]
    assert data == raw.getvalue()
    assert header[4:8] == header[40:44] == b"\xff" * 4
    bits = {"pcm16": ("<i2", 2), "pcm24": ("", 3), "float": ("<f4", 4)}[kind]
    assert len(data) == len(SOUND) * bits[1]
    sized = bytearray(wav.getvalue())  # with its lengths it is what libsndfile writes
    sized[4:8], sized[40:44] = (n.to_bytes(4, "little") for n in (len(sized) - 8, len(data)))
    read, rate = soundfile.read(io.BytesIO(bytes(sized)), dtype="float64")
    assert rate == 8000
    np.testing.assert_allclose(read, expected(kind), atol=STEP[kind] / 2 + 1e-9, rtol=0)
    if kind == "pcm16":
        with wave.open(io.BytesIO(bytes(sized))) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)


def test_a_stream_comes_piece_by_piece_and_refuses_other_formats_first():
    written = io.BytesIO()

    def pieces():
        yield samples("pcm16", torch.zeros(5), names=["x"])
        assert len(written.getvalue()) == 44 + 10
        yield samples("pcm16", torch.zeros(5), names=["x"])

    DOMAIN.pour(pieces(), written, "wav")
    assert len(written.getvalue()) == 44 + 20
    with pytest.raises(ConfigError, match=r"format = 'flac': sound is streamed as wav or raw"):
        DOMAIN.pour((pytest.fail("sound was made") for _ in [0]), written, "flac")
    with pytest.raises(DataError, match="no sound was made"):
        DOMAIN.pour([], written, "")
    with pytest.raises(DataError, match="not finite"):
        DOMAIN.pour([samples("float", torch.tensor([torch.nan]))], written, "raw")
