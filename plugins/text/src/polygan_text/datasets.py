"""Made-up sets of text, whose likelihoods are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from polygan import ConfigError, mix

from .data.corpus import Corpus
from .data.source import TextSource
from .grammar import CLASSES, write_sentence
from .oracle import OracleSource

if TYPE_CHECKING:
    from .data.settings import MadeUpSettings, OracleSettings, TextSettings


def oracle(settings: OracleSettings) -> OracleSource:
    """Sequences of a random LSTM (Yu et al. 2017, section 4)."""
    _refuse_files(settings)
    return OracleSource(settings)


def grammar(settings: MadeUpSettings) -> TextSource:
    """Sentences of `polygan_text.grammar`; ``label_column`` = mood makes them class-conditional."""
    _refuse_files(settings)
    if settings.label_column not in ("", "mood"):
        raise ConfigError(
            f"data.label_column = {settings.label_column!r}: the set grammar has no such column; use mood, or nothing"
        )
    rng = np.random.Generator(np.random.Philox(key=mix(settings.oracle_seed, 3)))
    found = [write_sentence(rng) for _ in range(settings.size)]
    lines = [text.encode() for text, _ in found]
    ends = np.cumsum([len(line) for line in lines])
    labelled = bool(settings.label_column)
    corpus = Corpus(
        b"".join(lines),
        ends - [len(line) for line in lines],
        ends,
        np.arange(1, len(lines) + 1),
        [("grammar", 0)],
        np.array([label for _, label in found]) if labelled else None,
        CLASSES if labelled else (),
    )
    source = TextSource(corpus, settings, f"grammar {settings.size} {settings.oracle_seed}")
    source.info["grammar"] = 1
    return source


def _refuse_files(settings: TextSettings) -> None:
    if settings.test:
        raise ConfigError(f"data.test = {settings.test!r}: a made-up set takes no test file; use --data.held_out")
    if settings.given:
        raise ConfigError(
            f"data.given = {settings.given!r}: a made-up set is made from nothing; leave --data.given out"
        )
