"""Texts of several lines: blocks between blank lines, and whole files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN, LINES

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan_text import datasets
from polygan_text.data.corpus import LONGEST
from polygan_text.data.settings import MadeUpSettings, TextSettings
from polygan_text.data.vocabulary import decode

POEMS = b"\xef\xbb\xbf\n\nroses are red,\r\nviolets are blue.\r\n\r\n \t\nthe end\n\n\none\n two\nthree"
BLOCKS = ["roses are red,\nviolets are blue.", "the end", "one\n two\nthree"]


def shown(made, options):
    split = split_store(build_store(made, options, progress=False), 0.0)["train"]
    return DOMAIN.real(split, np.sort(split.rows)).data


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_a_block_between_blank_lines_is_a_text(source, tokenizer):
    made, options = source(POEMS, documents="block", held_out=0.0, tokenizer=tokenizer)
    assert [made.corpus.text(i) for i in range(3)] == BLOCKS
    assert [made.name(i) for i in range(3)] == [f"lines.txt line {n}" for n in (3, 7, 10)]
    assert made.left_out == []
    found = [text.replace("\n two", "\ntwo") for text in BLOCKS] if tokenizer == "word" else BLOCKS
    assert shown(made, options) == found


def test_a_file_is_a_text(source, tmp_path):
    folder = tmp_path / "poems"
    folder.mkdir()
    for name, content in (("a", POEMS), ("b", b"short"), ("c", b"\n \n")):
        (folder / f"{name}.txt").write_bytes(content)
    options = TextSettings(source=str(folder), cache=str(tmp_path), documents="file", held_out=0.0, tokenizer="char")
    made = DOMAIN.open(options)
    whole = "roses are red,\nviolets are blue.\n\n \t\nthe end\n\n\none\n two\nthree"
    assert shown(made, options) == [whole[:64], "short"]
    assert [(left.count, left.what, left.example) for left in made.left_out] == [
        (1, "rows without text", "c.txt line 1")
    ]


def test_blank_lines_within_a_file_stay_with_words(source):
    made, _ = source(b"a b\n\n\nc\na", documents="file", held_out=0.0)
    assert decode(torch.tensor(made.decode(0)["tokens"][None]), made.info) == ["a b\n\n\nc\na"]


def test_a_document_of_more_than_a_megabyte_is_unreadable(source):
    content = b"\n\n".join([b"a b c d\n" * (LONGEST // 8 + 1), *(line.encode() for line in LINES)])
    made, options = source(content, documents="block")
    assert build_store(made, options, progress=False).bad == [
        "lines.txt line 1: has 1,048,583 bytes, more than 1,048,576; split the text"
    ]


def test_documents_make_another_store(source):
    keys = {source(POEMS, documents=kind, held_out=0.0)[0].fingerprint() for kind in ("line", "block", "file")}
    assert len(keys) == 3


def test_documents_are_files_of_text(source, tmp_path):
    with pytest.raises(DataError, match=r"a\.csv is a table, of which each row is a text; leave --data\.documents out"):
        source(b"text\na b\nc d", "a.csv", documents="block")
    (tmp_path / "given.txt").write_text("1 2")
    with pytest.raises(DataError, match=r"data\.documents = 'file' has no sources"):
        source(b"a b", documents="file", given=str(tmp_path / "given.txt"))
    with pytest.raises(ConfigError, match=r"a made-up set has no files; leave --data\.documents out"):
        datasets.grammar(MadeUpSettings(documents="file"))
