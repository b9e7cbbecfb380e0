"""Who speaks: by folders, by a column of the table, and what happens where nobody is named."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from recordings import DOMAIN, ljspeech, noise, save, stored

from polygan import ConfigError, DataError
from polygan.data import split_store
from polygan_audio.data.datasets import tones
from polygan_audio.data.settings import TonesSettings


def who(store):
    """The file's length, the speaker's name and the text of each sample."""
    split = split_store(store, 0.0)["train"]
    samples = DOMAIN.real(split, np.arange(len(store)))
    texts = samples.extra.get("text", [""] * len(store))
    return sorted(zip(map(len, samples.data), samples.class_names(), texts, strict=True))


def test_the_first_folder_names_the_speaker(tmp_path, opened):
    for i, name in enumerate(("bert/a", "anna/b", "anna/deep/er/c", "loose")):
        save(tmp_path / f"data/{name}.wav", noise(3000 + i, i))
    (tmp_path / "data/anna/notes.txt").touch()
    (tmp_path / "data/.hidden").mkdir()
    source, settings = opened(speakers="folders")
    assert source.info["classes"] == ["anna", "bert"]
    assert {(left.count, left.what, left.example) for left in source.left_out} == {
        (1, "recording", "loose"),
        (1, ".txt file", ""),
    }
    assert who(stored((source, settings))) == [(3000, "bert", ""), (3001, "anna", ""), (3002, "anna", "")]
    assert dict(source.describe())["speakers"] == "2: anna (2 clips, 0.0 min), bert (1 clip, 0.0 min)"


def test_several_folders_with_tables_bring_their_texts(tmp_path, opened):
    ljspeech(tmp_path / "data/anna", ["1|hello", "2|good bye"], ["1.wav", "2.wav"], frames=3000)
    ljspeech(tmp_path / "data/bert", ["1|ciao"], ["1.wav"], frames=4000)
    save(tmp_path / "data/carl/1.wav", noise(5000))
    source, settings = opened(speakers="folders", segment=0)
    store = stored((source, settings))
    assert who(store) == [
        (3000, "anna", "good bye"),
        (3000, "anna", "hello"),
        (4000, "bert", "ciao"),
        (5000, "carl", ""),
    ]
    assert store.info["without_text"] == 1
    assert store.info["symbols"] == " abcdeghiloy"
    assert "transcripts" in dict(source.describe())
    names = {source.recordings[piece.recording].name for piece in source.pieces}
    assert {Path(name).as_posix() for name in names} == {"anna/1", "anna/2", "bert/1", "carl/1"}


def test_folders_below_the_recordings_of_a_table_name_speakers_too(tmp_path, opened):
    ljspeech(tmp_path / "data", ["anna/1|hello", "bert/1|ciao", "3|nobody"], ["anna/1.wav", "bert/1.wav", "3.wav"])
    source, settings = opened(speakers="folders")
    assert [text for *_, text in who(stored((source, settings)))] == ["hello", "ciao"]
    assert [(left.count, left.example) for left in source.left_out] == [(1, "3")]


def test_one_speaker_is_enough(tmp_path, opened):
    save(tmp_path / "data/anna/1.wav", noise(3000))
    source, settings = opened(speakers="folders")
    assert source.info["classes"] == ["anna"]
    assert who(stored((source, settings))) == [(3000, "anna", "")]


def test_a_folder_without_speakers_says_what_to_do(tmp_path, opened):
    save(tmp_path / "data/1.wav", noise(3000))
    with pytest.raises(
        DataError, match=r"has no folder with sound; make a folder for each speaker, .*SPEAKER.NAME\.wav"
    ):
        opened(speakers="folders")
    with pytest.raises(DataError, match=r"no recording of .* has a speaker; make a folder for each speaker"):
        opened("data/1.wav", speakers="folders")
    with pytest.raises(DataError, match=r"no recording of .* has a speaker; .*or a table id\|speaker\|text"):
        opened(speakers="column")


@pytest.mark.parametrize(
    "lines",
    [
        ["1|anna|hello you", "2|bert|hello all", "3|anna|good bye", "4|anna|hello you"],
        ["id|speaker|text", "1|anna|hello you", "2|bert|hello all", "3|anna|good bye", "4|anna|hello you"],
        ["text|client_id|path", "hello you|anna|1", "hello all|bert|2", "good bye|anna|3", "hello you|anna|4"],
        ["1|hello you|anna", "2|hello all|bert", "3|good bye|anna", "4|hello you|anna"],
        ['"1"|"anna"|"hello you"', '"2"|"bert"|"hello all"', '"3"|"anna"|"good bye"', '"4"|"anna"|"hello you"'],
    ],
)
def test_a_column_names_the_speaker(tmp_path, opened, lines):
    names = [f"{i}.wav" for i in range(1, 5)]
    ljspeech(tmp_path / "data", lines, names, frames=3000)
    source, settings = opened(speakers="column")
    found = [(speaker, text) for _, speaker, text in who(stored((source, settings)))]
    assert found == [("anna", "good bye"), ("anna", "hello you"), ("anna", "hello you"), ("bert", "hello all")]
    assert "speakers from column" in dict(source.describe())["transcripts"]


def test_lines_without_a_speaker_and_files_without_a_line_are_left_out_and_named(tmp_path, opened):
    lines = ["1|anna|hello", "2||good bye", "3|bert|ciao", "4|anna|hello", "5|anna|once more", "6|bert"]
    ljspeech(tmp_path / "data", lines, [f"{i}.wav" for i in range(1, 8)], frames=3000)
    source, settings = opened(speakers="column")
    assert [(left.count, left.example) for left in source.left_out] == [(2, "2, 7")]
    found = [(speaker, text) for _, speaker, text in who(stored((source, settings)))]
    assert found == [("anna", "hello"), ("anna", "hello"), ("anna", "once more"), ("bert", ""), ("bert", "ciao")]


@pytest.mark.parametrize(
    "lines",
    [
        ["1|hello", "2|good bye"],
        ["1|Dr. No|Doctor No", "2|Mr. T|Mister T", "3|Mrs. X|Missis X"],
        ["id|text|age", "1|hello|30", "2|good bye|30"],
    ],
)
def test_a_table_without_speakers_says_what_to_do(tmp_path, opened, lines):
    ljspeech(tmp_path / "data", lines, ["1.wav", "2.wav", "3.wav"])
    with pytest.raises(
        DataError, match=r"metadata\.csv has no column of speakers; call a column `speaker` .*id\|speaker\|"
    ):
        opened(speakers="column")


def test_another_speaker_of_the_same_files_is_another_store(tmp_path, opened):
    prints = set()
    for speakers in ("anna bert anna anna", "anna anna bert anna"):
        lines = [f"{i}|{name}|text {i}" for i, name in enumerate(speakers.split(), 1)]
        ljspeech(tmp_path / "data", lines, [f"{i}.wav" for i in range(1, 5)])
        prints.add(opened(speakers="column")[0].fingerprint())
    assert len(prints) == 2


def test_made_up_tones_have_no_speakers():
    with pytest.raises(ConfigError, match=r"data\.speakers = 'folders' is for recordings; the set tones has none"):
        tones(TonesSettings(source="tones", speakers="folders"))


def test_windows_lines_and_marks_are_no_part_of_names_and_texts(tmp_path, opened):
    for i in range(1, 4):
        save(tmp_path / f"data/wavs/{i}.wav", noise(3000, i))
    text = '\ufeffid|speaker|text\r\n1|anna|hello\r\n2|bert|"quoted" here\r\n3|anna|good bye\r\n\r\n'
    (tmp_path / "data/metadata.csv").write_bytes(text.encode())
    found = [(speaker, text) for _, speaker, text in who(stored(opened(speakers="column")))]
    assert found == [("anna", "good bye"), ("anna", "hello"), ("bert", '"quoted" here')]
