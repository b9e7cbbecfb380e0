"""Settings of text: how it is read and cut into tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from polygan import ConfigError, DataSettings


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
