"""The domain ``sentence``: texts of users that are to be spoken."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import torch

from polygan import ConfigError, DataError, Domain, Passage, Samples, decode_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import numpy as np

    from polygan import Piece, Split

_LOGGER = logging.getLogger("polygan")
_LARGEST = 1 << 24  # bytes of a file of texts, a day of speech


class SentenceDomain(Domain):
    """Texts to speak: `Samples` hold strings. A line of a file or of standard input is a text; empty lines are left out."""

    id: ClassVar[str] = "sentence"
    reads: ClassVar[tuple[str, ...]] = (".txt",)
    is_text: ClassVar[bool] = True

    def open(self, settings: Any) -> NoReturn:
        """DataError: sentences are handed in, and nothing is trained on them alone."""
        raise DataError("texts alone are no data for speech; give recordings with transcripts to a recipe of audio")

    def real(self, split: Split, rows: np.ndarray) -> Samples:
        """DataError, as `open`."""
        return self.open(None)

    def read(self, path: Path, info: Mapping[str, Any]) -> Iterator[Samples]:
        """A text a line, named by its number. DataError for a file that is no UTF-8, is too large, or holds no text."""
        if not path.is_file():
            raise DataError(f"{path} is no file; name a text file with a sentence a line")
        if (size := path.stat().st_size) > _LARGEST:
            raise DataError(f"{path} has {size:,} bytes, more than the {_LARGEST:,} that are read; split the file")
        return _lines(decode_text(path.read_bytes(), path).splitlines(), str(path))

    def read_text(self, lines: Iterable[str], info: Mapping[str, Any]) -> Iterator[Samples]:
        """A text a line, as `read`."""
        return _lines(lines, "the input")

    def take(self, value: Any, info: Mapping[str, Any]) -> Samples:
        """One string, or a list of strings. ConfigError for anything else, and for a text without characters."""
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
            raise ConfigError('given = ... is no text; pass a string or a list of strings, e.g. given="Good morning."')
        empty = [str(i) for i, text in enumerate(texts) if not text.strip()]
        if empty:
            raise ConfigError(f"given text {', '.join(empty[:8])} of {len(texts)} is empty; leave empty texts out")
        return Samples(list(texts), self)

    def write(self, samples: Samples, path: Path) -> list[Path]:
        """One text a line, into a file or into ``samples.txt`` of a folder."""
        target = path if path.suffix else path / "samples.txt"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(f"{line}\n" for line in self.lines(samples)), encoding="utf-8")
        return [target]

    def lines(self, samples: Samples) -> list[str]:
        """A line for each text."""
        return [" ".join(text.split()) for text in samples.data]

    def render(self, samples: Samples) -> list[Piece]:
        """A passage for each text."""
        return [Passage(text) for text in samples.data]

    def features(self, samples: Samples) -> torch.Tensor:
        """(n, 1): the number of characters."""
        return torch.tensor([[float(len(text))] for text in samples.data]).reshape(-1, 1)


def _lines(lines: Iterable[str], where: str) -> Iterator[Samples]:
    """One sample for each line with a text, named by its number. A warning names the empty lines at the end."""
    empty, spoken, number = [], 0, 0
    try:
        for number, line in enumerate(lines, 1):
            text = line.removeprefix("\ufeff").strip() if number == 1 else line.strip()
            if text:
                spoken += 1
                yield Samples([text], names=[str(number)])
            else:
                empty.append(str(number))
    except UnicodeError:
        raise DataError(f"{where} is not UTF-8 near line {number + 1}; convert the text to UTF-8") from None
    if not spoken:
        raise DataError(f"{where} holds no text to speak; write a sentence a line")
    if empty:
        shown = ", ".join(empty[:8]) + (", ..." if len(empty) > 8 else "")
        _LOGGER.warning("%s: empty lines are left out: %s", where, shown)
