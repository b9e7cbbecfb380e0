"""Right-to-left text, combining marks and joiners come out as they were typed, in NFC and in NFD."""

from __future__ import annotations

import csv
import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from text_files import DOMAIN

from polygan import Samples
from polygan.data import build_store, split_store
from polygan_text.data.facts import text_info
from polygan_text.data.settings import TextSettings
from polygan_text.data.vocabulary import encode_given

TYPED = "café naïve Ångström 각하"
LETTERS = [
    unicodedata.normalize("NFC", TYPED),
    unicodedata.normalize("NFD", TYPED),
    "שָׁלוֹם עולם",
    "\u200fهذا نَصٌّ\u200f عربي، می\u200cخواهم",
    "हिन्दी में क्षत्रिय",
    "👩\u200d👩\u200d👧 🇩🇪 e\u0301\u0327",
]


def written(folder: Path, name: str) -> TextSettings:
    """The letters as texts and as sources, in a file."""
    path = folder / name
    pairs = [{"text": text, "long": text[::-1].strip() + " " + text} for text in LETTERS]
    given = "long"
    if name.endswith(".jsonl"):
        path.write_text("\n".join(json.dumps(pair, ensure_ascii=i % 2 == 0) for i, pair in enumerate(pairs)), "utf-8")
    elif name.endswith(".txt"):
        path.write_text("\n".join(pair["text"] for pair in pairs), "utf-8")
        given = str(folder / "given")
        (folder / "given").write_text("\n".join(pair["long"] for pair in pairs), "utf-8")
    else:
        mark = "\t" if name.endswith(".tsv") else ","
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ["long", "text"], delimiter=mark)
            table.writeheader()
            table.writerows(pairs)
    return TextSettings(source=str(path), cache=str(folder / "cache"), given=given, held_out=0.0)


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl"])
@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_letters_come_out_of_a_store_as_they_were_typed(tmp_path, name, tokenizer):
    settings = written(tmp_path, name)
    settings = TextSettings(**{**vars(settings), "tokenizer": tokenizer, "max_length": 200})
    store = build_store(DOMAIN.open(settings), settings, progress=False)
    split, rows = split_store(store, 0.0)["train"], np.arange(len(LETTERS))
    assert DOMAIN.real(split, rows).data == LETTERS
    assert [text[-len(own) :] for text, own in zip(DOMAIN.given(split, rows).data, LETTERS, strict=True)] == LETTERS


def test_letters_that_a_user_hands_in_stay_as_they_were_typed(tmp_path):
    settings = written(tmp_path, "a.jsonl")
    info = DOMAIN.open(settings).info
    (tmp_path / "input.txt").write_text("\n".join(LETTERS), "utf-8")
    ways = [
        *DOMAIN.read(tmp_path / "input.txt", info),
        *DOMAIN.read_text([f"{text}\n" for text in LETTERS], info),
        DOMAIN.take(LETTERS, info),
    ]
    assert [way.data for way in ways] == [LETTERS] * 3
    joined = ["".join(pieces).replace("▁", " ").strip() for pieces in encode_given(LETTERS, text_info(info))[1]]
    assert joined == LETTERS


def test_letters_are_written_as_they_are(tmp_path):
    samples = Samples(LETTERS, DOMAIN)
    for name in ("out.txt", "out.csv", "out.jsonl"):
        samples.save(tmp_path / name)
    assert (tmp_path / "out.txt").read_text("utf-8").splitlines() == LETTERS
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == LETTERS
    entries = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(entry)["text"] for entry in entries] == LETTERS
    assert list(DOMAIN.lines(samples)) == LETTERS
