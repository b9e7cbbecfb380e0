"""Sound in data sets of the library `datasets`, and in Parquet files."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import soundfile

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan_audio.data.domain import AudioDomain
from polygan_audio.data.settings import AudioSettings

datasets = pytest.importorskip("datasets", reason="datasets is not installed: pip install datasets")

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

DOMAIN = AudioDomain()
STORED = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
WORDS = ["one two", "three", None, "four  five"]


def wave(index, rate=8000, seconds=0.5):
    return 0.5 * np.sin(np.arange(int(rate * seconds)) * (0.1 + 0.05 * index)).astype(np.float32)


def encoded(index, rate=8000, kind="WAV"):
    file = io.BytesIO()
    soundfile.write(file, wave(index, rate), rate, format=kind)
    return file.getvalue()


def rows(sampling_rate=None, kinds=("WAV", "FLAC", "OGG", "WAV")):
    """Four clips with names, words and speakers."""
    features = datasets.Features(
        {
            "id": datasets.Value("int64"),
            "audio": STORED,
            "sentence": datasets.Value("string"),
            "client_id": datasets.ClassLabel(names=["bob", "ann"]),
        }
    )
    sounds = [{"bytes": encoded(i, kind=kind), "path": f"clips/s{i}.{kind.lower()}"} for i, kind in enumerate(kinds)]
    cells = {"id": range(4), "audio": sounds, "sentence": WORDS, "client_id": [1, 0, 1, 1]}
    return as_audio(datasets.Dataset.from_dict(cells, features=features), sampling_rate)


def as_audio(data, sampling_rate=None):
    """The library's own encoder of sound needs another package."""
    return data.cast_column("audio", datasets.Audio(sampling_rate=sampling_rate))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def clips(tmp_path):
    rows().to_parquet(str(tmp_path / "train.parquet"))
    return tmp_path / "train.parquet"


def opened(source, **settings):
    return DOMAIN.open(AudioSettings(source=str(source), **{"segment": 0} | settings))


def real(made):
    split = split_store(build_store(made, AudioSettings(), progress=False), 0.0)["train"]
    return DOMAIN.real(split, np.arange(len(split)))


@pytest.mark.parametrize("form", ["file", "folder", "saved", "hf:"])
def test_bytes_of_each_format_become_clips_with_texts_and_speakers(clips, tmp_path, form):
    place = {"file": clips, "folder": tmp_path, "hf:": f"hf:{tmp_path}"}.get(form, tmp_path / "saved")
    if form == "saved":
        rows().save_to_disk(place)
    made = opened(place, speakers="column")
    found = real(made)
    assert made.info["sample_rate"] == 8000
    for i in (0, 1, 3):  # 16 bits
        assert np.abs(found.data[i].numpy() - wave(i)).max() < 1e-4
    assert len(found.data[2]) == len(wave(2))
    assert found.extra["text"] == ["one two", "three", "", "four five"]
    assert (found.classes, found.labels.tolist()) == (["ann", "bob"], [0, 1, 0, 0]) or found.class_names() == [
        "ann", "bob", "ann", "ann",
    ]  # fmt: skip
    assert made.name(1) == f"{place} row 2 (s1.flac)"
    facts = {fact.name: fact.text for fact in made.describe()}
    assert facts["files"] == "2 .wav, 1 .flac, 1 .ogg"
    assert facts["transcripts"].startswith(
        "sound from column 'audio', text from column 'sentence', speakers from column 'client_id'"
    )
    assert opened(place, speakers="column").fingerprint() == made.fingerprint()


def test_the_column_s_rate_or_the_user_s_is_what_clips_have(tmp_path):
    rows(sampling_rate=4000).to_parquet(str(tmp_path / "a.parquet"))
    made = opened(tmp_path / "a.parquet")
    assert (made.info["sample_rate"], made.info["resampled"], len(real(made).data[0])) == (4000, 4, 2000)
    assert opened(tmp_path / "a.parquet", sample_rate=16000).info["sample_rate"] == 16000


def test_rows_may_name_files_or_hold_plain_bytes(tmp_path):
    (tmp_path / "clip.wav").write_bytes(encoded(1))
    plain = {"sound": [encoded(0), encoded(1)], "text": ["a", "b"]}
    datasets.Dataset.from_dict(plain, datasets.Features(sound=datasets.Value("binary"), text=datasets.Value("string"))).to_parquet(
        str(tmp_path / "plain.parquet")
    )  # fmt: skip
    found = real(opened(tmp_path / "plain.parquet"))
    assert np.abs(found.data[1].numpy() - wave(1)).max() < 1e-4
    named = [{"bytes": None, "path": str(tmp_path / name)} for name in ("clip.wav", "gone.wav")]
    parquet.write_table(pyarrow.table({"audio": named}), tmp_path / "named.parquet")
    made = opened(tmp_path / "named.parquet")
    assert np.abs(made.decode(0)["waveform"] / 32768 - wave(1)).max() < 1e-4
    with pytest.raises(DataError, match="does not exist"):
        made.decode(1)


def test_parallel_recordings_are_joined_by_the_names_of_their_files(clips, tmp_path):
    (tmp_path / "other").mkdir()
    for i in (0, 3):
        (tmp_path / f"other/s{i}.wav").write_bytes(encoded(i + 4))
    made = opened(clips, parallel=str(tmp_path / "other"), text_column="sentence")
    assert [made.name(i) for i in range(len(made))] == [f"{clips} row {i + 1} (s{i}.wav)" for i in (0, 3)]
    assert np.abs(made.decode(1)["parallel_waveform"] / 32768 - wave(7)).max() < 1e-4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"audio_column": "sound"}, "has no column 'sound', only id, audio, sentence, client_id; name one with --data.audio_column"),
        ({"audio_column": "sentence"}, "column 'sentence' of .* is of string; columns of Audio .* are audio: name one with"),
        ({"text_column": "id"}, "column 'id' .* is of int64; columns of string .* are sentence: name one with --data.text_column"),
        ({"speakers": "column", "speaker_column": "who"}, "no column 'who', only .*--data.speaker_column"),
        ({"speakers": "folders"}, "has columns, no folders; use --data.speakers column"),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_are_named_with_those_that_are_there(clips, settings, said):
    with pytest.raises((DataError, ConfigError), match=said):
        opened(clips, **settings)


def test_columns_of_a_folder_of_files_are_refused(tmp_path):
    (tmp_path / "a.wav").write_bytes(encoded(0))
    with pytest.raises(ConfigError, match=r"data.text_column = 'text' names a column of Parquet files .* leave"):
        opened(tmp_path, text_column="text")


def test_bad_rows_are_counted_and_a_set_without_sound_is_refused(tmp_path):
    sounds = [
        {"bytes": b"no sound", "path": "x.wav"},
        {"bytes": encoded(0), "path": None},
        {"bytes": None, "path": None},
    ]
    data = datasets.Dataset.from_dict({"audio": sounds}, datasets.Features(audio=STORED))
    as_audio(data).to_parquet(str(tmp_path / "bad.parquet"))
    made = opened(tmp_path / "bad.parquet")
    assert "cannot be read as sound" in made.recordings[0].problem
    assert "the row holds no sound" in made.recordings[2].problem
    assert len(made.decode(1)["waveform"]) == len(wave(0))
    arrays = {"audio": [{"array": [0.0, 0.1], "sampling_rate": 8000}]}
    datasets.Dataset.from_dict(arrays).to_parquet(str(tmp_path / "array.parquet"))
    with pytest.raises(DataError, match="holds array, sampling_rate where sound has `bytes` and `path`"):
        opened(tmp_path / "array.parquet")
    datasets.Dataset.from_dict({"text": ["a"]}).to_parquet(str(tmp_path / "text.parquet"))
    with pytest.raises(DataError, match="has no column 'audio', only text"):
        opened(tmp_path / "text.parquet")


def test_without_the_library_the_line_to_type_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"hf:me/x needs the package datasets; pip install 'polygan-audio\[datasets\]'"):
        opened("hf:me/x")


def test_a_set_that_the_hub_does_not_give_is_one_line(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="hf:nobody/nothing cannot be loaded: ") as caught:
        opened("hf:nobody/nothing")
    assert "\n" not in str(caught.value)
    for name in ("hf:", "hf:@v1"):
        with pytest.raises(DataError, match=r"no data set: write hf:NAME|no name of a data set: write hf:NAME"):
            opened(name)
