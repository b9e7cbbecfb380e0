"""Whole clips as padded batches with lengths, transcripts, mels and speakers; parallel recordings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from recordings import DOMAIN, ljspeech, mel_for, noise, save, stored

from polygan import ConfigError, DataError, Joined, Samples, Stream, Streams
from polygan.data import build_store, split_store
from polygan_audio.data.datasets import tones
from polygan_audio.data.settings import AudioSettings, TonesSettings
from polygan_audio.vocos import Config, Vocos

TEXTS = {"a": "first", "b": "Grüße", "c": "the third"}


@pytest.fixture
def spoken(tmp_path):
    """Three clips of 0.5, 0.25 and 1 s with transcripts."""
    for i, (name, frames) in enumerate(zip(TEXTS, (8000, 4000, 16_000), strict=True)):
        save(tmp_path / f"data/wavs/{name}.wav", noise(frames, i))
    (tmp_path / "data/metadata.csv").write_text("\n".join("|".join(pair) for pair in TEXTS.items()), encoding="utf-8")
    return tmp_path / "data"


def split_of(opened):
    return split_store(stored(opened), 0.0)["train"]


def batch_of(split, rows):
    rows = np.asarray(rows)
    return DOMAIN.prepare(DOMAIN.collate(split, rows, np.full((len(rows), 4), 0.5)), split.store.info)


def by_length(split):
    """The rows in the order of `TEXTS`."""
    lengths = {8000: 0, 4000: 1, 16_000: 2}
    return sorted(range(len(split)), key=lambda row: lengths[len(split.store.item("waveform", row))])


def test_whole_clips_are_padded_with_zeros_and_bring_their_lengths(spoken, opened):
    split = split_of(opened(segment=0))
    batch = batch_of(split, by_length(split))
    assert {name: (value.dtype, tuple(value.shape)) for name, value in batch.items()} == {
        "waveform": (torch.float32, (3, 16_000)),
        "waveform_length": (torch.int64, (3,)),
        "text": (torch.uint8, (3, 9)),
        "text_length": (torch.int64, (3,)),
    }
    assert batch["waveform_length"].tolist() == [8000, 4000, 16_000]
    assert batch["text_length"].tolist() == [5, 7, 9]
    for row, (i, text) in zip(batch["text"], enumerate(TEXTS.values()), strict=True):
        length = int(batch["text_length"][i])
        assert bytes(row[:length].tolist()).decode() == text
        assert not row[length:].any()
    for i, frames in enumerate((8000, 4000, 16_000)):
        np.testing.assert_allclose(batch["waveform"][i, :frames], noise(frames, i), atol=1 / 32768)
        assert not batch["waveform"][i, frames:].any()


def test_a_share_of_a_batch_has_its_own_padding(spoken, opened):
    split = split_of(opened(segment=0))
    one, two, three = by_length(split)
    whole, part = batch_of(split, [two, one, three]), batch_of(split, [two, one])
    assert part["waveform"].shape == (2, 8000)
    for name, value in part.items():
        width = () if value.ndim == 1 else (slice(0, value.shape[1]),)
        assert torch.equal(whole[name][(slice(0, 2), *width)], value)


def test_facts_say_the_longest_clip_and_the_characters(spoken, opened):
    info = opened(segment=0)[0].info
    assert (info["segment"], info["longest"]) == (0, 16_000)
    assert info["symbols"] == "".join(sorted(set("".join(TEXTS.values()))))
    assert info["short"] == "0 padded"
    assert opened(segment=0, short="drop")[0].info["short"] == "0 dropped"
    cut = opened(segment=512, piece_seconds=1.0, sample_rate=8000)[0].info
    assert cut["longest"] == 8000


def test_given_mels_go_along_and_silence_stands_behind_them(tmp_path, spoken, opened):
    for i, (name, frames) in enumerate(zip(TEXTS, (32, 16, 63), strict=True)):
        (tmp_path / "mels").mkdir(exist_ok=True)
        np.save(tmp_path / f"mels/{name}.npy", mel_for(frames, seed=i))
    split = split_of(opened(segment=0, mels=str(tmp_path / "mels")))
    batch = batch_of(split, by_length(split))
    assert batch["mel"].shape == (3, 80, 63)
    assert batch["mel"].is_contiguous()
    assert batch["mel_length"].tolist() == [32, 16, 63]
    np.testing.assert_array_equal(batch["mel"][1, :, :16], mel_for(16, seed=1))
    assert (batch["mel"][1, :, 16:] == mel_for(16, seed=1).min()).all()


def test_samples_of_whole_clips_become_such_a_batch_again(tmp_path, spoken, opened):
    (tmp_path / "mels").mkdir()
    for name, frames in zip(TEXTS, (32, 16, 63), strict=True):
        np.save(tmp_path / f"mels/{name}.npy", mel_for(frames))
    split = split_of(opened(segment=0, mels=str(tmp_path / "mels")))
    rows = np.arange(3)
    prepared, again = batch_of(split, rows), DOMAIN.batch_of(DOMAIN.real(split, rows))
    assert prepared.keys() == again.keys()
    for name, value in prepared.items():
        assert value.dtype == again[name].dtype
        assert torch.equal(value, again[name]), name


def test_samples_of_segments_that_differ_in_length_are_no_batch(spoken, opened):
    split = split_of(opened(segment=512))
    assert DOMAIN.batch_of(DOMAIN.real(split, np.arange(3))) is None
    equal = Samples([torch.zeros(10), torch.ones(10)], DOMAIN, torch.tensor([1, 0]), extra={"sample_rate": 8000})
    assert {name: tuple(value.shape) for name, value in DOMAIN.batch_of(equal).items()} == {
        "waveform": (2, 10),
        "label": (2,),
    }


def test_a_batch_without_a_word_has_room_for_one_byte(tmp_path, opened):
    ljspeech(tmp_path / "data", ["a|first", "c|"], ["a.wav", "b.wav", "c.wav"])
    split = split_of(opened(segment=0))
    silent = [row for row in range(3) if not len(split.store.item("text", row))]
    batch = batch_of(split, silent)
    assert batch["text"].tolist() == [[0], [0]]
    assert batch["text_length"].tolist() == [0, 0]
    assert DOMAIN.batch_of(DOMAIN.real(split, np.array(silent)))["text"].tolist() == [[0], [0]]


def test_clips_with_transcripts_that_are_too_long_are_left_out_and_named(spoken, opened):
    save(spoken / "wavs/d.wav", noise(40_000))
    save(spoken / "wavs/e.wav", noise(48_000))
    lines = (spoken / "metadata.csv").read_text(encoding="utf-8")
    (spoken / "metadata.csv").write_text(f"{lines}\nd|too long\ne|far too long", encoding="utf-8")
    source, _ = opened(segment=0, longest_seconds=2.0)
    assert len(source) == 3
    (left,) = source.left_out
    assert (left.count, left.what, left.example) == (2, "recordings", "d, e")
    assert left.why == "longer than 2 s; --data.longest_seconds takes longer ones"
    assert "samples" not in dict(source.describe())
    assert source.info["longest"] == 16_000
    assert "o" not in source.info["symbols"]
    assert len(opened(segment=0, longest_seconds=3.0)[0]) == 5
    cut = opened(segment=512, piece_seconds=1.0)[0]
    assert len(cut) == 3 + 3 + 3  # segments are cut from pieces
    for name in "abc":
        (spoken / f"wavs/{name}.wav").unlink()
    (spoken / "metadata.csv").write_text("d|too long\ne|far too long")
    with pytest.raises(DataError, match=r"every clip of .* is longer than data\.longest_seconds = 2; raise"):
        opened(segment=0, longest_seconds=2.0)


def test_long_recordings_without_transcripts_are_cut(tmp_path, opened):
    save(tmp_path / "data/a.wav", noise(40_000))
    source, _ = opened(segment=0, longest_seconds=1.0)
    assert len(source) == 3
    assert dict(source.describe())["samples"] == "3 pieces of at most 1 s"


def test_whole_clips_and_segments_are_different_stores(spoken, opened):
    prints = {
        opened(**s)[0].fingerprint() for s in ({"segment": 0}, {}, {"segment": 0, "longest_seconds": 0.75 + 0.25})
    }
    assert len(prints) == 2  # no clip is longer than a second
    save(spoken / "wavs/c.wav", noise(32_000))
    assert len({opened(segment=0, longest_seconds=s)[0].fingerprint() for s in (1.0, 3.0)}) == 2


class Lengths(type(DOMAIN)):
    """Batches of lengths alone."""

    def collate(self, split, rows, draws):
        return {"length": torch.from_numpy(split.store.lengths("waveform", rows))}


def test_a_batch_of_whole_clips_holds_clips_of_like_length(tmp_path):
    settings = TonesSettings(source="tones", segment=0, size=60, cache=str(tmp_path))
    store = build_store(tones(settings), settings, progress=False)
    split = split_store(store, 0.0)["train"]
    assert store.info["longest"] == max(len(store.item("waveform", row)) for row in range(60))
    batches = [Stream(split, Lengths(), 8, 0).batch(i)["length"] for i in range(24)]
    assert max(int(lengths.max() - lengths.min()) for lengths in batches) < 5000  # of 16,000 in all
    assert DOMAIN.costs(split_store(build_store(tones(TonesSettings(size=2)), settings), 0.0)["train"]) is None


def test_a_vocoder_refuses_whole_clips_in_one_line():
    with pytest.raises(
        ConfigError,
        match=r"^a vocoder is trained on segments, and data\.segment = 0 means whole clips; use e\.g\. --data\.segment 8192$",
    ):
        Vocos(Config(), {"sample_rate": 16_000, "segment": 0})


def test_parallel_recordings_are_joined_by_name(tmp_path, spoken, opened):
    for i, (name, frames) in enumerate((("a", 3000), ("c", 5000), ("d", 4000))):
        save(tmp_path / f"other/wavs/{name}.wav", noise(frames, 10 + i), 8000)
    (tmp_path / "other/metadata.csv").write_text("a|uno\nc|tre\nd|quattro")
    source, _ = opened(segment=0, parallel=str(tmp_path / "other"))
    assert isinstance(source, Joined)
    assert len(source) == 2
    assert {(left.why, left.example) for left in source.left_out} == {
        ("without a partner for parallel", "b"),
        ("of parallel without a partner", "d"),
    }
    split = split_of((source, AudioSettings(source="both", cache=str(tmp_path / "cache"))))
    batch = batch_of(split, [0, 1])
    assert batch["parallel_waveform"].dtype == torch.float32
    assert sorted(batch["parallel_waveform_length"].tolist()) == [6000, 10_000]  # at the rate of the first
    assert float(batch["parallel_waveform"].abs().max()) <= 1
    texts = DOMAIN.real(split, np.arange(2)).extra
    assert sorted(zip(texts["text"], texts["parallel_text"], strict=True)) == [("first", "uno"), ("the third", "tre")]
    assert source.info["parallel_symbols"] == "aenoqrtu"


def test_parallel_recordings_need_whole_clips(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.parallel needs whole clips, and data\.segment = 8192 cuts segments"):
        AudioSettings(source=str(tmp_path), parallel="other")


def test_speakers_have_streams_of_their_own(tmp_path, opened):
    for i in range(12):
        save(tmp_path / f"data/{'anna' if i % 3 else 'bert'}/{i}.wav", noise(2000 + 100 * i, i))
    store = stored(opened(segment=0, speakers="folders"))
    splits = split_store(store, 0.25)
    found = Streams(splits, DOMAIN, 4, 0)
    assert {"train/anna", "train/bert"} <= set(found)
    assert found["train/bert"].batch(0)["label"].tolist() == [1] * 4
    real = DOMAIN.real(splits["train"], splits["train"].rows)
    assert real.class_names() == [["anna", "bert"][int(label)] for label in real.labels]
    assert "anna" in DOMAIN.render(real[[list(real.class_names()).index("anna")]])[0].caption
