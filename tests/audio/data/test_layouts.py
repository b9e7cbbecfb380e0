"""Layouts of folders: plain folders and LJSpeech with its transcripts."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from recordings import DOMAIN, lengths, ljspeech, noise, save, stored

from polygan import DataError
from polygan.data import split_store


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


def test_ids_that_begin_with_the_folder_of_recordings_name_their_files(tmp_path, opened):
    lines = ["wavs/a|First words here", "./wavs/b.wav|Second words here", "wavs/c|Third words here"]
    ljspeech(tmp_path / "data", lines, ["a.wav", "b.wav"])
    source, _ = opened()
    assert [(r.name, r.text) for r in source.recordings[:2]] == [("a", "First words here"), ("b", "Second words here")]
    missing = tmp_path / "data/wavs/c.wav"
    assert (
        source.recordings[2].problem
        == f"{tmp_path / 'data/metadata.csv'} line 3 has no file {missing} (.flac, .ogg, ...)"
    )
