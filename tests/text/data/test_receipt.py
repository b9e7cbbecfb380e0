"""What is said of text before training."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import LINES

from polygan_text.data.receipt import class_counts, repeats


def facts(opened):
    found = {}
    for name, text in opened[0].describe():
        found.setdefault(name, []).append(text)
    return found


def said(opened, word):
    return [text for text in facts(opened).get("advice", []) if word in text]


def test_rows_lengths_tokens_and_classes_are_told(source):
    rows = [{"text": " ".join(["a", "b", "c"][: 1 + i % 3] * (1 + i // 30)), "kind": "xy"[i % 2]} for i in range(60)]
    content = "\n".join([*map(json.dumps, rows), "broken"]).encode()
    told = facts(source(content, "a.json", label_column="kind", max_length=6, held_out=0.0))
    assert told["rows"] == [
        "61 in 1 file; 1 cannot be used (a.json line 61: is not JSON (Expecting value: line 1 column 1 (char 0)); correct the line)"
    ]
    assert told["reading"] == ["a.json is read as JSON lines"]
    assert told["length"] == [
        "2 tokens at most in 50 % of the texts, 6 in 90 %, 6 in 99 %, 6 in all; 10 of 60 are cut, which have more than 5 "
        "(--data.max_length)"
    ]
    assert told["tokenizer"] == ["words and marks; 6 tokens"]
    assert told["classes"] == ["2: x 30, y 30"]


def test_cut_and_dropped_texts_are_counted(source):
    lines = ["a b c d e", "a b", "c d e a b c"]
    cut = source(lines, max_length=4, held_out=0.0)
    assert facts(cut)["length"][0].endswith("2 of 3 are cut, which have more than 3 (--data.max_length)")
    assert said(cut, "67 % of the texts are too long: --data.max_length 7 keeps 90 % whole")
    dropped = source(lines, max_length=4, too_long="drop", held_out=0.0)
    assert facts(dropped)["length"][0].endswith("2 of 3 are left out, which have more than 3 (--data.max_length)")
    assert [tuple(left) for left in dropped[0].left_out] == [
        (2, "texts of more than 3 tokens", "--data.too_long is drop", "lines.txt line 1")
    ]


def test_repeats_within_training_and_between_the_splits_are_counted(source, tmp_path):
    test = tmp_path / "test.txt"
    test.write_text("the cat\nthe dog\nthe dog\nthe bird")
    made = source(["the dog", "the dog ", "the dog", "the cat", "a bird"], test=str(test))
    assert repeats(made[0].measured) == (2, 3)
    assert facts(made)["repeats"] == [
        "2 training texts repeat an earlier one; 3 of 4 held-out texts are training texts"
    ]
    assert said(made, "75 % of the held-out texts are training texts")


def test_unknown_words_are_told_and_much_of_them_brings_advice(source, tmp_path):
    test = tmp_path / "test.txt"
    test.write_text("the dog sees the zebra\nthe dog sees the bird")
    told = source(LINES, test=str(test))
    assert facts(told)["unknown"] == [
        "0.0 % of the training tokens and 10.0 % of the held-out tokens are outside the vocabulary"
    ]
    assert not said(told, "unknown")
    test.write_text("the zebra flies")
    assert said(source(LINES, test=str(test)), "67 % of the held-out tokens are unknown")


def test_a_large_vocabulary_brings_advice_with_numbers(source):
    lines = [" ".join(f"w{i + k}" for k in range(40)) for i in range(0, 24_000, 40)]
    large = source(lines, vocabulary=200_000, held_out=0.0)
    assert said(large, "24,003 tokens are many: the logits of 64 texts take 252 MB")
    assert said(large, "--data.vocabulary 5000 or --data.tokenizer bpe")
    assert not said(source(lines, held_out=0.0), "tokens are many")


def test_small_classes_and_classes_of_the_test_file_alone_bring_advice(source, tmp_path):
    test = tmp_path / "test.csv"
    test.write_text("text,kind\none two,new")
    rows = "\n".join(["text,kind", *(f"one two {i},big" for i in range(20)), "two one,small"])
    made = source(rows.encode(), "a.csv", label_column="kind", test=str(test))
    assert said(made, "fewer than 5 training texts have the class 'small' (1), 'new' (0)")


def test_class_counts_leave_out_rows_that_cannot_be_used(source):
    rows = [*(f"{i} two,big" for i in range(30)), "one,more,big", "stra\udcdfe,big"]
    content = "\n".join(["text,kind", *rows]).encode("utf-8", "surrogateescape")
    made, _ = source(content, "a.csv", label_column="kind")
    assert class_counts(made.measured) == {"big": 30}


def test_a_tokenizer_that_changes_texts_is_told(source, tmp_path):
    first, _ = source(["the dog", "a cat"], held_out=0.0)
    lower = json.loads(first.info["tokenizer"])
    lower["normalizer"]["normalizers"].insert(0, {"type": "Lowercase"})
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(lower))
    made = source(["the dog", "THE cat"], tokenizer=str(path), held_out=0.0)
    assert said(made, "the tokenizer changes texts: 'THE cat' becomes 'the cat'")
    assert not said(source(["the dog"], tokenizer=str(path), held_out=0.0), "changes texts")


@pytest.mark.parametrize("lines", [LINES, ["春眠不觉晓" * 3, "处处闻啼鸟"] * 9])
def test_usual_data_brings_no_advice(source, lines):
    assert "advice" not in facts(source(lines * 2, held_out=0.0))
