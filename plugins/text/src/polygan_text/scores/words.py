"""The words of texts, which scores compare whatever the tokenizer of a run is.

A score of words compares across tokenizers: a run of byte pairs and a run of characters are measured by the same rule.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from tokenizers import Regex, pre_tokenizers

from ..data.facts import UNK, text_info, tokens_of
from ..data.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from polygan import Samples

Words = Sequence[Hashable]
"""A text: its words, or its tokens where tokens are only numbers."""
UNKNOWN = None
"""Stands in `Words` for a word outside the vocabulary, which matches nothing."""
_GAP = "\ue000"  # a private character: stands in a text for what the vocabulary does not know
_NO_SPACES = (
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Tibetan}\p{Myanmar}\p{Khmer}]"  # no spaces between words
)
_CUTTER = pre_tokenizers.Split(
    Regex(rf"(?={_NO_SPACES})\X|(?:(?!{_NO_SPACES})[\w\x{{200C}}\x{{200D}}{_GAP}])+|(?!\s)\X"), "removed", invert=True
)


def cut(text: str) -> list[str]:
    """Words and single marks, without white space. In scripts without spaces (Chinese, Thai), a word is one character with its marks.

    Combining marks and joiners of width 0 belong to their word. Upper and lower case stay.
    """
    return [word for word, _ in _CUTTER.pre_tokenize_str(text)]


def first_words(text: str, n: int) -> str:
    """The beginning of a text, up to the end of its word number ``n``."""
    places = [place for _, place in _CUTTER.pre_tokenize_str(text)[:n]]
    return text[: places[-1][1]] if places else ""


def unit(info: Mapping[str, Any]) -> str:
    """What `words_of` gives, for the note of a score: words, or tokens where the data has no words."""
    return "words" if "tokenizer" in info else "tokens"


def words_of(samples: Samples, info: Mapping[str, Any]) -> list[Words]:
    """The words of each text. A word with a part outside the vocabulary is `UNKNOWN`.

    Data without a tokenizer (the set ``oracle``) has no words: then the tokens up to the end stand for them.
    """
    if "tokenizer" not in info:
        eos = text_info(info)["eos"]
        rows = tokens_of(samples).tolist()
        return rows if eos is None else [row[: row.index(eos)] if eos in row else row for row in rows]
    return [[UNKNOWN if _GAP in word else word for word in cut(text)] for text in marked(samples, info)]


def marked(samples: Samples, info: Mapping[str, Any], mark: str = _GAP) -> list[str]:
    """The texts, with ``mark`` in the place of each token outside the vocabulary, a word of its own where tokens are words."""
    if "tokenizer" not in info or "tokens" not in samples.extra:
        return list(samples.data)
    rows = (tokens_of(samples) == UNK).any(1).tolist()
    shown, whole = _unknown(info["tokenizer"])
    if not shown:  # a tokenizer of bytes knows every text
        return list(samples.data)
    mark = f" {mark} " if whole else mark
    return [text.replace(shown, mark) if row else text for text, row in zip(samples.data, rows, strict=True)]


@lru_cache(maxsize=4)
def _unknown(tokenizer: str) -> tuple[str, bool]:
    """How a tokenizer writes what it does not know, and whether this is a whole word, with the space before it."""
    vocabulary = load_vocabulary(tokenizer)
    (shown,) = vocabulary.decode([[UNK]])
    cutter = vocabulary.tokenizer.pre_tokenizer
    single = cutter is not None and len(cutter.pre_tokenize_str("ab")) > 1  # characters
    return shown.strip(), json.loads(tokenizer)["model"]["type"] in ("WordLevel", "WordPiece") and not single
