"""Folders of recordings, the LJSpeech layout and given mels: what is read, what is refused and how it is said."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors import torch as tensors
from safetensors.numpy import save_file

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan_audio.data import files, sources
from polygan_audio.data.domain import AudioDomain
from polygan_audio.data.mels import read_mel
from polygan_audio.data.settings import AudioSettings, TonesSettings

DOMAIN = AudioDomain()


def noise(frames, seed=0, scale=0.1):
    return np.random.default_rng(seed).normal(0, scale, frames).clip(-1, 1).astype(np.float32)


def save(path, samples, rate=16_000, subtype=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype)
    return path


@pytest.fixture
def opened(tmp_path):
    def make(folder="data", **settings):
        options = AudioSettings(source=str(tmp_path / folder), cache=str(tmp_path / "cache"), **settings)
        return DOMAIN.open(options), options

    return make


def stored(opened):
    source, settings = opened
    return build_store(source, settings, progress=False)


def lengths(source):
    return [len(source.decode(i)["waveform"]) for i in range(len(source))]


def test_a_folder_is_read_recursively_and_hidden_files_are_passed_over(tmp_path, opened):
    for name in ("b.wav", "a/c.flac", "a/d.ogg", "e.mp3", ".hidden.wav", ".folder/f.wav", "F.WAV"):
        save(tmp_path / "data" / name, noise(9000))
    (tmp_path / "data/notes.txt").write_text("no sound")
    source, _ = opened()
    names = [Path(source.name(i)).relative_to(tmp_path / "data").as_posix() for i in range(len(source))]
    assert names == ["F.WAV", "a/c.flac", "a/d.ogg", "b.wav", "e.mp3"]
    assert source.info["files"] == 5
    assert source.info["seconds"] == pytest.approx(5 * 9000 / 16_000, abs=0.2)
    expected = noise(9000)
    for index in (0, 1, 3):
        got = source.decode(index)["waveform"]
        assert got.dtype == np.int16
        np.testing.assert_allclose(got / 32768, expected, atol=1.01 / 32768)


def test_opening_reads_headers_only(tmp_path, opened, monkeypatch):
    for i in range(5):
        save(tmp_path / f"data/{i}.wav", noise(9000))
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded while opening"))
    assert len(opened(normalize="peak", trim=40.0)[0]) == 5


def test_one_file_is_a_source(tmp_path, opened):
    save(tmp_path / "data/a.flac", noise(20_000))
    assert lengths(opened("data/a.flac")[0]) == [20_000]


def test_an_empty_folder_says_what_is_looked_for(tmp_path, opened):
    (tmp_path / "data").mkdir()
    with pytest.raises(DataError, match=r"no sound in .*data: no files; looked for \.wav"):
        opened()
    (tmp_path / "data/a.txt").touch()
    with pytest.raises(DataError, match=r"only \.txt files"):
        opened()


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
        match=r"differ in sample rate \(\S*b\.wav has 22050 Hz, \S*a\.wav has 16000 Hz\); .*--data\.sample_rate 22050",
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


def ljspeech(root, lines, names, frames=9000):
    for i, name in enumerate(names):
        save(root / "wavs" / name, noise(frames, i))
    (root / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_ljspeech_layout_brings_transcripts(tmp_path, opened):
    lines = [
        "a|Dr. No, 1962|Doctor No, nineteen sixty-two",
        "b|Grüße – 春眠|",
        "sub/c|third",
        "",
        "d.flac|with its suffix",
    ]
    ljspeech(tmp_path / "data", lines, ["a.wav", "b.wav", "sub/c.wav", "d.flac"])
    store = stored(opened(held_out=0.0))
    samples = DOMAIN.real(split_store(store, 0.0)["train"], np.arange(4))
    assert samples.extra["text"] == ["Doctor No, nineteen sixty-two", "Grüße – 春眠", "third", "with its suffix"]
    assert store.info["without_text"] == 0
    assert len(stored(opened("data/metadata.csv", held_out=0.0))) == 4


def test_lines_without_a_file_and_files_without_a_line_are_named(tmp_path, opened, capsys):
    lines = [
        "a|first",
        "missing|second",
        "no bars at all",
        "a|first again",
        "../secret|out of the folder",
        "b|last \u2028 line",
    ]
    ljspeech(tmp_path / "data", lines, ["a.wav", "b.wav", "a.flac"])
    save(tmp_path / "data/secret.wav", noise(9000))
    store = stored(opened(max_bad=0.9))
    said = capsys.readouterr().err.splitlines()[0]
    assert "1 of 3 files have no line in" in said
    assert said.endswith("and no transcript (a.flac)")
    assert store.info["without_text"] == 1
    assert len(store) == 3
    reasons = " ".join(store.bad)
    assert len(store.bad) == 4
    for message in (
        "metadata.csv line 2 has no file",
        "metadata.csv line 3 is not id|text",
        "metadata.csv line 4 repeats the id of line 1",
        "metadata.csv line 5 has no file",
    ):
        assert message in reasons
    texts = {store.item("text", i).tobytes().decode() for i in range(3)}
    assert texts == {"first", "last \u2028 line", ""}


def test_a_part_of_a_recording_has_no_transcript(tmp_path, opened):
    ljspeech(tmp_path / "data", ["a|long"], ["a.wav"], frames=40_000)
    source, _ = opened(piece_seconds=2.0)
    assert [source.decode(i)["text"].size for i in range(len(source))] == [0, 0]


def test_metadata_that_is_not_utf8_is_named_with_its_line(tmp_path, opened):
    ljspeech(tmp_path / "data", [], ["a.wav"])
    (tmp_path / "data/metadata.csv").write_bytes(b"a|first\nb|caf\xe9\n")
    with pytest.raises(DataError, match=r"metadata\.csv line 2 is not UTF-8 \(byte 0xe9\)"):
        opened()


def mel_for(frames, n_mels=80, seed=0):
    return np.random.default_rng(seed).normal(-5, 1, (n_mels, frames)).astype(np.float32)


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
        (np.zeros((80, 39), np.int64), r"cannot be read \(int64 instead of floats\)"),
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"sample_rate": 100},
            r"data\.sample_rate = 100 is not allowed; use 0 or \[1000, 768000\]; 0 keeps the files' own",
        ),
        ({"segment": 0}, r"data\.segment = 0 is too small; the least is 1"),
        ({"hop_length": 0}, r"data\.hop_length = 0 is too small"),
        ({"size": 1}, r"data\.size = 1 is too small; the least is 2"),
        ({"tones_seed": -1}, r"data\.tones_seed = -1 is too small"),
        ({"trim": -3.0}, r"data\.trim = -3\.0 is too small"),
        ({"short": "cut"}, r"data\.short = 'cut' is unknown; known are pad, drop"),
        ({"normalize": "rms"}, r"data\.normalize = 'rms' is unknown; known are none, peak"),
        ({"piece_seconds": 0.5}, r"data\.piece_seconds = 0\.5 is outside \[1, 600\]; 30 is usual"),
        ({"max_channels": 0}, r"data\.max_channels = 0 is outside \[1, 1024\]"),
        (
            {"mels": "x", "segment": 8000},
            r"data\.segment = 8000 is not a multiple of data\.hop_length = 256 \(8000 / 256 = 31\.25 frames\); use e\.g\. 7936",
        ),
        ({"mels": "x", "trim": 40.0}, r"data\.trim = 40\.0 would change recordings that the mels"),
        ({"mels": "x", "normalize": "peak"}, r"data\.normalize = peak would change recordings that the mels"),
        ({"held_out": 2.0}, r"data\.held_out = 2\.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        TonesSettings(**settings)


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
