"""Named sets of text: made-up ones, whose likelihoods are known, and descriptions of Debian packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from polygan import ConfigError, mix

from .data.corpus import Corpus
from .data.debian import descriptions_file, read_descriptions
from .data.known import opened
from .data.reading import MEGABYTE, identity
from .data.settings import TextSettings
from .data.source import TextSource
from .grammar import CLASSES, write_sentence
from .oracle import OracleSource

if TYPE_CHECKING:
    from polygan import Source

    from .data.settings import DebianSettings, MadeUpSettings, OracleSettings


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


def debian(settings: DebianSettings) -> Source:
    """One-line summaries of Debian packages, made from the long descriptions in a Translation file that the user names."""
    known = {
        "given": ("", "long"),
        "column": ("", "short", TextSettings.column),
        "documents": (TextSettings.documents,),
    }
    for name in ("given", "column", "documents", "label_column", "test", "test_given"):
        if (value := getattr(settings, name)) not in known.get(name, ("",)):
            raise ConfigError(
                f"data.{name} = {value!r}: the set debian makes short texts from long ones; leave --data.{name} out"
            )
    path = descriptions_file(settings.file)
    files = f"debian {identity(path)}"
    return opened(
        settings,
        files,
        lambda: TextSource(read_descriptions(path, settings.max_megabytes * MEGABYTE), settings, files),
    )


def _refuse_files(settings: TextSettings) -> None:
    if settings.test:
        raise ConfigError(f"data.test = {settings.test!r}: a made-up set takes no test file; use --data.held_out")
    if settings.documents != TextSettings.documents:
        raise ConfigError(
            f"data.documents = {settings.documents!r}: a made-up set has no files; leave --data.documents out"
        )
    if settings.given:
        raise ConfigError(
            f"data.given = {settings.given!r}: a made-up set is made from nothing; leave --data.given out"
        )
