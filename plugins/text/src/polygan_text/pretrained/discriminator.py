"""A pretrained encoder or sequence classifier as a discriminator of texts, over the tokens of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from polygan import CheckpointError, ConfigError

from ..data.facts import EOS, START
from ..rollout import valid
from .facts import facts_of, same_tokenizer
from .opening import fitting, open_classifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from .tokens import TokenMap

CHUNK = 256
"""Sequences that are scored at a time."""


def pretrained_discriminator(config: Any, info: Mapping[str, Any]) -> PretrainedDiscriminator:
    """The discriminator that ``model.discriminator`` names, for the facts of the data.

    Raises ConfigError for data with another tokenizer, for texts longer than the model's positions, and for a folder that is refused.
    """
    facts = facts_of(config, "discriminator")
    if facts is None:
        raise ConfigError(
            f"model.discriminator = {config.discriminator!r} names no folder; name one with --model.discriminator"
        )
    vocabulary = same_tokenizer(facts, info, "discriminator")
    model, filled = open_classifier(facts, config)
    tokens = fitting(vocabulary, facts, model, _positions(model), info["length"] + 1, "discriminator")
    return PretrainedDiscriminator(model, tokens, facts["special"][2], filled=filled)


def _positions(model: Any) -> int:
    """How many tokens the model reads at once; 0 for any number. RoBERTa keeps positions for padding."""
    most = getattr(model.config, "max_position_embeddings", None) or 0
    padding = getattr(getattr(model.base_model, "embeddings", None), "padding_idx", None)
    return most - (0 if padding is None else padding + 1)


class PretrainedDiscriminator(nn.Module):
    """Sequences (n, L) of token ids to logits (n,) of being real, by a sequence classifier of `transformers`.

    The model reads its start (``bos`` or ``cls``), the text, and its end (``eos`` or ``sep``); what follows the end is masked. One output
    is the logit. Of two outputs, the logit is the second minus the first. Dropout is the folder's own, and is off in scoring.
    """

    inputs: Tensor

    def __init__(self, model: Any, tokens: TokenMap, pad: int, *, filled: bool = True) -> None:
        super().__init__()
        self.model, self.pad, self.filled = model, pad, filled
        model.config.pad_token_id = pad
        self.register_buffer("inputs", tokens.inputs, persistent=False)
        self.register_load_state_dict_pre_hook(_fill)

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n,) in float32, with dropout in training mode; there are no ``labels``."""
        if not self.filled:
            raise CheckpointError(
                "the folder of the pretrained discriminator is gone or has changed, and no checkpoint has filled this network; put the "
                "folder back as it was"
            )
        mask = valid(tokens, EOS)
        given = torch.where(mask > 0, self.inputs[tokens], self.pad)
        first = self.inputs[START].expand(len(tokens), 1)
        mask = torch.cat([mask.new_ones(len(tokens), 1), mask], 1).long()  # (n, L + 1)
        found = self.model(input_ids=torch.cat([first, given], 1), attention_mask=mask).logits.float()  # (n, outputs)
        return found[:, 0] if found.shape[1] == 1 else found[:, 1] - found[:, 0]

    @torch.no_grad()
    def score(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (n,) that reward a generator: without dropout, in chunks, without gradients."""
        training = self.training
        self.eval()
        try:
            return torch.cat([self(rows) for rows in tokens.split(CHUNK)])
        finally:
            self.train(training)

    def score_completions(self, tokens: Tensor, complete: Tensor, labels: Tensor | None = None) -> Tensor:
        """`score` (K, copies, n) of completions (K, copies, n, L) of the prefixes of ``tokens`` (n, L)."""
        return self.score(complete.flatten(0, 2)).view(complete.shape[:3])


def _fill(discriminator: PretrainedDiscriminator, *_: object) -> None:
    """A state that is loaded gives the network its weights."""
    discriminator.filled = True
