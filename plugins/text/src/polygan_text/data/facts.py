"""What the domain and its recipes share: the facts of the data, and what samples carry beside their strings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Required, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from polygan import Samples

TEXTS = 512
"""Texts that are read, generated and scored at a time."""
START, EOS, UNK = 0, 1, 2
"""The numbers of the start, of the end, and of words outside the vocabulary."""
SPECIAL = ("<s>", "</s>", "<unk>")
"""The names of these three tokens."""
OPEN = -1
"""Marks a place that a prefix leaves open: its token is drawn."""


TOKENS = ("tokens", "given", "copied")
"""Names of the tokens of a sample: the text, and of pairs what it is made from and where its unknown words stand there."""


class OracleFacts(TypedDict):
    """Where the oracle of a data set comes from."""

    file: str
    """Absolute path; empty: the oracle was drawn by ``seed``."""
    sha256: str
    """Hash of the file; empty without a file."""
    seed: int


class TextInfo(TypedDict, total=False):
    """`Source.info` of text."""

    vocabulary: Required[int]
    """Number of tokens."""
    length: Required[int]
    """Tokens of a sample, the end among them."""
    start: Required[int]
    """The token before the first one."""
    eos: Required[int | None]
    """The end token; None: every sample has ``length`` tokens."""
    classes: Required[list[str]]
    tokenizer: str
    """JSON of the library `tokenizers`; absent if tokens are only numbers."""
    too_long: str
    """How many samples were cut or dropped."""
    unknown: float
    """Share of tokens outside the vocabulary, [0, 1]."""
    unknown_held_out: float
    """Share of held-out tokens outside the vocabulary, [0, 1]; absent in older runs."""
    grammar: int
    """1 if the set `grammar` wrote the data."""
    oracle: OracleFacts
    given_length: int
    """Tokens of what a text is made from, the end among them; absent where texts are made from nothing."""


class TextExtra(TypedDict, total=False):
    """`Samples.extra` of text."""

    tokens: Tensor
    """(n, L) int64; absent for texts of a user."""
    given: Tensor
    """(n, S) int64: what the texts are made from; absent where they are made from nothing."""
    copied: Tensor
    """(n, L) int64: where in ``given`` an unknown word of the text stands, or -1."""


def text_info(info: Mapping[str, Any]) -> TextInfo:
    """The facts of a text source, typed."""
    return cast("TextInfo", info)


def text_extra(tokens: Tensor, given: Tensor | None = None, copied: Tensor | None = None) -> dict[str, Any]:
    """`Samples.extra` for tokens (n, L), and of pairs also for ``given`` (n, S) and ``copied`` (n, L)."""
    pair = {name: value for name, value in (("given", given), ("copied", copied)) if value is not None}
    return {**TextExtra(tokens=tokens), **pair}


def has_pairs(info: Mapping[str, Any]) -> bool:
    """Whether the texts of a source are made from other texts."""
    return "given_length" in info


def tokens_of(samples: Samples) -> Tensor:
    """(n, L) tokens of generated or real samples."""
    return samples.extra["tokens"]


def percent(share: float, digits: int = 0) -> str:
    """A share for a reader: ``"12.5 %"``."""
    return f"{100 * share:.{digits}f} %"
