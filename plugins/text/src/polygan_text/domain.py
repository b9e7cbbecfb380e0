"""The domain ``text``: from files to tokens and back, texts of users, and cheap features."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from polygan import ConfigError, DataError, Domain, Passage, Samples, is_table

from .data.corpus import LONGEST, read_lines
from .data.facts import TEXTS, TOKENS, has_pairs, text_extra, text_info, tokens_of
from .data.known import opened
from .data.reading import MEGABYTE, SUFFIXES, identity, kind_of, read_corpus
from .data.settings import TextSettings
from .data.source import TextSource
from .data.vocabulary import decode, difference, encode_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from torch import Tensor

    from polygan import Batch, Piece, Source, Split, Store

_SHOWN = 100  # texts in a report
_BUCKETS = 512  # of hashed pairs of tokens


class TextDomain(Domain):
    """Text: int32 tokens (L,) in the store; `Samples` hold strings, and their tokens (n, L) in ``extra["tokens"]``."""

    id: ClassVar[str] = "text"
    Settings = TextSettings
    reads: ClassVar[tuple[str, ...]] = (".txt",)
    opens: ClassVar[tuple[str, ...]] = (*SUFFIXES, *(f"{suffix}.gz" for suffix in SUFFIXES), ".parquet")
    writes: ClassVar[tuple[str, ...]] = (".txt", ".jsonl", ".csv")

    def open(self, settings: TextSettings) -> Source:
        """A file or a folder of files: text (a sample a line), CSV, TSV or JSON lines with a column, each also .gz.

        Also Parquet files, and a data set of Hugging Face's `datasets` (`polygan.open_table`), with the same columns.
        """
        _check_given(settings)
        path, test = Path(settings.source).expanduser(), None
        files = identity(path)
        if settings.test:
            test = Path(settings.test).expanduser()
            if not test.exists() and not is_table(settings.test):
                raise DataError(
                    f"data.test = {settings.test!r}: there is no such file or folder; correct the path, or leave --data.test out"
                )
            files += " " + identity(test)
        for beside in filter(None, (settings.given, settings.test_given)):
            if (sources := Path(beside).expanduser()).is_file():  # else a column of the same name
                files += " " + identity(sources)
        most = settings.max_megabytes * MEGABYTE

        def make() -> TextSource:
            columns = settings.column, settings.label_column
            corpus = read_corpus(path, *columns, test, most, settings.given, settings.test_given, settings.documents)
            return TextSource(corpus, settings, files)

        return opened(settings, files, make)

    def comparable(self, info: Mapping[str, Any], other: Mapping[str, Any]) -> str:
        """Why tokens of two runs' facts mean different words, in one line; empty if they mean the same."""
        return difference(info, other)

    def collate(self, split: Split, rows: np.ndarray, draws: np.ndarray) -> Batch:
        """The fields of the rows, apart from the wording of what texts are made from."""
        fields = split.store.fields
        return {name: split.store.gather(name, rows) for name, field in fields.items() if not field.ragged}

    def prepare(self, batch: Batch, info: Mapping[str, Any]) -> Batch:
        """``tokens`` as int64; of pairs also ``given`` and ``copied``; ``label`` if there are classes."""
        tokens = {name: batch[name].long() for name in TOKENS if name in batch}
        return {**tokens, **({"label": batch["label"]} if "label" in batch else {})}

    def batch_of(self, samples: Samples) -> Batch | None:
        """Tokens and labels as `prepare` gives them."""
        labels = {} if samples.labels is None else {"label": samples.labels}
        return {**{name: samples.extra[name] for name in TOKENS if name in samples.extra}, **labels}

    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """Real texts of store rows (n,), decoded from their tokens. Unknown words that stand in a text's source are shown."""
        store = split.store
        found = {name: store.gather(name, rows).long() for name in TOKENS if name in store.fields}
        tokens, info = found["tokens"], text_info(store.info)
        labels = store.gather("label", rows) if "label" in store.fields else None
        classes = tuple(store.info.get("classes", ()))
        if "copied" in found:
            copies, shown = found["copied"] >= 0, [""] * len(rows)
            for i in copies.any(1).nonzero()[:, 0].tolist():
                shown[i] = _given_text(store, int(rows[i]))
            texts = decode(
                torch.where(copies, info["vocabulary"] + found["copied"], tokens), info, encode_given(shown, info)[1]
            )
        else:
            texts = decode(tokens, info)
        return Samples(texts, self, labels, classes, extra=text_extra(**found))

    def given(self, split: Split, rows: np.ndarray) -> Samples:
        """What the texts of rows (n,) are made from, as their files have it, with tokens (n, S). Without pairs: the texts."""
        store = split.store
        if not has_pairs(store.info):
            return self.real(split, rows)
        tokens = store.gather("given", rows).long()
        return Samples([_given_text(store, row) for row in rows.tolist()], self, extra=text_extra(tokens))

    def paired(self, info: Mapping[str, Any]) -> bool:
        """Whether each text is made from another text."""
        return has_pairs(info)

    def read(self, path: Path, info: Mapping[str, Any]) -> Iterator[Samples]:
        """The beginnings of texts in a plain text file, one a line, some hundred at a time, named by line number.

        Empty lines are no samples. Raises DataError for tables (CSV, TSV, JSON lines), archives, and what is not UTF-8.
        """
        if path.suffix.lower() == ".gz" or kind_of(path) not in (None, ".txt"):
            raise DataError(f"{path} is no plain text; save the beginnings one a line as .txt")
        return self._batches(read_lines(path))

    def read_text(self, lines: Iterable[str], info: Mapping[str, Any]) -> Iterator[Samples]:
        """The beginnings of texts, one a line, some hundred at a time, named by line number; empty lines are no samples."""
        return self._batches(_texts_of(lines))

    def _batches(self, lines: Iterable[tuple[int, str]]) -> Iterator[Samples]:
        for batch in _in_batches(lines, TEXTS):
            yield Samples([text for _, text in batch], self, names=[str(place) for place, _ in batch])

    def take(self, value: Any, info: Mapping[str, Any]) -> Samples:
        """The beginnings of texts: a list of strings, or one string. After an empty string the whole text is free."""
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
            raise ConfigError(
                "given = ... must be a list of at least one string; pass the beginning of each text, or its source"
            )
        return Samples(list(texts), self)

    def join(self, pieces: Iterable[Samples]) -> Samples:
        """The texts of all pieces in a row, with their tokens and classes."""
        first, *more = pieces
        parts = [first, *more]
        labels = [p.labels for p in parts if p.labels is not None]
        shared = [name for name in TOKENS if all(name in p.extra for p in parts)]
        return replace(
            first,
            data=[text for p in parts for text in p.data],
            labels=torch.cat(labels) if len(labels) == len(parts) else None,
            names=[name for p in parts for name in p.names],
            extra={name: torch.cat([p.extra[name] for p in parts]) for name in shared},
        )

    def lines(self, samples: Samples) -> list[str]:
        """One line a text; if there are classes, the class and a tab come first."""
        texts = [" ".join(text.splitlines()) for text in samples.data]
        names = samples.class_names()
        return [f"{name}\t{text}" for name, text in zip(names, texts, strict=True)] if names else texts

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """Write a file by its suffix (`write_file`), or ``samples.txt`` into a folder."""
        path = path if self.suffix_of(path) else path / "samples.txt"
        self.write_file([samples], path)
        return [path]

    def write_file(self, pieces: Iterable[Samples], path: Path) -> None:
        """Write texts, piece by piece: ``.txt`` as `lines`; ``.jsonl`` and ``.csv`` with the fields ``text`` and ``class``.

        Line breaks within a text stay in ``.jsonl`` and ``.csv``. The field ``class`` is there if there are classes.
        """
        suffix = path.suffix.lower()
        if suffix not in self.writes:
            raise ConfigError(
                f"{path}: text is written as {', '.join(self.writes)}; name a file with one of these suffixes"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            table = csv.writer(file, lineterminator="\n")
            for number, samples in enumerate(pieces):
                if suffix == ".txt":
                    file.writelines(f"{line}\n" for line in self.lines(samples))
                    continue
                classes = samples.class_names()
                header = ("text", "class") if classes else ("text",)
                rows = list(zip(samples.data, classes, strict=True) if classes else zip(samples.data, strict=True))
                if suffix == ".csv":
                    table.writerows([header, *rows] if not number else rows)
                else:
                    told = (dict(zip(header, row, strict=True)) for row in rows)
                    file.writelines(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in told)

    def render(self, samples: Samples) -> list[Piece]:
        """A passage for each text, with its place in the data and its class as caption, as far as there are such."""
        places, classes = (found or [""] * len(samples) for found in (samples.origins, samples.class_names()))
        captions = [" – ".join(filter(None, both)) for both in zip(places, classes, strict=True)]
        return [Passage(t, c) for t, c in list(zip(samples.data, captions, strict=True))[:_SHOWN]]

    def beside(self, given: Samples, made: Samples, truth: Samples | None, info: Mapping[str, Any]) -> list[Piece]:
        """A passage for each source: the source, the made text and the truth; none where texts are made from nothing."""
        if not has_pairs(info):
            return []
        truths = [None] * len(made) if truth is None else truth.data
        places = given.origins or [""] * len(made)
        return [
            Passage("\n\n".join([source, f"made: {text}", *([] if real is None else [f"truth: {real}"])]), place)
            for source, text, real, place in list(zip(given.data, made.data, truths, places, strict=False))[:_SHOWN]
        ]

    def features(self, samples: Samples) -> Tensor:
        """(n, 512): counts of neighbouring pairs of tokens, hashed, each row of length 1.

        The distance of equal texts is 0; the distance of texts without a common pair is the square root of 2.
        """
        tokens = tokens_of(samples)
        hashed = (tokens[:, :-1] * 1_000_003 + tokens[:, 1:] * 8_191) % _BUCKETS  # (n, L - 1)
        same = tokens[:, :-1] == tokens[:, 1:]  # padding, mostly
        counts = torch.zeros(len(tokens), _BUCKETS).scatter_add_(1, hashed, (~same).float())
        return counts / counts.norm(dim=1, keepdim=True).clamp(min=1)


def _check_given(settings: TextSettings) -> None:
    """Raise ConfigError where the texts would be made from themselves, or from nothing."""
    if settings.given and settings.given == settings.column:
        raise ConfigError(
            f"data.given = {settings.given!r} is also the column of the texts; name another column with --data.given or --data.column"
        )
    if settings.test_given and not (settings.given and settings.test):
        raise ConfigError(
            f"data.test_given = {settings.test_given!r} belongs to --data.test and --data.given; name both, or leave it out"
        )


def _given_text(store: Store, row: int) -> str:
    """What the text of a store row is made from."""
    return store.item("given_text", row).tobytes().decode()


def _texts_of(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1. Raises DataError for bytes that standard input could not read as UTF-8."""
    place = 0
    try:
        for place, line in enumerate(lines, 1):
            text = line.rstrip("\r\n")
            if len(text.encode("utf-8")) > LONGEST:
                raise DataError(f"line {place} of the input has more than {LONGEST:,} bytes; split the line")
            text = text.removeprefix("\ufeff") if place == 1 else text
            if text.strip():
                yield place, text
    except UnicodeError:
        raise DataError(f"the input is not UTF-8 near line {max(1, place)}; convert the input to UTF-8") from None


def _in_batches(lines: Iterable[tuple[int, str]], size: int) -> Iterator[list[tuple[int, str]]]:
    """Lists of at most ``size`` lines."""
    rest = iter(lines)
    while batch := list(islice(rest, size)):
        yield batch
