"""What a user wants to know of text before training: rows, lengths, tokens, classes, repeats, and advice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from polygan import Fact

from .facts import UNK, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from .corpus import Corpus
    from .facts import TextInfo
    from .settings import TextSettings
    from .sources import Sources
    from .tokenizing import Cut

UNKNOWN = 0.1
"""Share of unknown held-out tokens above which polygan advises another tokenizer."""
_LARGE = 20_000  # tokens of a vocabulary; the default is 5,000
_CUT = 0.25  # share of cut texts
_SEEN = 0.1  # share of held-out texts that stand in the training texts too
_RARE = 5  # rows of a class
_SHOWN = 8  # classes that are listed
_LOOK = 1000  # texts that are decoded again


@dataclass(frozen=True)
class Measured:
    """A corpus that is cut into tokens, and what was counted on the way."""

    corpus: Corpus
    settings: TextSettings
    cut: Cut
    bad: Mapping[int, str]
    """Why rows cannot be used."""
    held_out: np.ndarray
    """(n,) 1 for held-out rows."""
    rows: np.ndarray
    """The rows that are samples, readable or not."""
    lengths: np.ndarray
    """Tokens of each row that can be used, without the end."""
    limit: int
    """Most tokens of a sample, the end among them."""
    length: int
    """Tokens of each sample in the store."""
    unknown: tuple[float, float]
    """Share of unknown tokens in training texts and in held-out texts, [0, 1]."""

    @property
    def long(self) -> int:
        """How many rows are too long."""
        return int((self.lengths >= self.limit).sum())


def receipt(source: Measured, sources: Sources | None = None) -> list[Fact]:
    """The facts of a source, and advice where something is unusual. ``sources``: what the texts are made from."""
    facts = [_rows(source), *(Fact("reading", note) for note in source.corpus.notes)]
    facts += [
        _lengths(source),
        *([] if sources is None else _sources(sources)),
        Fact("tokenizer", f"{source.cut.words}; {source.cut.vocabulary.size:,} tokens"),
        _unknown(source),
    ]
    if source.corpus.classes:
        facts.append(_classes(source))
    within, between = repeats(source)
    facts.append(_repeats(source, within, between))
    advice = [*_advice(source), *_advice_on_classes(source), *([] if sources is None else _advice_on_sources(sources))]
    if between > _SEEN * (held_out := int(source.held_out[source.rows].sum())):
        share = percent(between / held_out)
        advice.append(
            f"{share} of the held-out {_unit(source)} are training {_unit(source)}, which flatters scores: remove repeats"
        )
    return facts + [Fact("advice", text) for text in advice]


def _rows(source: Measured) -> Fact:
    corpus, bad = source.corpus, source.bad
    text = f"{len(corpus):,} in {len(corpus.files):,} file{'s' if len(corpus.files) != 1 else ''}"
    if bad:
        first = min(bad)
        text += f"; {len(bad):,} cannot be used ({corpus.name(first)}: {bad[first]})"
    return Fact("rows", text)


def _lengths(source: Measured) -> Fact:
    lengths, text = source.lengths, _quantiles(source.lengths, "texts")
    if source.long:
        verb = "left out" if source.settings.too_long == "drop" else "cut"
        text += f"; {source.long:,} of {len(lengths):,} are {verb}, which have more than {source.limit - 1:,} (--data.max_length)"
    return Fact("length", text)


def _quantiles(lengths: np.ndarray, what: str) -> str:
    half, most, nearly = (_quantile(lengths, q) for q in (50, 90, 99))
    return f"{half:,} tokens at most in 50 % of the {what}, {most:,} in 90 %, {nearly:,} in 99 %, {lengths.max(initial=0):,} in all"


def _sources(sources: Sources) -> Iterator[Fact]:
    """How long the sources are, and how many unknown words of the texts a model can copy from them."""
    text = _quantiles(sources.lengths, "sources")
    if sources.long:
        text += f"; {sources.long:,} of {len(sources.lengths):,} are cut, which have more than {sources.limit - 1:,} (--data.given_length)"
    yield Fact("sources", f"{text}; {percent(sources.unknown_share, 1)} of their tokens are outside the vocabulary")
    share = percent(sources.copies / max(1, sources.unknown))
    yield Fact(
        "copies",
        f"{sources.copies:,} of {sources.unknown:,} unknown words of the texts ({share}) stand in their source, and can be copied",
    )


def _advice_on_sources(sources: Sources) -> Iterator[str]:
    if sources.long > _CUT * len(sources.lengths):
        enough = _quantile(sources.lengths, 90) + 1
        share = percent(sources.long / len(sources.lengths))
        yield f"{share} of the sources are cut: --data.given_length {enough} keeps 90 % whole"


def _quantile(lengths: np.ndarray, percent: float) -> int:
    """The length that this share of texts does not exceed."""
    return int(np.percentile(lengths, percent, method="inverted_cdf")) if len(lengths) else 0


def _unknown(source: Measured) -> Fact:
    train, held_out = (percent(share, 1) for share in source.unknown)
    others = f" and {held_out} of the held-out tokens" if source.held_out.any() else ""
    return Fact("unknown", f"{train} of the training tokens{others} are outside the vocabulary")


def _repeats(source: Measured, within: int, between: int) -> Fact:
    held_out = int(source.held_out[source.rows].sum())
    unit = _unit(source)
    others = f"; {between:,} of {held_out:,} held-out {unit} are training {unit}" if held_out else ""
    return Fact("repeats", f"{within:,} training {unit} repeat an earlier one{others}")


def _unit(source: Measured) -> str:
    """What a sample is: a text, or a pair of a text and its source."""
    return "texts" if source.corpus.given is None else "pairs"


def _classes(source: Measured) -> Fact:
    counts = class_counts(source)
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(_SHOWN))
    more = f", and {len(counts) - _SHOWN:,} more" if len(counts) > _SHOWN else ""
    return Fact("classes", f"{len(counts):,}: {shown}{more}")


def class_counts(source: Measured, *, train: bool = False) -> Counter[str]:
    """How many texts that can be used each class has, among all texts or among training texts."""
    corpus = source.corpus
    rows = [i for i in source.rows.tolist() if i not in source.bad and not (train and source.held_out[i])]
    labels = np.zeros(0, np.int64) if corpus.labels is None else corpus.labels[rows]
    counts = np.bincount(labels, minlength=len(corpus.classes))
    return Counter(dict(zip(corpus.classes, counts.tolist(), strict=True)))


def repeats(source: Measured) -> tuple[int, int]:
    """How many training texts repeat an earlier training text, and how many held-out texts are training texts.

    A text with a source counts as a repeat only where both are the same.
    """
    keys = np.fromiter(_keys(source), np.int64, len(source.rows))
    held_out = source.held_out[source.rows] > 0
    known = np.unique(keys[~held_out])
    return int((~held_out).sum()) - len(known), int(np.isin(keys[held_out], known).sum())


def _keys(source: Measured) -> Iterator[int]:
    """A number for each text, equal for equal texts; rows that cannot be used have numbers of their own."""
    for row in source.rows.tolist():
        text = row.to_bytes(8, "big") if row in source.bad else b" " + source.corpus.bytes_of(row).strip()
        if source.corpus.given is not None:
            text += b"\0" + source.corpus.given.bytes_of(row).strip()
        yield int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


def _advice(source: Measured) -> Iterator[str]:
    """What to type where a vocabulary or a length does not suit the data."""
    size, length = source.cut.vocabulary.size, source.length
    unknown = source.unknown[1]
    if unknown > UNKNOWN:
        yield (
            f"{percent(unknown)} of the held-out tokens are unknown and count in no score: try --data.tokenizer char or bpe, a larger "
            "--data.vocabulary, or more data"
        )
    if source.settings.tokenizer == "word" and source.cut.unspaced:
        yield f"words have no spaces between them ({source.cut.unspaced}): try --data.tokenizer char"
    if size > _LARGE:
        memory = 64 * length * size * 4 / 1e6
        yield (
            f"{size:,} tokens are many: the logits of 64 texts take {memory:,.0f} MB, and a token takes {size / 5000:.0f} times as "
            "long to draw as from 5,000; try --data.vocabulary 5000 or --data.tokenizer bpe"
        )
    if source.long > _CUT * len(source.lengths):
        enough = _quantile(source.lengths, 90) + 1
        yield f"{percent(source.long / len(source.lengths))} of the texts are too long: --data.max_length {enough} keeps 90 % whole"
    if (changed := first_change(source)) is not None:
        yield f"the tokenizer changes texts: {changed[0]!r} becomes {changed[1]!r}"


def _advice_on_classes(source: Measured) -> Iterator[str]:
    counts = class_counts(source, train=True).most_common()
    few = [f"{name!r} ({count})" for name, count in counts if count < _RARE]
    if few:
        more = f" and {len(few) - _SHOWN:,} more" if len(few) > _SHOWN else ""
        yield f"fewer than {_RARE} training texts have the class {', '.join(few[:_SHOWN])}{more}: merge or remove such classes"


def first_change(source: Measured) -> tuple[str, str] | None:
    """A text that a tokenizer of the user's does not give back, and what it gives; white space aside."""
    if not source.cut.given:
        return None
    rows = [i for i in source.rows[:_LOOK].tolist() if i not in source.bad]
    texts = [source.corpus.text(i) for i in rows]
    found = source.cut.vocabulary.encode(texts)
    back = source.cut.vocabulary.decode(found)
    for text, ids, again in zip(texts, found, back, strict=True):
        if UNK not in ids and text.split() != again.split():
            return text[:80], again[:80]
    return None


def unknown_note(tokens: Tensor, info: TextInfo) -> str:
    """What a note on a likelihood says of unknown words in texts (n, L); empty for data without words."""
    if "tokenizer" not in info:
        return ""
    inner = (tokens == info["eos"]).cumsum(1) == 0
    share = float(((tokens == UNK) & inner).sum() / inner.sum().clamp(min=1))
    advice = "; try --data.tokenizer char or bpe" if share > UNKNOWN else ""
    return f"; {percent(share, 1)} of the tokens are unknown and do not count{advice}"
