"""Sources of text: the split, the vocabulary, long texts, what makes another store."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN, LINES, texts

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan_text import datasets
from polygan_text.data.settings import OracleSettings, TextSettings
from polygan_text.data.vocabulary import decode


def test_the_tokenizer_sees_the_training_split_alone(source):
    lines = [f"common w{i}" for i in range(50)]
    made, options = source(lines, held_out=0.4)
    splits = split_store(build_store(made, options, progress=False), options.held_out)
    assert len(splits["held_out"]) == 20
    for name, split in splits.items():
        unknown = sum("<unk>" in t for t in DOMAIN.real(split, split.rows).data)
        assert unknown == (20 if name == "held_out" else 0)


def test_a_test_file_is_what_is_held_out(source, tmp_path):
    """Its classes are those of the training file by name, its words teach the tokenizer nothing, and its state is in the key."""
    test = tmp_path / "exam.tsv"
    test.write_text("mood\ttext\nsad\tsome zebras weep\ngood\tsome dogs bark")
    made, options = source(
        b"text,mood\nsome cats sleep,good\nsome dogs weep,bad", "a.csv", label_column="mood", test=str(test)
    )
    splits = split_store(build_store(made, options, progress=False), options.held_out)
    shown = {name: DOMAIN.real(split, np.sort(split.rows)) for name, split in splits.items()}
    assert shown["train"].data == ["some cats sleep", "some dogs weep"]
    assert shown["held_out"].data == ["some <unk> weep", "some dogs <unk>"]
    assert made.info["classes"] == ["good", "bad", "sad"]
    assert shown["held_out"].labels.tolist() == [2, 0]
    assert [made.name(i) for i in (1, 2)] == ["a.csv line 3", "exam.tsv line 2"]
    test.write_text("text\tmood\nother words\tsad")
    assert DOMAIN.open(options).fingerprint() != made.fingerprint()


def test_a_test_file_that_cannot_be(source, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"data.test = 'nowhere.txt': there is no such file"):
        source(LINES, test="nowhere.txt")
    with pytest.raises(DataError, match="empty holds no text"):
        source(LINES, test=str(tmp_path / "empty"))
    for made_up in (datasets.oracle, datasets.grammar):
        with pytest.raises(ConfigError, match="a made-up set takes no test file"):
            made_up(OracleSettings(test="exam.txt"))


def test_what_is_wrong_with_a_test_file_is_not_said_of_the_training_file(source, tmp_path):
    test = tmp_path / "exam.txt"
    for content, problem in (
        (b"stra\xdfe\n" * 3 + b"the dog", r"3 of 4 texts of .* cannot be read.*exam\.txt line 1: is not UTF-8"),
        (b"\n \n", "holds no text, only empty lines"),
        (
            b"the old dog sees the bird and the river\n",
            r"has only texts of more than 7 tokens; raise --data\.max_length",
        ),
    ):
        test.write_bytes(content)
        with pytest.raises(DataError, match=problem) as raised:
            source(LINES, test=str(test), too_long="drop", max_length=8)
        assert f"data.test = {str(test)!r}" in str(raised.value)
        assert "lines.txt" not in str(raised.value)
    test.write_text("the dog")
    with pytest.raises(DataError, match=r"20 of 38 texts of data '.*lines\.txt' cannot be read"):
        source(b"\n".join([b"\xdf"] * 20 + [line.encode() for line in LINES]), test=str(test))


def test_the_split_does_not_depend_on_what_is_dropped(source):
    lines = [f"w{i} " + "x " * (30 if i % 3 == 0 else 2) for i in range(60)]
    settings = {"tokenizer": "char", "held_out": 0.5, "max_length": 20}
    cut, info = texts(source(lines, **settings))
    dropped, less = texts(source(lines, too_long="drop", **settings))
    assert info["too_long"] == "20 cut"
    assert less["too_long"] == "20 dropped"
    for name in cut:
        short = [t for t in cut[name] if len(t) < 19]
        assert sorted(short) == sorted(dropped[name])


def test_long_texts_are_cut_to_the_limit_and_have_no_end_there(source):
    made, _ = source(["a b c d e f g", "a b", "a b c", "a b c d"], max_length=4, held_out=0.0)
    rows = [made.decode(i)["tokens"].tolist() for i in range(4)]
    assert made.info["length"] == 4
    assert [row.count(1) for row in rows] == [0, 2, 1, 0]
    assert decode(torch.tensor(rows), made.info) == ["a b c d", "a b", "a b c", "a b c d"]


def test_rare_words_are_unknown_and_the_vocabulary_is_bounded(source):
    lines = [*["a b c"] * 5, "a rare word"]
    made, _ = source(lines, min_count=2, held_out=0.0)
    assert made.info["vocabulary"] == 6
    assert made.info["unknown"] == pytest.approx(2 / 18, abs=1e-5)
    made, _ = source(lines, vocabulary=5, held_out=0.0)
    assert made.info["vocabulary"] == 5


def test_another_state_of_the_file_or_the_settings_is_another_store(source, tmp_path):
    keys = {source(LINES)[0].fingerprint()}
    keys.add(source(LINES, tokenizer="char")[0].fingerprint())
    keys.add(source(LINES, max_length=5)[0].fingerprint())
    keys.add(source(LINES, held_out=0.2)[0].fingerprint())
    keys.add(source([*LINES, "more"])[0].fingerprint())
    assert len(keys) == 5


def test_a_line_of_another_encoding_is_named_and_counted(source):
    content = b"\n".join([*[line.encode() for line in LINES], "stra\xdfe".encode("latin-1"), b"the end"])
    made, options = source(content)
    store = build_store(made, options, progress=False)
    assert len(store) == len(LINES) + 1
    assert store.bad == [f"lines.txt line {len(LINES) + 1}: is not UTF-8 (byte 0xdf at 5); convert the file"]
    with pytest.raises(DataError, match=r"1 of 20 samples .* cannot be read, more than data.max_bad = 0.01"):
        build_store(made, TextSettings(source=options.source, cache=options.cache, max_bad=0.01), progress=False)
