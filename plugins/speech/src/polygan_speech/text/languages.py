"""Which languages a model reads: one for all speakers, or one for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygan import ConfigError, did_you_mean

from .normalising import check_language

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = 20  # speakers that a message names


class Languages:
    """The languages that a setting names, and which of them each speaker speaks."""

    known: tuple[str, ...]
    """Each language once, sorted: its place is its number."""
    of_speakers: tuple[int, ...]
    """The number of each speaker's language, in the order of the speakers; (0,) for a single voice."""

    def __init__(self, setting: str, speakers: Sequence[str]) -> None:
        """``setting``: one language, or one for each speaker with commas between (en,it). ``speakers``: their names in order.

        ConfigError for a language that is not known, and for a number of languages that is neither 1 nor that of the speakers.
        """
        names = [name.strip() for name in setting.split(",")] if "," in setting else [setting]
        order = ", ".join(speakers[:_NAMED]) + (", ..." if len(speakers) > _NAMED else "")
        if len(names) > 1 and (len(names) != len(speakers) or not all(names)):
            raise ConfigError(
                f"model.language = {setting!r} names {sum(map(bool, names))} languages for {max(1, len(speakers))} "
                f"speaker{'s' if len(speakers) > 1 else ''}; name one language for all"
                + (f", or one for each in this order: {order}" if len(speakers) > 1 else ", e.g. --model.language en")
            )
        for name in names:
            try:
                check_language(name)
            except ConfigError as error:
                if len(names) == 1:
                    raise
                raise ConfigError(f"{error}. The speakers in order are {order}") from None
        self.known = tuple(sorted(set(names)))
        numbers = [self.known.index(name) for name in names]
        self.of_speakers = tuple(numbers * max(1, len(speakers)) if len(names) == 1 else numbers)

    def __len__(self) -> int:
        """How many languages there are."""
        return len(self.known)

    def of(self, speaker: int) -> str:
        """The language of a speaker, by the speaker's number."""
        return self.known[self.of_speakers[speaker]]

    def number(self, name: str) -> int:
        """The number of a language. ConfigError for a language that is not known, with those that are."""
        if name in self.known:
            return self.known.index(name)
        known = ", ".join(self.known)
        raise ConfigError(
            f"language = {name!r}: this model does not read this language{did_you_mean(name, self.known)}; "
            + (f"use --language with one of {known}" if known else "leave --language out")
        )
