"""The domain ``text``: settings, sources of lines, tokens and back, files, and cheap features."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch

from polygan import (
    ConfigError,
    DataError,
    DataSettings,
    Domain,
    Field,
    Passage,
    Samples,
    Source,
    did_you_mean,
    split_rows,
)

from .corpus import Corpus, identity, read_corpus
from .tokenizing import EOS, SPECIAL, START, UNK, load_tokenizer, train_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenizers import Tokenizer
    from torch import Tensor

    from polygan import Batch, Piece, Split

_VERSION = 1  # of what `decode` returns for the same file and settings
_SHOWN = 100  # texts in a report
_BATCH = 10_000  # lines that are encoded at a time
_BUCKETS = 512  # of hashed pairs of tokens


@dataclass(frozen=True, kw_only=True)
class TextSettings(DataSettings):
    """How text is read and cut into tokens."""

    tokenizer: Literal["word", "char", "bpe"] = "word"
    """word: words and marks, rare ones become <unk>; char: characters; bpe: byte pairs, which know every text."""
    vocabulary: int = 5000
    """Most tokens of the vocabulary, >= 5."""
    min_count: int = 1
    """Times that a word (character, pair) occurs in the training split before it gets a token of its own, >= 1."""
    max_length: int = 0
    """Most tokens of a sample, the end among them, >= 2; 0: 64 (the set `oracle`: 20)."""
    too_long: Literal["cut", "drop"] = "cut"
    """What becomes of longer samples; both are counted."""
    column: str = "text"
    """The column of CSV and JSON lines that holds the text."""
    label_column: str = ""
    """The column that holds the class; empty: no classes."""
    test: str = ""
    """A file or folder of texts that are held out, of the same columns; empty: a share `held_out` of the source is."""
    size: int = 10_000
    """Samples of the sets that are made up (`oracle`, `grammar`), >= 2."""
    oracle: str = ""
    """A .safetensors file of the set `oracle`; empty: drawn from N(0, 1) by oracle_seed."""
    oracle_seed: int = 0
    """Seed of the oracle's parameters and of its samples, >= 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("vocabulary", 5), ("min_count", 1), ("size", 2), ("oracle_seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"data.{name} = {getattr(self, name)} is too small; the least is {least}")
        if self.max_length != 0 and self.max_length < 2:
            raise ConfigError(f"data.max_length = {self.max_length}; a text needs at least 2 tokens, 0 is 64")
        for name, known in (("tokenizer", ("word", "char", "bpe")), ("too_long", ("cut", "drop"))):
            if getattr(self, name) not in known:
                raise ConfigError(f"data.{name} = {getattr(self, name)!r}; known are {', '.join(known)}")


class TextSource(Source):
    """Lines as token ids int32 (L,), padded with the end token. The tokenizer has seen the training split alone."""

    def __init__(self, corpus: Corpus, settings: TextSettings, files: str) -> None:
        """``files`` tells one state of the files from another."""
        if not len(corpus):
            raise DataError(f"data {settings.source!r} holds no text: every line is empty")
        self.corpus, self.settings = corpus, settings
        self._bad = {i: why for i in range(len(corpus)) if (why := _unreadable(corpus, i))}
        self._held_out = np.zeros(len(corpus), np.uint8)
        if corpus.first_test is None:
            self._held_out[split_rows(len(corpus), settings.held_out)["held_out"]] = 1
        else:
            self._held_out[corpus.first_test :] = 1
        seen = (corpus.text(i) for i in range(len(corpus)) if not self._held_out[i] and i not in self._bad)
        tokenizer = train_tokenizer(settings.tokenizer, seen, settings.vocabulary, settings.min_count)
        self._ids, self._offsets = _encode(tokenizer, corpus, self._bad)
        lengths = np.diff(self._offsets)
        limit = settings.max_length or 64
        long = lengths >= limit
        drop = long if settings.too_long == "drop" else np.zeros_like(long)
        self._rows = np.flatnonzero(~drop)
        if not len(self._rows):
            raise DataError(
                f"every text of {settings.source!r} has more than {limit - 1} tokens; raise --data.max_length or use "
                "--data.too_long cut"
            )
        length = min(limit, 1 + max(1, int(lengths[self._rows].max())))
        self.fields = {"tokens": Field("int32", (length,)), "held_out": Field("uint8", ())}
        if corpus.labels is not None:
            self.fields["label"] = Field("int64", ())
        self.info: dict[str, Any] = {
            "vocabulary": tokenizer.get_vocab_size(),
            "length": length,
            "start": START,
            "eos": EOS,
            "classes": list(corpus.classes),
            "tokenizer": tokenizer.to_str(),
            "too_long": f"{int(long.sum())} {'dropped' if drop.any() else 'cut'}",
            "unknown": round(float((self._ids == UNK).mean()) if len(self._ids) else 0.0, 6),
        }
        s = settings
        facts = (_VERSION, files, s.tokenizer, s.vocabulary, s.min_count, limit, s.too_long, s.column, s.label_column)
        self._key = hashlib.blake2b(repr((*facts, s.held_out)).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self._rows)

    def fingerprint(self) -> str:
        """Of the files, the settings and the split that the tokenizer was trained on."""
        return self._key

    def name(self, index: int) -> str:
        """The file and the line."""
        return self.corpus.name(int(self._rows[index]))

    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """The tokens of one line."""
        row = int(self._rows[index])
        if row in self._bad:
            raise DataError(self._bad[row])
        length = self.info["length"]
        ids = self._ids[self._offsets[row] : self._offsets[row + 1]][: length - 1]
        tokens = np.full(length, EOS, np.int32)
        tokens[: len(ids)] = ids
        arrays = {"tokens": tokens, "held_out": self._held_out[row]}
        if self.corpus.labels is not None:
            arrays["label"] = self.corpus.labels[row]
        return arrays


def _encode(tokenizer: Tokenizer, corpus: Corpus, bad: Mapping[int, str]) -> tuple[np.ndarray, np.ndarray]:
    """The ids of every line in a row (int32), and where each line's begin (lines + 1,); unreadable lines have none."""
    pieces, counts = [], np.zeros(len(corpus) + 1, np.int64)
    for begin in range(0, len(corpus), _BATCH):
        rows = [i for i in range(begin, min(begin + _BATCH, len(corpus))) if i not in bad]
        found = [e.ids for e in tokenizer.encode_batch_fast([corpus.text(i) for i in rows])]
        counts[np.array(rows, int) + 1] = [len(ids) for ids in found]
        pieces.append(np.fromiter(chain.from_iterable(found), np.int32))
    return np.concatenate(pieces), counts.cumsum()


def _unreadable(corpus: Corpus, index: int) -> str:
    try:
        corpus.text(index)
    except DataError as error:
        return str(error)
    return ""


class TextDomain(Domain):
    """Text: int32 tokens (L,) in the store; `Samples` hold strings, and their tokens (n, L) in ``extra["tokens"]``."""

    id: ClassVar[str] = "text"
    Settings = TextSettings

    def open(self, settings: TextSettings) -> Source:
        """A file or a folder of files: text (a sample a line), CSV, TSV or JSON lines with a column, each also .gz."""
        path, test = Path(settings.source).expanduser(), None
        files = identity(path)
        if settings.test:
            test = Path(settings.test).expanduser()
            if not test.exists():
                raise DataError(
                    f"data.test = {settings.test!r}: there is no such file or folder; name one, or leave it out"
                )
            files += " " + identity(test)
        return TextSource(read_corpus(path, settings.column, settings.label_column, test), settings, files)

    def prepare(self, batch: Batch) -> Batch:
        """``tokens`` as int64; ``label`` where there are classes."""
        return {"tokens": batch["tokens"].long(), **({"label": batch["label"]} if "label" in batch else {})}

    def batch_of(self, samples: Samples) -> Batch | None:
        """Tokens and labels as `prepare` gives them."""
        labels = {} if samples.labels is None else {"label": samples.labels}
        return {"tokens": samples.extra["tokens"], **labels}

    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Real texts of store rows (n,), as they come back from their tokens."""
        store = split.store
        tokens = store.gather("tokens", rows).long()
        labels = store.gather("label", rows) if "label" in store.fields else None
        classes = tuple(store.info.get("classes", ()))
        return Samples(decode(tokens, store.info), self, labels, classes, extra={"tokens": tokens})

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """One text a line, into a ``.txt`` file or a folder's ``samples.txt``; classes go before it, after a tab."""
        if path.suffix.lower() != ".txt" or path.is_dir():
            if path.suffix and not path.is_dir():
                raise ConfigError(f"{path}: text is written as .txt, or into a folder (no suffix)")
            path = path / "samples.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        named = samples.labels is not None and samples.classes
        lines = [
            (f"{samples.classes[int(samples.labels[i])]}\t" if named and samples.labels is not None else "")
            + _one_line(text)
            for i, text in enumerate(samples.data)
        ]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return [path]

    def render(self, samples: Samples) -> list[Piece]:
        """A passage each, with its class as caption."""
        captions = [""] * len(samples)
        if samples.labels is not None and samples.classes:
            captions = [samples.classes[int(c)] for c in samples.labels]
        return [Passage(t, c) for t, c in list(zip(samples.data, captions, strict=True))[:_SHOWN]]

    def features(self, samples: Samples) -> Tensor:
        """(n, 512): counts of neighbouring pairs of tokens, hashed, each row of length 1.

        Equal texts are 0 apart, texts without a common pair the square root of 2.
        """
        tokens = samples.extra["tokens"]
        hashed = (tokens[:, :-1] * 1_000_003 + tokens[:, 1:] * 8_191) % _BUCKETS  # (n, L - 1)
        same = tokens[:, :-1] == tokens[:, 1:]  # padding, mostly
        counts = torch.zeros(len(tokens), _BUCKETS).scatter_add_(1, hashed, (~same).float())
        return counts / counts.norm(dim=1, keepdim=True).clamp(min=1)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def decode(tokens: Tensor, info: Mapping[str, Any]) -> list[str]:
    """Texts of tokens (n, L), up to the end token; ids apart by spaces where the data has no tokenizer."""
    rows = tokens.tolist()
    eos = info["eos"]
    if eos is not None:
        rows = [row[: row.index(eos)] if eos in row else row for row in rows]
    if "tokenizer" not in info:
        return [" ".join(map(str, row)) for row in rows]
    tokenizer = load_tokenizer(info["tokenizer"])
    shown = tokenizer.decode_batch([[t for t in row if t != START] for row in rows], skip_special_tokens=False)
    return list(shown)


def encode_prefix(text: str, info: Mapping[str, Any]) -> Tensor:
    """The tokens (k,) of the beginning of a text. Raises ConfigError where it is too long, or holds unknown words."""
    if "tokenizer" not in info:
        words = text.split()
        if not all(w.isdecimal() and int(w) < info["vocabulary"] for w in words):
            raise ConfigError(f"prefix {text!r}: this data has no words, only numbers below {info['vocabulary']}")
        ids = [int(w) for w in words]
    else:
        found = load_tokenizer(info["tokenizer"]).encode(text)
        ids = found.ids
        unknown = [
            text[b:e].strip() or token
            for i, token, (b, e) in zip(ids, found.tokens, found.offsets, strict=True)
            if i == UNK
        ]
        if unknown:
            raise ConfigError(
                f"prefix {text!r}: {', '.join(map(repr, unknown[:5]))} {'is' if len(unknown) == 1 else 'are'} not in the vocabulary "
                f"of {info['vocabulary']} tokens ({SPECIAL[UNK]}); use words of the training data"
            )
    if len(ids) >= info["length"]:
        raise ConfigError(f"prefix {text!r} has {len(ids)} tokens; a text of this run has at most {info['length']}")
    return torch.tensor(ids, dtype=torch.long)


def class_index(label: str | int | None, classes: Sequence[str]) -> int | None:
    """The index of a class given by name, or else by its number. Raises ConfigError for one that the model does not have."""
    if label is None:
        return None
    if str(label) in classes:  # a name comes first: classes may be called 1 and 0
        return list(classes).index(str(label))
    if str(label).isdecimal() and int(label) < len(classes):
        return int(label)
    names = ", ".join(classes[:20]) + (", ..." if len(classes) > 20 else "")
    raise ConfigError(f"label = {label!r}: no such class{did_you_mean(str(label), classes)}; there are {names}")
