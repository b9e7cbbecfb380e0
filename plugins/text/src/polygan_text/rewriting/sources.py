"""Sources and targets as tokens: which word of the source a token of the target copies, and which places hold a source at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..data.facts import EOS, UNK
from ..rollout import valid

if TYPE_CHECKING:
    from torch import Tensor

    from polygan import Batch

FLOOR = -1e4
"""Stands for the logarithm of 0: sums of exponentials ignore it, and gradients stay finite."""


def present(given: Tensor) -> Tensor:
    """(n, S) True up to and with the first end token of sources (n, S); the padding behind is False."""
    return valid(given, EOS) > 0


def copyable(given: Tensor, vocabulary: int) -> Tensor:
    """(n, S) the token that a copy of each source position writes.

    A known word is its own token. An unknown word at position j is token ``vocabulary + j``, so that two unknown words differ.
    """
    places = torch.arange(given.shape[1], device=given.device)
    return torch.where(given == UNK, vocabulary + places, given)


def plain(tokens: Tensor, vocabulary: int) -> Tensor:
    """The tokens with ``<unk>`` in the place of copied unknown words (``vocabulary + j``)."""
    return torch.where(tokens >= vocabulary, UNK, tokens)


def targets(batch: Batch, vocabulary: int) -> Tensor:
    """(n, L) a prepared batch's target tokens; an unknown word that stands in the source at j is token ``vocabulary + j``."""
    copied = batch["copied"]
    return torch.where(copied >= 0, vocabulary + copied, batch["tokens"])


def trimmed(tokens: Tensor) -> Tensor:
    """Tokens (n, T) without the columns that are padding in every row.

    On a device other than the processor the lengths are not read, and the tokens stay as they are.
    """
    if tokens.device.type != "cpu":
        return tokens
    return tokens[:, : int(valid(tokens, EOS).sum(1).max())]


def trimmed_batch(batch: Batch) -> Batch:
    """A prepared batch with `trimmed` texts and sources. No likelihood changes."""
    tokens = trimmed(batch["tokens"])
    return {"tokens": tokens, "copied": batch["copied"][:, : tokens.shape[1]], "given": trimmed(batch["given"])}
