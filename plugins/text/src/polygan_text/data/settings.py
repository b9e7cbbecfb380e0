"""Settings of text: how it is read and cut into tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polygan import DataSettings, ranged


@dataclass(frozen=True, kw_only=True)
class TextSettings(DataSettings):
    """How text is read and cut into tokens."""

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
    """The column of CSV and JSON lines that holds the text; empty: each line is a text, also in tables."""
    label_column: str = ""
    """The column that holds the class; empty: no classes."""
    test: str = ""
    """A file or folder of held-out texts, with the same columns; empty: hold out the share `held_out` of the source."""
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

    oracle: str = ""
    """A .safetensors file; empty: the oracle is drawn from N(0, 1) by oracle_seed."""
