"""What a method is: its networks, who trains them in which turns, and how samples are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from ..data.domain import Samples
    from ..data.source import Batch
    from ..seeding import Noise
    from ..settings.trainer import TrainerSettings
    from .protocol import Player, Turn

C = TypeVar("C")
"""A recipe's class of settings."""


@dataclass(frozen=True)
class Request:
    """What is asked of a recipe: ``n`` samples by noise and options, made from ``given`` where something is given.

    ``noise`` draws on the CPU, so that a seed shows the same samples on every device; ``device`` is where the networks lie.
    """

    n: int
    noise: Noise
    options: Any
    """An instance of the recipe's ``Sampling``."""
    device: torch.device
    given: Samples | None = None
    """``n`` samples of the domain that `Recipe.given` names; None: the samples are made from noise."""


@dataclass(frozen=True)
class NoOptions:
    """Generation without options."""


class Recipe(Generic[C]):
    """A method: its networks, its players, its turns with their losses, and how samples are made.

    A subclass sets ``domain``, its frozen ``Config`` and (where generation has options) its frozen ``Sampling`` dataclass.
    A recipe names no device: networks are built on the CPU, and the trainer moves them.
    """

    domain: ClassVar[str]
    """The domain of what is made."""
    given: ClassVar[str | None] = None
    """The domain of what samples are made from; None: noise alone."""
    invents: ClassVar[bool] = False
    """Whether a recipe with ``given`` also makes samples from noise alone (a text continued or invented)."""
    Config: ClassVar[type]
    Sampling: ClassVar[type] = NoOptions
    defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings that suit the recipe, by their names as options: ``{"steps": 10_000, "data.segment": 32_768}``."""
    first_options: ClassVar[tuple[str, ...]] = ()
    """The settings that people change first, which `--help` shows; empty: the first two of ``Config``."""
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format

    def __init__(self, config: C, info: Mapping[str, Any]) -> None:
        """``config`` is an instance of ``Config``, ``info`` the facts of the data (`Source.info`)."""
        self.config = config
        self.info = info

    def networks(self) -> Mapping[str, nn.Module]:
        """Fresh networks by name: what is saved, loaded and exported. Called once, after the generators were seeded."""
        raise NotImplementedError

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> Mapping[str, Player]:
        """How networks are trained: optimizers, schedules, averages. A network that is left out is never trained by itself."""
        raise NotImplementedError

    def turns(self) -> Sequence[Turn]:
        """The turns of one iteration, in order."""
        raise NotImplementedError

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """``request.n`` samples, from networks in evaluation mode and without gradients.

        What is made of given samples keeps their order. Sample i of a seed should not depend on n: ``request.noise`` sees to it if
        each call asks for n rows. Networks with much to do run in pieces (`in_chunks`).
        """
        raise NotImplementedError

    def preview(self) -> tuple[int, Any]:
        """How many samples, with which ``Sampling`` options, the fixed latent batch shows during training."""
        return 64, self.Sampling()

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """What the recipe settled by itself from its data and settings, a sentence each: said at the start, kept in the report."""
        return ()


@runtime_checkable
class HasCritic(Protocol):
    """A recipe with one discriminator that can be asked about samples, for the overfitting signal."""

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch."""
        ...


@runtime_checkable
class HasStream(Protocol):
    """A recipe that makes a long sample piece by piece (sound), without seams and in bounded memory."""

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """What the pieces of one given sample become, in order; ``request.given`` is None."""
        ...


@runtime_checkable
class HasLikelihood(Protocol):
    """A recipe whose model has likelihoods, for metrics that need them."""

    def log_likelihood(
        self, network: nn.Module, data: Tensor, labels: Tensor | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Log-likelihoods in nats: (n,) of whole samples, or (n, L) of the parts of each (tokens)."""
        ...
