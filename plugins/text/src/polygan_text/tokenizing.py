"""Tokenizers of words, characters and byte pairs, trained with the library `tokenizers`: texts to tokens and back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from polygan import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from .facts import TextInfo

START, EOS, UNK = 0, 1, 2
OPEN = -1
"""Marks a place that a prefix leaves open: its token is drawn."""
SPECIAL = ("<s>", "</s>", "<unk>")
_SPACE = "▁"


def train_tokenizer(kind: str, texts: Iterable[str], vocabulary: int, min_count: int) -> Tokenizer:
    """A tokenizer with at most ``vocabulary`` tokens, `SPECIAL` among them, each seen ``min_count`` times in the texts.

    ``word``: words and marks, a word with the space before it, so that decoding gives the text back (runs of white space
    become one); ``char``: characters; ``bpe``: pairs of bytes, which can write every text. Raises DataError for a
    vocabulary of one token: there is nothing to learn.
    """
    options = {"vocab_size": vocabulary, "show_progress": False, "special_tokens": list(SPECIAL)}
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(min_frequency=min_count, initial_alphabet=alphabet, **options)
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL[UNK]))
        trainer = trainers.WordLevelTrainer(min_frequency=min_count, **options)
        if kind == "word":
            tokenizer.normalizer = normalizers.Sequence(
                [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(), normalizers.Prepend(" ")]
            )
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [
                    pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="never", split=False),
                    pre_tokenizers.Split(
                        Regex(rf"{_SPACE}?[\w&&[^{_SPACE}]]+|{_SPACE}?[^\w{_SPACE}]|{_SPACE}"), "isolated"
                    ),
                ]
            )
            tokenizer.decoder = decoders.Metaspace(replacement=_SPACE, prepend_scheme="always")
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
            tokenizer.decoder = decoders.Fuse()
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() < len(SPECIAL) + 2:
        known = [t for t in tokenizer.get_vocab() if t not in SPECIAL]
        raise DataError(
            f"the text has a vocabulary of {len(known)} token(s) ({', '.join(map(repr, known)) or 'none'}); there is nothing to "
            "learn: give other text, --data.tokenizer char, or a smaller --data.min_count"
        )
    return tokenizer


@lru_cache(maxsize=4)
def load_tokenizer(text: str) -> Tokenizer:
    """The tokenizer of a run, from its JSON."""
    return Tokenizer.from_str(text)


def decode(tokens: Tensor, info: TextInfo) -> list[str]:
    """Texts of tokens (n, L), up to the end token; ids with spaces between if the data has no tokenizer."""
    rows = tokens.tolist()
    eos = info["eos"]
    if eos is not None:
        rows = [row[: row.index(eos)] if eos in row else row for row in rows]
    if "tokenizer" not in info:
        return [" ".join(map(str, row)) for row in rows]
    tokenizer = load_tokenizer(info["tokenizer"])
    shown = tokenizer.decode_batch([[t for t in row if t != START] for row in rows], skip_special_tokens=False)
    return list(shown)


def encode_prefix(text: str, info: TextInfo, name: str = "prefix") -> list[int]:
    """The tokens of a beginning. Raises ConfigError, with its ``name``, if the beginning is too long or has unknown words."""
    if not text.strip():
        return []
    where = f"{name} {text!r}"
    if "tokenizer" not in info:
        words = text.split()
        if not all(w.isdecimal() and int(w) < info["vocabulary"] for w in words):
            raise ConfigError(f"{where}: this data has no words, only numbers below {info['vocabulary']}; use numbers")
        ids = [int(w) for w in words]
    else:
        found = load_tokenizer(info["tokenizer"]).encode(text)
        ids = found.ids
        places = zip(ids, found.tokens, found.offsets, strict=True)
        unknown = [text[b:e].strip() or token for i, token, (b, e) in places if i == UNK]
        if unknown:
            raise ConfigError(
                f"{where}: {', '.join(map(repr, unknown[:5]))} {'is' if len(unknown) == 1 else 'are'} not in the vocabulary "
                f"of {info['vocabulary']} tokens ({SPECIAL[UNK]}); use words of the training data"
            )
    if len(ids) >= info["length"]:
        raise ConfigError(
            f"{where} has {len(ids)} tokens, and a text of this run has at most {info['length']}; shorten the beginning"
        )
    return ids


def encode_prefixes(texts: Sequence[str], names: Sequence[str], info: TextInfo) -> Tensor:
    """The tokens (n, K) of texts' beginnings, K of the longest; `OPEN` fills the rest. ``names`` are line numbers, or empty."""
    called = [f"line {name}:" for name in names] or ["prefix"] * len(texts)
    rows = [encode_prefix(text, info, name) for text, name in zip(texts, called, strict=True)]
    width = max(map(len, rows), default=0)
    return torch.tensor([row + [OPEN] * (width - len(row)) for row in rows], dtype=torch.long).view(len(rows), width)
