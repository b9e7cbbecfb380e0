"""Tokenizers: trained by kind or by script, and given by the user; what a text holds is text."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN, LINES, texts

from polygan import ConfigError, DataError
from polygan_text.data.vocabulary import decode

FAMILY, FLAG, ACCENT = "👩\u200d👩\u200d👧", "🇩🇪", "e\u0301"
SPECIAL = ["<s> hello </s> <unk> world", "<s>", "a<s>b</s>c<unk>", "hello <s>"]


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
@pytest.mark.parametrize("name", ["lines.txt", "lines.txt.gz"])
def test_text_comes_back_from_its_tokens(source, tokenizer, name):
    lines = [
        "Ein  Hund, der bellt.",
        "a▁b ▁ c",
        "it's 3.5 o'clock (at last)!",
        "春眠不觉晓",
        "naïve — “quoted” 🙂",
        "a_b c-d",
    ]
    got, info = texts(source(lines, name, tokenizer=tokenizer, held_out=0.0))
    expected = [" ".join(line.split()) for line in lines] if tokenizer == "word" else lines
    assert sorted(got["train"]) == sorted(expected)
    assert info["eos"] == 1
    assert info["unknown"] == 0


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe"])
def test_breaks_within_a_text_and_joined_characters_come_back(source, tokenizer):
    lines = [f"one {FAMILY}\nb{FLAG} caf{ACCENT}!", "a\n\nb", "می\u200cخواهم 1️⃣", "नमस्ते ක්\u200dෂ"]
    content = "\n".join(json.dumps({"text": line}) for line in lines).encode()
    got, info = texts(source(content, "a.jsonl", tokenizer=tokenizer, held_out=0.0))
    assert got["train"] == lines
    assert info["unknown"] == 0


def test_what_a_reader_sees_as_one_character_is_one_token(source):
    lines = [f"x{FAMILY}y{FLAG}{ACCENT}", f"{FAMILY} {ACCENT}"]
    vocabulary = set(json.loads(source(lines, tokenizer="char", held_out=0.0)[0].info["tokenizer"])["model"]["vocab"])
    assert vocabulary == {"<s>", "</s>", "<unk>", "x", "y", " ", FAMILY, FLAG, ACCENT}
    words = json.loads(source(lines, tokenizer="word", held_out=0.0)[0].info["tokenizer"])["model"]["vocab"]
    assert {FAMILY, FLAG, f"▁{FAMILY}", f"▁{ACCENT}"} <= words.keys()


@pytest.mark.parametrize("tokenizer", ["word", "char", "bpe", "given"])
def test_special_tokens_within_a_text_are_text(source, tokenizer, tmp_path):
    if tokenizer == "given":
        tokenizer = str(tmp_path / "tokenizer.json")
        byte_pairs(SPECIAL).save(tokenizer)
    made, options = source(SPECIAL * 3, tokenizer=tokenizer, held_out=0.0)
    assert sorted(texts((made, options))[0]["train"]) == sorted(SPECIAL * 3)
    for i in range(len(made)):
        tokens = made.decode(i)["tokens"].tolist()
        inner = tokens[: tokens.index(1)]
        assert inner
        assert not {0, 1, 2} & set(inner)


@pytest.mark.parametrize(
    ("line", "kind"),
    [("春眠不觉晓处处闻啼鸟", "char"), ("สวัสดีครับ", "char"), ("the old dog sees", "word"), ("한국어는 좋다", "word")],
)
def test_a_script_without_spaces_is_cut_into_characters(source, line, kind):
    lines = [f"{line}{i % 3}" for i in range(30)]
    chosen, options = source(lines)
    named = DOMAIN.open(replace(options, tokenizer=kind))
    assert chosen.info == named.info
    assert chosen.fingerprint() == named.fingerprint()


def test_words_of_a_script_without_spaces_leave_the_held_out_split_unknown_and_characters_do_not(source):
    """What the choice is for: half-verses as words make a corpus of words that occur once."""
    verses = ["".join("春眠不觉晓处处闻啼"[(i * k + 3 * k + i // 9) % 9] for k in range(1, 8)) for i in range(80)]
    lines = [f"{a}，{b}" for a, b in zip(verses, reversed(verses), strict=True)]
    assert source(lines)[0].info["unknown_held_out"] == 0
    words = source(lines, tokenizer="word")[0]
    assert words.info["unknown_held_out"] > 0.1
    assert [fact.text for fact in words.describe() if "try --data.tokenizer char" in fact.text]


def byte_pairs(lines, unknown=None, special=("[PAD]", "[CLS]")):
    """A tokenizer of bytes, as another program makes it: with other special tokens, and a rule that adds one."""
    made = Tokenizer(models.BPE(unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        lines, trainers.BpeTrainer(special_tokens=list(special), initial_alphabet=alphabet, show_progress=False)
    )
    made.enable_truncation(3)
    made.enable_padding(length=7)
    return made


def word_level(lines):
    """A tokenizer of words that knows few words."""
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(lines, trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]"], show_progress=False))
    return made


def test_a_tokenizer_json_is_taken_from_a_file_or_its_folder(source, tmp_path):
    path = tmp_path / "mine/tokenizer.json"
    path.parent.mkdir()
    byte_pairs(LINES).save(str(path))
    made, options = source(LINES, tokenizer=str(path), held_out=0.0)
    assert sorted(texts((made, options))[0]["train"]) == sorted(LINES)
    assert made.info["vocabulary"] == 3 + byte_pairs(LINES).get_vocab_size()
    assert made.info["length"] > 4  # the file's own truncation is not used
    folder = replace(options, tokenizer=str(path.parent))
    assert DOMAIN.open(folder).fingerprint() == made.fingerprint()
    byte_pairs(["other words"]).save(str(path))
    assert DOMAIN.open(folder).fingerprint() != made.fingerprint()


def test_a_given_tokenizer_s_unknown_words_count_as_unknown(source, tmp_path):
    path = tmp_path / "tokenizer.json"
    word_level(["the old dog sees the bird ."]).save(str(path))
    made, _ = source(["the old dog", "the zebra sees"], tokenizer=str(path), held_out=0.0)
    rows = [made.decode(i)["tokens"].tolist() for i in range(2)]
    assert [row.count(2) for row in rows] == [0, 1]
    assert made.info["unknown"] == pytest.approx(1 / 6, abs=1e-5)
    assert decode(torch.tensor(rows), made.info) == ["the old dog", "the [UNK] sees"]


def test_the_tokenizer_of_a_run_or_of_an_exported_model_is_taken(source, tmp_path):
    first, _ = source(LINES, held_out=0.0)
    run = tmp_path / "runs/r"
    run.mkdir(parents=True)
    facts = json.dumps({"count": 3, "info": first.info})
    (run / "data.json").write_text(facts)
    (tmp_path / "model.json").write_text(facts)
    for place in (run, run / "data.json", tmp_path / "model.safetensors"):
        made, _ = source(["the dog sees", "a zebra"], tokenizer=str(place), held_out=0.0)
        assert made.info["tokenizer"] == first.info["tokenizer"]
        assert made.info["vocabulary"] == first.info["vocabulary"]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("words", None, ConfigError, r"tokenizer = 'words' \(did you mean 'word'\?\): known are auto, word, char, bpe"),
        ("runs/nowhere", None, ConfigError, "no such file or folder in /"),
        (".", None, ConfigError, r"the folder holds neither data.json nor tokenizer.json"),
        ("t.json", "nonsense", DataError, r"t.json is not JSON"),
        ("t.json", "[" * 100_000, DataError, r"t.json is not JSON"),
        ("t.json", "{}", DataError, r"t.json is no tokenizer that the library `tokenizers` reads"),
        ("t.json", '{"info": {"vocabulary": 3}}', DataError, "belongs to a run without a tokenizer"),
        ("t.json", '{"model": {"type": "WordLevel", "vocab": {"a": 4000000000}, "unk_token": "a"}}', DataError, "numbers 1 tokens up to 4,000,000,004"),
    ],
)  # fmt: skip
def test_a_tokenizer_that_cannot_be_taken_is_refused(source, tmp_path, monkeypatch, name, content, error, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(error, match=message):
        source(LINES, tokenizer=name)


def test_older_runs_cut_plain_texts_by_the_same_rules(source):
    """A tokenizer's rules are part of a run, and `resume` compares them."""
    word = json.loads(source(LINES, tokenizer="word")[0].info["tokenizer"])
    assert word["pre_tokenizer"]["pretokenizers"][1]["pattern"] == {"Regex": r"▁?[\w&&[^▁]]+|▁?[^\w▁]|▁"}
    assert [n["type"] for n in word["normalizer"]["normalizers"]] == ["Replace", "Strip", "Prepend"]
    assert word["decoder"]["type"] == "Metaspace"
    assert json.loads(source(LINES, tokenizer="char")[0].info["tokenizer"])["pre_tokenizer"]["pattern"] == {
        "Regex": r"[\s\S]"
    }
