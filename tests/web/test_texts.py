"""The text of each token, and the facts of a page of texts."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from little_graphs import step

from polygan_web.export import facts_of
from polygan_web.graphs import read
from polygan_web.texts import pieces

tokenizers = pytest.importorskip("tokenizers")
SPECIAL = ["<s>", "</s>", "<unk>"]


def known(tokenizer, shift=0, **more):
    """The facts that polygan's export of a policy writes about a tokenizer."""
    names = {i: token for token, i in tokenizer.get_vocab().items()}
    own = [names.get(i, "") for i in range(max(names) + 1)]
    words = [*SPECIAL, *own] if shift else own
    return {"tokenizer": tokenizer.to_str(), "words": words, "shift": shift, "start": 0, "end": 1, "unknown": 2, **more}


def of_words(words, decoder):
    model = tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    made = tokenizers.Tokenizer(model)
    made.decoder = decoder
    return made


@pytest.mark.parametrize(
    ("words", "decoder", "found"),
    [
        (["▁the", "▁cat", "s", "."], tokenizers.decoders.Metaspace(), [" the", " cat", "s", "."]),
        (["the", "cat", "##s", "."], tokenizers.decoders.WordPiece(), [" the", " cat", "s", "."]),
        (["the</w>", "c", "at</w>", ".</w>"], tokenizers.decoders.BPEDecoder(), ["the ", "c", "at ", ". "]),
    ],
)
def test_pieces_make_the_text_that_the_tokenizer_makes(words, decoder, found):
    tokenizer = of_words([*SPECIAL, *words], decoder)
    got, as_bytes = pieces(known(tokenizer))
    assert not as_bytes
    assert got[:3] == ["", "", ""]
    rows = ([3, 4, 5, 6], [4, 5], [6, 3])
    for row in rows:
        assert "".join(got[i] for i in row).strip() == tokenizer.decode(row, skip_special_tokens=False).strip()
    assert got[3:] == found


def test_numbers_of_a_tokenizer_that_begins_otherwise_are_shifted():
    tokenizer = of_words(["▁the", "▁cat", "<unk>"], tokenizers.decoders.Metaspace())
    got, _ = pieces(known(tokenizer, shift=3))
    assert got[:5] == ["", "", "", " the", " cat"]


def test_a_tokenizer_of_bytes_gives_bytes():
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    text = "naïve 日本, a\n😀"
    tokenizer.train_from_iterator([text] * 3, vocab_size=270, special_tokens=SPECIAL)
    whole = tokenizers.Tokenizer.from_str(tokenizer.to_str())
    got, as_bytes = pieces(known(whole))
    assert as_bytes
    row = whole.encode(text).ids
    assert bytes(map(ord, "".join(got[i] for i in row))).decode() == text


def test_without_a_tokenizer_tokens_are_numbers(tmp_path):
    assert pieces({"start": 0, "end": None}) == ([], False)
    facts = facts_of(
        SimpleNamespace(info={}), read([step(tmp_path / "s.onnx", np.zeros((4, 4)), {"length": 9, "end": None})])
    )
    assert facts == {
        "kind": "text", "length": 9, "start": 0, "end": None, "state": 2, "classes": [], "pieces": [], "bytes": False, "banned": []
    }  # fmt: skip


def test_a_page_of_texts_bans_the_unknown_word(tmp_path):
    tokenizer = of_words([*SPECIAL, "▁the", "▁cat"], tokenizers.decoders.Metaspace())
    file = step(tmp_path / "s.onnx", np.zeros((5, 5)), {"length": 9, **known(tokenizer)}, classes=["<i>", "b"])
    facts = facts_of(SimpleNamespace(info={}), read([file]))
    assert (facts["banned"], facts["classes"], facts["pieces"]) == ([2], ["<i>", "b"], ["", "", "", " the", " cat"])
    json.dumps(facts, allow_nan=False)
