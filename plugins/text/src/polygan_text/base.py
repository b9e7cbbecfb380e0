"""The common part of recipes that write texts: sampling, continuing, and the likelihood of a text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch

from polygan import Recipe, Samples, evaluating

from .data.facts import TEXTS, text_info
from .generation import write_texts
from .rollout import valid
from .settings import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from polygan import Request

C = TypeVar("C")
"""The settings of a recipe."""


class TextGAN(Recipe[C]):
    """A recipe with a policy ``generator``, a ``discriminator``, and the game's start ``mle``; a subclass adds its networks and its game."""

    domain = "text"
    given = "text"
    invents = True
    Sampling: ClassVar[type] = Sampling
    memory_format = torch.channels_last  # for the discriminator's convolutions
    variants: ClassVar[Mapping[str, Mapping[str, str]]] = {"mle": {"generator": "mle.policy"}}
    classes: Sequence[str] = ()
    """The names of the classes that the networks know."""
    copies: int = 1
    """Texts among which the discriminator chooses each sample, unless ``--rerank`` says another number."""

    def __init__(self, config: C, info: Mapping[str, Any]) -> None:
        """``info``: vocabulary, length (tokens), start, eos (or None)."""
        super().__init__(config, info)
        self.text = text_info(info)
        self.eos = self.text["eos"]

    def preview(self) -> tuple[int, object]:
        """24 texts."""
        return 24, self.Sampling()

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """``n`` texts, or a continuation of each given text. Without a label, text i has class i modulo the number of classes."""
        return self._written(networks, request, 0)

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """The continuations of the given texts, piece by piece."""
        first = 0
        for piece in pieces:
            yield self._written(networks, replace(request, n=len(piece), given=piece), first)
            first += len(piece)

    def _written(self, networks: Mapping[str, nn.Module], request: Request, first: int) -> Samples:
        judge: Any = networks.get("discriminator")
        usual = 1 if judge is None else self.copies
        return write_texts(networks["generator"], request, self.text, self.classes, first, judge, usual)

    @torch.no_grad()
    def log_likelihood(
        self, network: nn.Module, data: Tensor, labels: Tensor | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Log-likelihoods (n, L) in nats of the tokens ``data`` (n, L) under a policy, without dropout; 0 after a text's end."""
        policy: Any = network
        device = next(network.parameters()).device
        found = []
        for begin in range(0, len(data), TEXTS):
            rows = slice(begin, begin + TEXTS)
            told = labels[rows].to(device) if self.classes and labels is not None else None
            with evaluating({"policy": network}):
                found.append(policy.log_probabilities(data[rows].to(device), told, temperature).cpu())
        return torch.cat(found) * valid(data, self.eos)
