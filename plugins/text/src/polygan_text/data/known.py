"""Facts of a source of text that an earlier start has found: no tokenizer is trained and no text is encoded again."""

from __future__ import annotations

import dataclasses
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING, Any

from polygan import DataError, Fact, Field, LeftOut, Source, remembered

from .source import VERSION
from .tokenizing import KINDS, given_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from .settings import TextSettings
    from .source import TextSource

_VERSION = 1  # of what a `TextSource` says of the same tokens


def opened(settings: TextSettings, files: str, make: Callable[[], TextSource]) -> Source:
    """The source that ``make`` reads, or its facts where the cache has them. ``files`` is a key of the files' state.

    With known facts the files are read only when a text is asked for, that is where the store is gone.
    """
    made: list[TextSource] = []

    def find() -> dict[str, Any]:
        made.append(make())
        return _facts_of(made[0])

    facts = remembered(settings, _identity(settings, files), find)
    return made[0] if made else KnownText(facts, make)


class KnownText(Source):
    """A source of text whose facts are known, and whose files are read when a text is asked for."""

    def __init__(self, facts: Mapping[str, Any], make: Callable[[], TextSource]) -> None:
        self._facts, self._make, self._lock = facts, make, Lock()
        self._whole: TextSource | None = None
        self.fields = {name: Field(dtype, tuple(shape)) for name, (dtype, shape) in facts["fields"].items()}
        self.info: dict[str, Any] = facts["info"]
        self.left_out = [LeftOut(*left) for left in facts["left_out"]]

    def __len__(self) -> int:
        return self._facts["count"]

    def fingerprint(self) -> str:
        """The key that the whole source had."""
        return self._facts["key"]

    def describe(self) -> Sequence[Fact]:
        """What the whole source said."""
        return [Fact(*fact) for fact in self._facts["told"]]

    def name(self, index: int) -> str:
        """The file and the line."""
        return self.whole.name(index)

    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """One row. The first call reads all files."""
        return self.whole.decode(index)

    @property
    def whole(self) -> TextSource:
        """The source itself, read once. Raises DataError if its files have changed since the facts were looked up."""
        with self._lock:  # samples are decoded in threads
            if self._whole is None:
                whole = self._make()
                if _facts_of(whole) != self._facts:
                    raise DataError("the files of the data changed while they were read; start again")
                self._whole = whole
        return self._whole


def _facts_of(source: TextSource) -> dict[str, Any]:
    """All that a `Source` says of itself, as JSON has it."""
    return {
        "count": len(source),
        "fields": {name: [field.dtype, list(field.shape)] for name, field in source.fields.items()},
        "info": source.info,
        "left_out": [list(left) for left in source.left_out],
        "key": source.fingerprint(),
        "told": [list(fact) for fact in source.describe()],
    }


def _identity(settings: TextSettings, files: str) -> str:
    """A text that differs wherever the facts may differ."""
    options = {name: value for name, value in dataclasses.asdict(settings).items() if name != "cache"}
    given = "" if settings.tokenizer in KINDS else given_tokenizer(settings.tokenizer).text
    return repr(("facts of text", _VERSION, VERSION, version("tokenizers"), files, sorted(options.items()), given))
