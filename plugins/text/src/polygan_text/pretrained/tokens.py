"""polygan's numbers of tokens beside a model's: an exact map in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from ..data.facts import EOS, START, UNK

if TYPE_CHECKING:
    from torch import Tensor

    from ..data.vocabulary import Vocabulary

NEVER = -1e9
"""The logit of a token that a model has no number for. Infinity times a probability of 0 would be NaN."""


class Special(NamedTuple):
    """A model's numbers of its special tokens."""

    start: int
    """What a text begins with: ``bos``, else ``cls``, else ``eos`` as in GPT-2."""
    end: int
    """What ends a text: ``eos``, else ``sep``."""
    pad: int
    """What stands after the end: ``pad``, else the end."""


class TokenMap(NamedTuple):
    """For each of polygan's V tokens, what the model calls it."""

    inputs: Tensor
    """(V,) int64: the model's number of a token that is read."""
    drawn: Tensor
    """(V,) bool: whether the model has a logit for the token. A logit of the model belongs to one token at most."""


def token_map(vocabulary: Vocabulary, special: Special) -> TokenMap:
    """The map between a given tokenizer's tokens as polygan numbers them (`Vocabulary`) and the model's numbers.

    ``START`` is the model's start and is never drawn; ``EOS`` is the model's end, so that the end's own number behind the shift is never
    drawn; ``UNK`` is the tokenizer's token for unknown words, and is never drawn where the tokenizer knows every text.
    """
    size, shift = vocabulary.size, vocabulary.shift
    inputs = [max(0, i - shift) for i in range(size)]
    drawn = [True] * size
    if shift:
        drawn[START], drawn[UNK] = False, vocabulary.unknown not in (None, special.end)
        inputs[UNK] = special.start if vocabulary.unknown is None else vocabulary.unknown
        if vocabulary.unknown is not None:
            drawn[vocabulary.unknown + shift] = False
    else:  # a tokenizer whose first tokens are polygan's
        drawn[START] = special.start == START
    inputs[START], inputs[EOS] = special.start, special.end
    if special.end + shift != EOS and special.end + shift < size:
        drawn[special.end + shift] = False
    return TokenMap(torch.tensor(inputs), torch.tensor(drawn))
