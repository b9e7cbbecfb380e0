"""The receipt of data: what a source found and what it left out, before any sample is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..data.source import Fact
from ..data.store import split_rows
from ..errors import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data.source import DataSettings, LeftOut, Source

_WIDTH = 300
"""Characters of a compact line."""


@dataclass(frozen=True)
class Receipt:
    """What a user wants to know of data before training."""

    source: str
    domain: str
    samples: int
    """Number of samples, readable or not."""
    train: int | None
    """Number of training samples; None: the source brings its own split."""
    held_out: int | None
    facts: Sequence[Fact]
    left_out: Sequence[LeftOut]

    @property
    def counts(self) -> str:
        """The numbers of samples in words."""
        if self.train is None or self.held_out is None:
            return f"{self.samples:,} samples, with a held-out part of their own"
        return f"{self.samples:,} samples: {self.train:,} for training, {self.held_out:,} held out"

    def lines(self) -> list[str]:
        """All of it, a line for each fact and for each kind of thing that was left out."""
        found = [f"data: {self.source}", f"domain: {self.domain}", f"samples: {self.counts.removeprefix('samples: ')}"]
        found += [f"{fact.name}: {fact.text}" for fact in self.facts]
        found += [f"left out: {_left_out(entry)}" for entry in self.left_out]
        return [printable(line) for line in found]

    def brief(self) -> list[str]:
        """At most three lines, for the start of a run."""
        found = [f"polygan: data {self.source!r}: {self.counts}"]
        if self.facts:
            found.append(f"polygan: {'; '.join(f'{fact.name} {fact.text}' for fact in self.facts)}")
        if self.left_out:
            found.append(f"polygan: left out: {'; '.join(map(_left_out, self.left_out))}")
        return [line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…" for line in map(printable, found)]

    def plain(self) -> dict[str, Any]:
        """The receipt as JSON data."""
        return {
            "source": self.source,
            "domain": self.domain,
            "samples": self.samples,
            "train": self.train,
            "held_out": self.held_out,
            "facts": [fact._asdict() for fact in self.facts],
            "left_out": [entry._asdict() for entry in self.left_out],
        }


def receipt_of(source: Source, settings: DataSettings, domain: str) -> Receipt:
    """The receipt of a source. Nothing is decoded."""
    count = len(source)
    rows = {} if "held_out" in source.fields or not count else split_rows(count, settings.held_out)
    sizes = {name: len(found) for name, found in rows.items()}
    try:
        facts = [Fact(str(name), str(text)) for name, text in source.describe()]
    except Exception as error:  # a receipt that cannot be written is no reason not to train
        facts = [Fact("facts", f"cannot be found ({one_line(error)})")]
    return Receipt(
        settings.source, domain, count, sizes.get("train"), sizes.get("held_out"), facts, list(source.left_out)
    )


def _left_out(entry: LeftOut) -> str:
    example = f", e.g. {entry.example}" if entry.example else ""
    return f"{entry.count:,} {entry.what} ({entry.why}{example})"


def printable(text: str) -> str:
    """A text on one line without control characters: a file's name must not steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
