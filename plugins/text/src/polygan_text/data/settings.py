"""Settings of text: how it is read and cut into tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from polygan import DataSettings, ranged


@dataclass(frozen=True, kw_only=True)
class TextSettings(DataSettings):
    """How text is read and cut into tokens."""

    paths: ClassVar[tuple[str, ...]] = (*DataSettings.paths, "test", "test_given")
    tokenizer: str = "auto"
    """word: words and marks, rare ones become <unk>; char: characters as a reader sees them; bpe: byte pairs, which can write
    every text; auto: char where words have no spaces between them, else word; or a tokenizer of yours: the folder of a run, a
    tokenizer.json of Hugging Face, its folder, or the id of a model in the local cache of the Hub."""
    vocabulary: int = ranged(5000, "[5, inf)")
    """Most tokens of the vocabulary; a tokenizer of yours keeps its own vocabulary."""
    min_count: int = ranged(1, "[1, inf)")
    """How often a word (character, pair) must occur in the training split to get its own token."""
    max_length: int = ranged(0, "0 or [2, inf)", hint="a text needs at least 2 tokens, 0 is 64")
    """Most tokens of a sample, the end among them; 0: 64 (the set `oracle`: 20)."""
    too_long: Literal["cut", "drop"] = "cut"
    """What becomes of longer samples; both are counted."""
    column: str = "text"
    """The column of CSV, JSON lines, Parquet and `hf:` that holds the text; empty: each line is a text, also in CSV and JSON lines."""
    label_column: str = ""
    """The column that holds the class; empty: no classes."""
    documents: Literal["line", "block", "file"] = "line"
    """What a text of a text file is: a line; a block of lines between blank lines; or the whole file. Line breaks within a text
    are kept."""
    given: str = ""
    """What each text is made from: a column of the same tables, or a text file whose lines belong to the lines of the source.
    Empty: nothing."""
    given_length: int = ranged(256, "[2, inf)")
    """Most tokens of what a text is made from, the end among them; the rest of a longer one is cut away and counted."""
    test: str = ""
    """A file or folder of held-out texts, with the same columns; empty: hold out the share `held_out` of the source."""
    test_given: str = ""
    """What the texts of `test` are made from, where `given` is a text file."""
    max_megabytes: int = ranged(2000, "[1, inf)")
    """Most megabytes of text, unpacked, in all files together. More is refused before it is read."""


@dataclass(frozen=True, kw_only=True)
class MadeUpSettings(TextSettings):
    """How many samples of a made-up language there are."""

    size: int = ranged(10_000, "[2, inf)")
    """Number of samples."""
    oracle_seed: int = ranged(0, "[0, inf)")
    """Seed of the samples, and of the oracle's parameters."""


@dataclass(frozen=True, kw_only=True)
class OracleSettings(MadeUpSettings):
    """Which oracle writes the data."""

    paths: ClassVar[tuple[str, ...]] = ("oracle", *TextSettings.paths)
    oracle: str = ""
    """A .safetensors file; empty: the oracle is drawn from N(0, 1) by oracle_seed."""


@dataclass(frozen=True, kw_only=True)
class DebianSettings(TextSettings):
    """Which file of descriptions the pairs come from."""

    paths: ClassVar[tuple[str, ...]] = ("file", *TextSettings.paths)
    file: str = ""
    """A Translation-en file of Debian, plain or packed as .gz, .xz or .bz2."""
