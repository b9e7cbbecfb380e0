"""Two sources of one domain whose samples are joined by name: parallel recordings, two views of the same scene."""

from __future__ import annotations

import hashlib
from pathlib import PurePath
from typing import TYPE_CHECKING

from ...errors import DataError
from ...messages import plural
from ..source import Fact, LeftOut, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import numpy as np

    Key = Callable[[Source, int], str]
    """The name by which a sample of a source finds its partner."""


def stem(source: Source, index: int) -> str:
    """The name of a sample without folder and suffix: ``arctic_a0001`` of ``anna/wavs/arctic_a0001.wav``."""
    return PurePath(source.name(index)).stem


class Joined(Source):
    """The samples of two sources that share a name, each with the fields of both.

    Fields and facts of ``second`` get ``prefix`` and an underscore in front: ``parallel_waveform``. ``key`` gives the name of a
    sample (None: its file's name without folder and suffix). Samples without a partner, and names that a source has twice, are
    counted in ``left_out``. Raises DataError where no sample has a partner.
    """

    def __init__(self, first: Source, second: Source, prefix: str, key: Key | None = None) -> None:
        self.first, self.second, self.prefix = first, second, prefix
        sides = [_by_name(source, key or stem) for source in (first, second)]
        one, two = (found for found, _ in sides)
        self.pairs = [(index, two[name]) for name, index in one.items() if name in two]
        if not self.pairs:
            raise DataError(
                f"no two of {plural(len(first), 'sample')} and {plural(len(second), 'sample')} share a name "
                f"({_example(one)} here, {_example(two)} there); give both files of a pair one name"
            )
        lost = [
            LeftOut(len(alone), "samples" if len(alone) > 1 else "sample", why, alone[0])
            for names, others, why in (
                (one, two, f"without a partner for {prefix}"),
                (two, one, f"of {prefix} without a partner"),
            )
            if (alone := [name for name in names if name not in others])
        ]
        lost += [
            LeftOut(len(twice), "names" if len(twice) > 1 else "name", f"that several samples{where} have", twice[0])
            for (_, twice), where in zip(sides, ("", f" of {prefix}"), strict=True)
            if twice
        ]
        self.left_out = [*first.left_out, *second.left_out, *lost]
        self.fields = {**first.fields, **{f"{prefix}_{name}": field for name, field in second.fields.items()}}
        self.info = self._facts(first.info, second.info)

    def _facts(self, first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
        return {**first, **{f"{self.prefix}_{name}": value for name, value in second.items()}}

    def __len__(self) -> int:
        return len(self.pairs)

    def fingerprint(self) -> str:
        """Both sources', and which samples are joined."""
        facts = (self.prefix, self.first.fingerprint(), self.second.fingerprint(), self.pairs)
        return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()

    def decode(self, index: int) -> dict[str, np.ndarray]:
        """The arrays of both samples. DataError names the partner where the partner cannot be read."""
        one, two = self.pairs[index]
        found = dict(self.first.decode(one))
        try:
            partner = self.second.decode(two)
        except (DataError, OSError, ValueError) as error:
            raise DataError(f"its partner {self.second.name(two)}: {error}") from None
        return {**found, **{f"{self.prefix}_{name}": array for name, array in partner.items()}}

    def name(self, index: int) -> str:
        """The first source's name of the sample."""
        return self.first.name(self.pairs[index][0])

    def describe(self) -> list[Fact]:
        """The first source's facts, and how many samples have a partner."""
        both = f"{len(self.pairs):,} by name, of {len(self.first):,} and {len(self.second):,}"
        return [*self.first.describe(), Fact(f"joined with {self.prefix}", both)]

    def info_without(self, skipped: Sequence[int]) -> dict[str, Any]:
        """The facts of both without the pairs ``skipped``."""
        ones, twos = ([self.pairs[index][side] for index in skipped] for side in (0, 1))
        return self._facts(self.first.info_without(ones), self.second.info_without(twos))


def _by_name(source: Source, key: Key) -> tuple[dict[str, int], list[str]]:
    """The index of each name that one sample has, and the names that several have."""
    found: dict[str, list[int]] = {}
    for index in range(len(source)):
        found.setdefault(key(source, index), []).append(index)
    single = {name: indices[0] for name, indices in found.items() if len(indices) == 1}
    return single, [name for name, indices in found.items() if len(indices) > 1]


def _example(names: Mapping[str, int]) -> str:
    return next(iter(names), "no name")
