"""Sources of recordings: rates, channels, pieces, silence, and what is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
from recordings import DOMAIN, lengths, ljspeech, mel_for, noise, save, stored

from polygan import DataError
from polygan.data import build_store
from polygan_audio.data import files, sources
from polygan_audio.data.settings import AudioSettings


def test_opening_reads_headers_only(tmp_path, opened, monkeypatch):
    for i in range(5):
        save(tmp_path / f"data/{i}.wav", noise(9000))
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded while opening"))
    assert len(opened(normalize="peak", trim=40.0)[0]) == 5


def test_bad_files_are_named_counted_and_left_out(tmp_path, opened):
    for i in range(6):
        save(tmp_path / f"data/good{i}.wav", noise(9000, i))
    (tmp_path / "data/text.wav").write_text("It was a dark and stormy night.")
    save(tmp_path / "data/many.wav", np.ones((100, 1024), np.float32))
    save(tmp_path / "data/zero.wav", np.zeros(0))
    save(tmp_path / "data/silent.wav", np.zeros(9000))
    save(tmp_path / "data/faint.wav", noise(9000, scale=1e-5), subtype="FLOAT")
    broken = noise(9000)
    broken[100] = np.nan
    save(tmp_path / "data/nan.wav", broken, subtype="FLOAT")
    store = stored(opened(max_bad=0.5))
    assert len(store) == 6
    reasons = {Path(line.split(": ")[0]).stem: line.split(": ", 1)[1] for line in store.bad}
    assert reasons.keys() == {"text", "many", "zero", "silent", "faint", "nan"}
    assert "cannot be read as sound" in reasons["text"]
    assert "1,024 channels" in reasons["many"]
    assert "0 samples" in reasons["zero"]
    assert "not finite" in reasons["nan"]
    for name in ("silent", "faint"):
        assert "silence only (peak below -80 dB of full scale)" in reasons[name]
    with pytest.raises(DataError, match=r"6 of 12 samples .* more than data\.max_bad = 0\.1 allows"):
        stored(opened())


def test_a_folder_of_nothing_readable_is_refused(tmp_path, opened):
    (tmp_path / "data").mkdir()
    for name in "ab":
        (tmp_path / f"data/{name}.wav").write_text("text")
    with pytest.raises(
        DataError, match=r"none of the 2 recordings of .* can be read \(.*a\.wav: cannot be read as sound"
    ):
        opened()


def test_mixed_sample_rates_name_two_files_and_the_remedy(tmp_path, opened):
    for name, rate in (("a", 16_000), ("b", 22_050), ("c", 22_050)):
        save(tmp_path / f"data/{name}.wav", noise(rate), rate)
    with pytest.raises(
        DataError,
        match=r"differ in sample rate: 22,050 Hz \(2 files\), 16,000 Hz \(1 file\) \(\S*b\.wav has 22050 Hz, \S*a\.wav has 16000 Hz\); .*--data\.sample_rate 22050",
    ):
        opened()
    source, _ = opened(sample_rate=16_000)
    assert lengths(source) == [16_000] * 3
    assert source.info["resampled"] == 2
    assert source.info["sample_rate"] == 16_000


def test_channels_are_mixed_down_and_counted(tmp_path, opened):
    left, right = noise(9000), noise(9000, 1)
    save(tmp_path / "data/a.wav", np.stack([left, right], 1), subtype="FLOAT")
    source, _ = opened()
    assert source.info["mixed_down"] == 1
    np.testing.assert_allclose(source.decode(0)["waveform"] / 32768, (left + right) / 2, atol=0.51 / 32768)


@pytest.mark.parametrize("short", ["pad", "drop"])
def test_clips_shorter_than_a_segment_are_kept_or_left_out_and_counted(tmp_path, opened, short):
    for i, frames in enumerate((8191, 8192, 100, 20_000)):
        save(tmp_path / f"data/{i}.wav", noise(frames))
    source, _ = opened(short=short)
    assert source.info["short"] == f"2 {'dropped' if short == 'drop' else 'padded'}"
    assert lengths(source) == ([8192, 20_000] if short == "drop" else [8191, 8192, 100, 20_000])


def test_a_clip_s_length_is_that_at_the_new_rate(tmp_path, opened):
    save(tmp_path / "data/a.wav", noise(6000), 8000)
    save(tmp_path / "data/b.wav", noise(4000), 8000)
    source, _ = opened(short="drop", sample_rate=16_000)
    assert lengths(source) == [12_000]


def test_nothing_but_short_clips_is_refused_with_the_arithmetic(tmp_path, opened):
    save(tmp_path / "data/a.wav", noise(800))
    with pytest.raises(
        DataError, match=r"shorter than a segment of 8192 samples \(0\.512 s at 16,000 Hz\); lower --data\.segment"
    ):
        opened(short="drop")


@pytest.mark.parametrize(("own", "rate"), [(16_000, 0), (44_100, 16_000)])
def test_a_long_recording_is_cut_and_its_pieces_are_the_whole(tmp_path, opened, own, rate):
    samples = noise(int(7.3 * own))
    save(tmp_path / "data/a.wav", samples, own, "FLOAT")
    save(tmp_path / "data/b.wav", samples[: own // 2 * 3], own, "FLOAT")
    source, _ = opened(piece_seconds=2.0, sample_rate=rate)
    whole = files.to_int16(files.read(tmp_path / "data/a.wav", rate=rate)[0])[0]
    pieces = [source.decode(i)["waveform"] for i in range(len(source))]
    assert len(pieces) == 5
    assert max(map(len, pieces)) <= 2 * source.info["sample_rate"]
    assert min(map(len, pieces[:4])) > 1.8 * source.info["sample_rate"]
    assert np.abs(np.concatenate(pieces[:4]).astype(int) - whole).max() <= 1  # of 32768; rounding
    assert source.name(1).endswith("a.wav from 1.8 to 3.6 s")
    assert source.name(4).endswith("b.wav")


def test_peaks_are_those_of_the_file_not_of_its_pieces(tmp_path, opened):
    samples = noise(64_000, scale=0.01)
    samples[1000] = -0.5
    save(tmp_path / "data/a.wav", samples, subtype="FLOAT")
    source, _ = opened(normalize="peak", piece_seconds=2.0)
    found = np.concatenate([source.decode(i)["waveform"] for i in range(len(source))]) / 32768
    assert len(source) == 2
    np.testing.assert_allclose(found, samples * 1.9, atol=0.51 / 32768)


def test_silence_at_both_ends_is_trimmed_below_the_file_s_peak(tmp_path, opened):
    samples = noise(48_000, scale=1e-4)
    samples[16_000:32_000] += 0.5 * np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    save(tmp_path / "data/a.wav", samples, subtype="FLOAT")
    got = opened(trim=40.0)[0].decode(0)["waveform"] / 32768
    assert 16_000 <= len(got) <= 16_320  # steps of 10 ms
    np.testing.assert_allclose(got[:16_000], samples[16_000:32_000], atol=1e-3)
    assert len(opened(trim=100.0)[0].decode(0)["waveform"]) == 48_000
    # The same at another rate, cut in pieces of which one is silence.
    save(tmp_path / "data/a.wav", samples, subtype="FLOAT")
    source, _ = opened(trim=40.0, sample_rate=8000, piece_seconds=1.0)
    assert lengths_or_reason(source) == ["silence", 8000, "silence"]


def lengths_or_reason(source):
    found = []
    for i in range(len(source)):
        try:
            found.append(len(source.decode(i)["waveform"]))
        except DataError as error:
            found.append("silence" if "silence only" in str(error) else str(error))
    return found


def test_what_trimming_leaves_may_be_too_short(tmp_path, opened):
    samples = np.zeros(20_000, np.float32)
    samples[8000:9600] = noise(1600)
    save(tmp_path / "data/a.wav", samples)
    source, _ = opened(trim=40.0, short="drop")
    with pytest.raises(DataError, match=r"0\.100 s are left, less than a segment of 8192 samples"):
        source.decode(0)


@pytest.mark.parametrize(
    "change", ["touch", "add", "segment", "rate", "piece", "trim", "peak", "drop", "channels", "nothing"]
)
def test_the_fingerprint_changes_with_what_is_decoded(tmp_path, opened, change):
    for name in "ab":
        save(tmp_path / f"data/{name}.wav", noise(10_000))
    before = opened()[0].fingerprint()
    settings = {
        "segment": {"segment": 4096},
        "rate": {"sample_rate": 8000},
        "piece": {"piece_seconds": 10.0},
        "trim": {"trim": 30.0},
        "peak": {"normalize": "peak"},
        "drop": {"short": "drop"},
        "channels": {"max_channels": 2},
    }
    if change == "touch":
        os.utime(tmp_path / "data/a.wav", (1, 1))
    if change == "add":
        save(tmp_path / "data/c.wav", noise(10_000))
    assert (opened(**settings.get(change, {}))[0].fingerprint() == before) == (change == "nothing")


def test_a_changed_transcript_or_mel_is_another_source(tmp_path, opened):
    ljspeech(tmp_path / "data", ["a|one"], ["a.wav"], frames=10_000)
    before = opened()[0].fingerprint()
    (tmp_path / "data/metadata.csv").write_text("a|two\n")
    assert opened()[0].fingerprint() != before
    (tmp_path / "mels").mkdir()
    np.save(tmp_path / "mels/a.npy", mel_for(39))
    before = opened(mels=str(tmp_path / "mels"))[0].fingerprint()
    os.utime(tmp_path / "mels/a.npy", (1, 1))
    assert opened(mels=str(tmp_path / "mels"))[0].fingerprint() != before


def test_threads_measure_a_file_once(tmp_path, opened, monkeypatch):
    save(tmp_path / "data/a.wav", noise(160_000))
    calls = []
    real = sources.envelope
    monkeypatch.setattr(sources, "envelope", lambda *a: calls.append(a) or real(*a))
    source, settings = opened(normalize="peak", piece_seconds=1.0)
    assert len(build_store(source, settings, progress=False, workers=4)) == 10
    assert len(calls) == 1


@pytest.mark.slow
def test_real_speech(shared_data):
    folder = shared_data("speech-en")
    source = DOMAIN.open(AudioSettings(source=str(folder)))
    assert source.info["files"] == 542
    assert 542 <= len(source) <= 550  # few are longer than piece_seconds
    assert max(p.frames for p in source.pieces) <= 30 * 16_000
    assert source.info["sample_rate"] == 16_000
    assert source.info["seconds"] == pytest.approx(24.1 * 60, rel=0.01)
    assert source.info["without_text"] == 0
    sample = source.decode(1)
    assert sample["text"].tobytes().decode() == "Added."
    np.testing.assert_array_equal(sample["waveform"], soundfile.read(folder / "wavs/added.flac", dtype="int16")[0])


def test_headers_are_read_once_and_the_facts_are_said(tmp_path, opened, monkeypatch):
    save(tmp_path / "data/a.wav", noise(16_000), 16_000)
    save(tmp_path / "data/b.flac", np.stack([noise(44_100), noise(44_100, 1)], 1), 22_050)
    (tmp_path / "data/bad.wav").write_text("no sound")
    source, _ = opened(sample_rate=16_000)
    facts = dict(source.describe())
    assert facts["files"] == "1 .wav, 1 .flac"
    assert facts["length"] == "3.0 s in all; 1.00 to 2.00 s, median 1.50 s"
    assert facts["sample rate"] == "16,000 Hz, from 16,000 Hz (1 file), 22,050 Hz (1 file)"
    assert facts["channels"] == "mixed down to 1, from 1 (1 file), 2 (1 file)"
    assert "bad.wav: cannot be read as sound" in facts["unreadable"]
    monkeypatch.setattr(files, "header", lambda *_: pytest.fail("read again"))
    again, _ = opened(sample_rate=16_000)
    assert again.describe() == source.describe()
    assert again.fingerprint() == source.fingerprint()
