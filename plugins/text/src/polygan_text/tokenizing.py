"""Tokenizers of words, characters and byte pairs, trained with the library `tokenizers`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from polygan import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

START, EOS, UNK = 0, 1, 2
SPECIAL = ("<s>", "</s>", "<unk>")
_SPACE = "▁"


def train_tokenizer(kind: str, texts: Iterable[str], vocabulary: int, min_count: int) -> Tokenizer:
    """A tokenizer with at most ``vocabulary`` tokens, `SPECIAL` among them, each seen ``min_count`` times in the texts.

    ``word``: words and marks, a word with the space before it, so that decoding gives the text back (runs of white space
    become one); ``char``: characters; ``bpe``: pairs of bytes, which know every text. Raises DataError for a vocabulary
    of one token, of which there is nothing to learn.
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
