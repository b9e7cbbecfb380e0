"""Texts that are made from other texts: reading, what the store holds, and what is said of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan_text import datasets
from polygan_text.data.settings import MadeUpSettings, TextSettings
from polygan_text.data.vocabulary import decode, encode_given

PAIRS = [
    ("a small tool", "This is a small tool that counts lines."),
    ("a tool", "A tool for pictures, and a tool for sounds."),
    ("sounds", "Sounds."),
]
TABLE = "\n".join(json.dumps({"short": a, "long": b}) for a, b in PAIRS).encode()


def table(source, content=TABLE, name="pairs.jsonl", **settings):
    return source(content, name, **{"given": "long", "column": "short", "held_out": 0.0} | settings)


def lines(source, tmp_path, texts, sources, **settings):
    """Two files of lines, opened."""
    (tmp_path / "sources.txt").write_bytes(sources)
    return source(texts, "texts.txt", **{"given": str(tmp_path / "sources.txt"), "held_out": 0.0} | settings)


def whole(opened):
    """All rows of a source in their store."""
    made, options = opened
    split = split_store(build_store(made, options, progress=False), 0.0)["train"]
    return split, np.arange(len(split))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.jsonl", TABLE),
        ("pairs.csv", ("long,short\n" + "\n".join(f'"{b}",{a}' for a, b in PAIRS)).encode()),
        ("pairs.tsv.gz", ("id\tlong\tshort\n" + "\n".join(f"7\t{b}\t{a}" for a, b in PAIRS)).encode()),
        ("texts.txt", "\n".join(a for a, _ in PAIRS).encode()),
    ],
)
def test_pairs_come_from_two_columns_or_from_two_files(source, tmp_path, name, content):
    if name == "texts.txt":
        opened = lines(source, tmp_path, content, "\r\n".join(b for _, b in PAIRS).encode())
    else:
        opened = table(source, content, name)
    split, rows = whole(opened)
    assert DOMAIN.real(split, rows).data == [a for a, _ in PAIRS]
    assert DOMAIN.given(split, rows).data == [b for _, b in PAIRS]


def test_a_store_of_pairs_holds_the_source_s_tokens_up_to_an_end(source):
    made, options = table(source)
    split, rows = whole((made, options))
    batch = DOMAIN.prepare(DOMAIN.collate(split, rows, np.zeros((3, 4))), made.info)
    longest = len(PAIRS[1][1].replace(",", " ,").replace(".", " .").split())
    assert made.info["given_length"] == 1 + longest
    assert {name: (value.dtype, tuple(value.shape)) for name, value in batch.items()} == {
        "tokens": (torch.int64, (3, made.info["length"])),
        "given": (torch.int64, (3, 1 + longest)),
        "copied": (torch.int64, (3, made.info["length"])),
    }
    assert decode(batch["given"], made.info) == [b for _, b in PAIRS]
    assert (batch["given"][:, -1] == 1).all()
    assert batch["given"].tolist() == encode_given([b for _, b in PAIRS], made.info)[0].tolist()
    assert (batch["copied"] == -1).all()


def test_a_source_that_is_too_long_is_cut_and_still_ends(source):
    made, options = table(source, given_length=4)
    split, rows = whole((made, options))
    given = split.store.gather("given", rows).long()
    assert made.info["given_length"] == 4
    assert given[:, 3].tolist() == [1, 1, 1]
    assert decode(given, made.info) == ["This is a", "A tool for", "Sounds."]
    assert DOMAIN.given(split, rows).data[0] == PAIRS[0][1]
    told = dict(made.describe())
    assert "; 2 of 3 are cut, which have more than 3 (--data.given_length)" in told["sources"]
    advice = [text for name, text in made.describe() if name == "advice"]
    assert "67 % of the sources are cut: --data.given_length 12 keeps 90 % whole" in advice


UNKNOWN = [(f"tool number {i % 3}", f"A tool (number {i % 3}).") for i in range(30)] + [
    ("tool zork zork glork", "Zork (zork) and zork."),
    ("blark (mork) tool", "Mork number 1."),
]


def test_an_unknown_word_knows_its_first_place_in_its_source(source):
    """The same piece is preferred; else the same word counts, with or without a space before it. Another case is another word."""
    content = "\n".join(json.dumps({"short": a, "long": b}) for a, b in UNKNOWN).encode()
    made, _ = table(source, content, min_count=5)
    row = made.decode(30)
    pieces = encode_given([UNKNOWN[30][1]], made.info)[1][0]
    assert pieces == ["▁Zork", "▁(", "zork", ")", "▁and", "▁zork", "."]
    assert row["copied"].tolist()[:4] == [-1, 5, 5, -1]
    assert [i for i, t in enumerate(row["given"]) if t == 2] == [0, 2, 4, 5]
    assert (made.decode(31)["copied"] == -1).all()
    assert (
        dict(made.describe())["copies"]
        == "2 of 5 unknown words of the texts (40 %) stand in their source, and can be copied"
    )


def test_real_texts_show_the_words_that_stand_in_their_source(source):
    content = "\n".join(json.dumps({"short": a, "long": b}) for a, b in UNKNOWN).encode()
    split, rows = whole(table(source, content, min_count=5))
    real = DOMAIN.real(split, rows)
    assert real.data[30:] == ["tool zork zork <unk>", "<unk> (<unk>) tool"]
    assert (real.extra["tokens"] < split.store.info["vocabulary"]).all()
    batch = DOMAIN.prepare(DOMAIN.collate(split, rows, np.zeros((len(rows), 4))), split.store.info)
    again = DOMAIN.batch_of(real)
    assert again is not None
    assert batch.keys() == again.keys()
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_a_source_beyond_its_length_gives_nothing_to_copy(source):
    content = "\n".join(json.dumps({"short": a, "long": b}) for a, b in UNKNOWN).encode()
    made, _ = table(source, content, min_count=5, given_length=5)
    assert made.decode(30)["copied"].tolist()[:4] == [-1, 2, 2, -1]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"given": "article"},
            DataError,
            r"no column 'article'; its columns are short, long: choose one with --data.column, --data.given",
        ),
        ({"given": "short"}, ConfigError, "data.given = 'short' is also the column of the texts"),
        ({"test_given": "x.txt"}, ConfigError, "data.test_given = 'x.txt' belongs to --data.test and --data.given"),
        ({"given_length": 1}, ConfigError, "given_length"),
    ],
)
def test_a_column_of_sources_that_cannot_be(source, settings, error, message):
    with pytest.raises(error, match=message):
        table(source, **settings)


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.jsonl"])
def test_a_column_of_sources_that_is_empty_everywhere_is_said(source, name):
    rows = [{"short": "a b", "long": ""}, {"short": "c", "long": " "}, {"short": "", "long": ""}]
    content = "\n".join(map(json.dumps, rows)) if name.endswith("l") else "short,long\na b,\nc, \n,\n"
    with pytest.raises(DataError, match=r"data\.given = 'long' is empty in all 2 rows that have a text; name another"):
        table(source, content.encode(), name)


def test_pairs_with_an_empty_side_are_left_out_and_counted(source, tmp_path):
    content = "\n".join([*(f"{a}\t{b}" for a, b in PAIRS), "alone\t", "\tlong", "\t", "x\ty\tz"]).encode()
    made, options = table(source, b"short\tlong\n" + content, "pairs.tsv", max_bad=0.5)
    told = [
        (2, "rows without text", "an empty text is no sample", "pairs.tsv line 6"),
        (1, "texts without a source", "an empty source gives nothing to learn from", "pairs.tsv line 5"),
    ]
    assert [tuple(left) for left in made.left_out] == told
    assert build_store(made, options, progress=False).bad == [
        "pairs.tsv line 8: has 3 fields, and the header has 2; write no tabs within a text"
    ]
    made, options = lines(source, tmp_path, b"one two\n\nthree\nfour five\n", b"1 2\n2\n \n4 5\n")
    assert [(left.count, left.example) for left in made.left_out] == [(1, "texts.txt line 2"), (1, "texts.txt line 3")]
    assert [made.name(i) for i in range(len(made))] == ["texts.txt line 1", "texts.txt line 4"]
    assert DOMAIN.given(*whole((made, options))).data == ["1 2", "4 5"]


def test_a_row_whose_source_is_no_text_is_named(source, tmp_path):
    rows = [*map(json.dumps, [{"short": a, "long": b} for a, b in PAIRS]), '{"short": "a b", "long": ["x"]}']
    made, options = table(source, "\n".join(rows).encode(), max_bad=0.5)
    assert build_store(made, options, progress=False).bad == [
        "pairs.jsonl line 4: has a list in 'long', not text; write one string there"
    ]
    made, _ = lines(source, tmp_path, b"one two\nthree\nfour", b"1 2\nstra\xdfe\n4 5", max_bad=0.5)
    assert made.bad == {1: "has a source that is not UTF-8 (byte 0xdf at 5); convert the file"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "nowhere.txt",
            r"data\.given = 'nowhere\.txt' is no file, and .*texts\.txt is plain text without columns; name a text file",
        ),
        (".", r"data\.given = '\.' is a folder"),
        ("", r"sources\.txt \(--data\.given\) has 2;"),
    ],
)
def test_a_file_of_sources_that_cannot_be(source, tmp_path, given, message):
    with pytest.raises(DataError, match=message):
        lines(source, tmp_path, b"one\ntwo three\nfour", b"1\n2", **({"given": given} if given else {}))


def test_the_texts_themselves_and_tables_are_no_file_of_sources(source, tmp_path):
    (tmp_path / "table.csv").write_text("text\nx")
    for name, problem in (("texts.txt", "is the file of the texts themselves"), ("table.csv", "is a table")):
        with pytest.raises(DataError, match=problem):
            lines(source, tmp_path, b"one two\nthree", b"x\ny", given=str(tmp_path / name))
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "a.txt").write_text("one two")
    with pytest.raises(DataError, match=r"use one text file, with --data\.given FILE"):
        DOMAIN.open(TextSettings(source=str(folder), given=str(tmp_path / "table.csv")))


def test_both_files_count_as_megabytes(source, tmp_path):
    line = b"word " * 120_000
    with pytest.raises(DataError, match=r"sources\.txt has more than the 0 MB that are left of 1 MB"):
        lines(source, tmp_path, line, line, max_megabytes=1)


def test_test_files_have_sources_of_their_own(source, tmp_path):
    (tmp_path / "test.txt").write_text("two one\n")
    (tmp_path / "test-sources.txt").write_text("2 1\n")
    exam = {"test": str(tmp_path / "test.txt"), "test_given": str(tmp_path / "test-sources.txt")}
    made, options = lines(source, tmp_path, b"one two\ntwo", b"1 2\n2", **exam)
    held_out = split_store(build_store(made, options, progress=False), 0.0)["held_out"]
    assert DOMAIN.given(held_out, held_out.rows).data == ["2 1"]
    with pytest.raises(
        DataError, match=r"test\.txt is plain text, and its sources are not named: .*--data\.test_given FILE"
    ):
        lines(source, tmp_path, b"one two\ntwo", b"1 2\n2", test=str(tmp_path / "test.txt"))


def test_the_sources_teach_the_tokenizer_with_the_training_split_alone(source, tmp_path):
    texts = "\n".join(f"common t{i}" for i in range(50)).encode()
    made, options = lines(source, tmp_path, texts, "\n".join(f"common s{i}" for i in range(50)).encode(), held_out=0.4)
    splits = split_store(build_store(made, options, progress=False), 0.4)
    for name, split in splits.items():
        unknown = (split.store.gather("given", split.rows) == 2).any(1)
        assert int(unknown.sum()) == (20 if name == "held_out" else 0)


def test_sources_and_their_settings_make_another_store(source, tmp_path):
    keys = [lines(source, tmp_path, b"one two\nthree", b"1 2\n3 4")[0].fingerprint()]
    keys.append(lines(source, tmp_path, b"one two\nthree", b"1 2\n3 4 5")[0].fingerprint())
    keys.append(lines(source, tmp_path, b"one two\nthree", b"1 2\n3 4 5", given_length=3)[0].fingerprint())
    assert len(set(keys)) == 3


def test_texts_of_one_token_have_sources_of_one_token(source, tmp_path):
    made, options = lines(source, tmp_path, b"a\nb\na", b"x\ny\nx")
    split, rows = whole((made, options))
    assert (made.info["length"], made.info["given_length"]) == (2, 2)
    assert DOMAIN.real(split, rows).data == ["a", "b", "a"]
    assert DOMAIN.given(split, rows).data == ["x", "y", "x"]


def test_repeats_are_repeated_pairs(source, tmp_path):
    made, _ = lines(source, tmp_path, b"a\na\na\nb", b"x\nx\ny\nx")
    assert dict(made.describe())["repeats"] == "1 training pairs repeat an earlier one"


def test_a_made_up_set_has_no_sources():
    with pytest.raises(ConfigError, match=r"data\.given = 'x': a made-up set"):
        datasets.grammar(MadeUpSettings(given="x"))
