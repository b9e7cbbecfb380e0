"""The texts of what a recipe is given: sentences of users, or recordings with their transcripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygan import ConfigError

if TYPE_CHECKING:
    from polygan import Samples


def texts_of(samples: Samples) -> list[str]:
    """The text of each sample, of the domain ``sentence`` or of recordings. ConfigError for recordings without transcripts."""
    texts = samples.extra.get("text", samples.data)
    if not all(isinstance(text, str) for text in texts) or len(texts) != len(samples):
        raise ConfigError(
            "these samples have no text to speak; give sentences (--text, or --input FILE.txt), or recordings with transcripts"
        )
    return list(texts)
