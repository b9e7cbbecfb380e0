"""Recipes: the networks of a method, the turns that train them, and how samples are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch

from ..data.store import Split
from ..errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from ..data.domain import Domain, Samples
    from ..data.source import Batch
    from ..files import Facts
    from ..seeding import Noise
    from ..settings.trainer import TrainerSettings
    from .protocol import Player, Turn

C = TypeVar("C")
"""A recipe's class of settings."""


@dataclass(frozen=True)
class Request:
    """A request to a recipe for ``n`` samples, made from ``noise`` and from ``given`` where a recipe takes something.

    ``noise`` draws on the CPU, so that a seed shows the same samples on every device. The networks are on ``device``.
    """

    n: int
    noise: Noise
    options: Any
    """An instance of the recipe's ``Sampling``."""
    device: torch.device
    given: Samples | None = None
    """``n`` samples of the domain that `Recipe.given` names; None: make the samples from noise."""


@dataclass(frozen=True)
class NoOptions:
    """Generation without options."""


class Sides(NamedTuple):
    """Two classes of the data: samples of the one are made into samples of the other, without pairs."""

    given: str
    made: str


class Recipe(Generic[C]):
    """A method: its networks, its players, its turns with their losses, and how samples are made.

    A subclass sets ``domain``, its frozen ``Config`` and (where generation has options) its frozen ``Sampling`` dataclass.
    A recipe names no device: networks are built on the CPU, and the trainer moves them.
    """

    domain: ClassVar[str]
    """The domain of the samples that the recipe makes."""
    given: ClassVar[str | None] = None
    """The domain of the samples that the recipe takes; None: it makes samples from noise alone."""
    invents: ClassVar[bool] = False
    """Whether a recipe with ``given`` also makes samples from noise alone (a text continued or invented)."""
    Config: ClassVar[type]
    """The class of the recipe's settings. Its class variable ``typed_only``, if there is one, names settings that are never taken from a
    saved run: a user types them each time, because a run may be a stranger's."""
    Sampling: ClassVar[type] = NoOptions
    """The class of the options of generation. Its ``typed_only`` names options that open files: no page offers them to visitors."""
    defaults: ClassVar[Mapping[str, object]] = {}
    """Settings that suit the recipe, by their option names: ``{"steps": 10_000, "data.segment": 32_768}``."""
    first_options: ClassVar[tuple[str, ...]] = ()
    """The settings that people change first, which `--help` shows; empty: the first two of ``Config``."""
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format
    runs: Path | None = None
    """The folder in which the run of this recipe lies beside others, for options that name another run; None: no run yet."""
    origin: Mapping[str, object] = {}
    """``recipe`` (its id) and ``step`` of the networks that a format writes, for the file's own facts; empty where nothing is written."""
    variants: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    """Saved networks to generate from instead of the usual networks, by the name of the variant, for ``generate --of NAME``:
    ``{"start": {"generator": "start.policy"}}`` uses the part ``policy`` of the network ``start`` as ``generator``."""

    def __init__(self, config: C, info: Facts) -> None:
        """Take ``config``, an instance of ``Config``, and ``info``, the facts of the data (`Source.info`)."""
        self.config = config
        self.info = info

    @classmethod
    def survey(cls, config: C, domain: Domain, split: Split) -> Facts:
        """Facts of the training split that networks are built from, as plain JSON data (a mean, a deviation). Default: none.

        Called once for a new run, after decoding and before the recipe is made. The facts go into ``info``, over facts of the
        source with the same names, and are saved with the run. A run that goes on, a loaded run and an exported model have the
        saved facts. A run with ``init_from`` takes the values of its start, except lists of another length and entries of
        mappings that the start lacks. A recipe is also tried before decoding: read facts with ``info.get(NAME, DEFAULT)``.
        """
        return {}

    @classmethod
    def inherited(cls, config: C, info: Facts) -> Mapping[str, object]:
        """Settings by their option names that a new run takes over from the networks of ``init_from``. Default: none.

        ``config`` and ``info`` are the settings and the facts of the data that these networks were trained with. Name what the
        networks do not fit without: ``{"model.width": config.width, "data.sample_rate": info["sample_rate"]}``. What the user sets counts
        more, and is refused before any work where the networks do not fit.
        """
        return {}

    def networks(self) -> Mapping[str, nn.Module]:
        """Fresh networks by name, to be trained, saved and exported. Called once, after the random generators were seeded."""
        raise NotImplementedError

    def players(self, networks: Mapping[str, nn.Module], training: TrainerSettings) -> Mapping[str, Player]:
        """How networks are trained: optimizers, schedules, averages. A network without a player has no optimizer."""
        raise NotImplementedError

    def turns(self) -> Sequence[Turn]:
        """The turns of one iteration, in order."""
        raise NotImplementedError

    def generate(self, networks: Mapping[str, nn.Module], request: Request) -> Samples:
        """``request.n`` samples, from networks in evaluation mode and without gradients.

        Samples that are made from given samples keep their order. Sample i of a seed should not depend on n: draw n rows with
        each call of ``request.noise``. Run large networks on pieces of the batch (`in_chunks`).
        """
        raise NotImplementedError

    def convert_data(
        self, run: Any, source: Path, out: str | Path, format: str, seed: int, options: Any
    ) -> list[Path] | None:
        """The files that `polygan.Run.convert` makes of ``source`` as a whole, as training reads it; None: each file alone (default)."""
        return None

    def preview(self) -> tuple[int, object]:
        """The size of the fixed latent batch that is shown during training, and its ``Sampling`` options."""
        return 64, self.Sampling()

    def sides(self, options: object) -> Sides | None:
        """The classes that samples are made from and made into, for these options; None: any sample of the data can be given.

        Previews and scores then hand in samples of the class ``given``, and compare the results with samples of the class ``made``.
        """
        return None

    def notes(self, training: TrainerSettings) -> Sequence[str]:
        """What the recipe chose by itself from its data and settings, in sentences. Shown at the start and in the report."""
        return ()

    def remarks(self, values: Mapping[str, float]) -> Sequence[str]:
        """What the recipe has to say about logged values, in sentences: the console and the report show each sentence once.

        ``values`` are the means since the last log, by name: ``turn/term``. The default has nothing to say.
        """
        return ()


AnyRecipe = Recipe[Any]
"""A recipe with any class of settings."""


@runtime_checkable
class HasCritic(Protocol):
    """A recipe with one discriminator that gives logits of samples, for the overfitting signal."""

    def critic(self, networks: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Logits (n,) of a prepared batch."""
        ...


@runtime_checkable
class HasStream(Protocol):
    """A recipe that makes a long sample piece by piece (sound), without seams and in bounded memory."""

    def stream(
        self, networks: Mapping[str, nn.Module], pieces: Iterator[Samples], request: Request
    ) -> Iterator[Samples]:
        """The samples made from the pieces of one given sample, in order; ``request.given`` is None."""
        ...


@runtime_checkable
class HasLikelihood(Protocol):
    """A recipe whose network gives likelihoods, for metrics that need them."""

    def log_likelihood(
        self, network: nn.Module, data: Tensor, labels: Tensor | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Log-likelihoods in nats: (n,) of whole samples, or (n, L) of the parts of each (tokens).

        A recipe that makes samples only from given samples also takes ``given``, from which each sample was made.
        """
        ...


def swapped(networks: Mapping[str, nn.Module], stands_in: Mapping[str, str]) -> dict[str, nn.Module]:
    """The networks, with other networks (or parts of networks, ``name.part``) in the place of some (`Recipe.variants`)."""
    found = dict(networks)
    for name, path in stands_in.items():
        network, _, part = path.partition(".")
        found[name] = networks[network].get_submodule(part)
    return found


def sides_of(recipe: AnyRecipe, options: object = None) -> Sides | None:
    """The sides of a recipe for ``options`` (None: its defaults); None where samples are not made from a class of the data."""
    if recipe.given is None or recipe.invents:
        return None
    return recipe.sides(recipe.Sampling() if options is None else options)


def of_class(split: Split, name: str) -> Split:
    """The samples of one class, in the order of the split."""
    labels = split.store.gather("label", split.rows).numpy()
    return Split(split.store, split.rows[labels == split.store.info["classes"].index(name)], split.name)


def compared(recipe: AnyRecipe, splits: Mapping[str, Split], options: object = None) -> dict[str, Split]:
    """The part of each split that generated samples are compared with: for two sides, the samples of the class that is made."""
    sides = sides_of(recipe, options)
    return {name: split if sides is None else of_class(split, sides.made) for name, split in splits.items()}


def count_of(recipe: AnyRecipe, n: int | None, latents: Any) -> int | None:
    """The number of samples: that of the latents where there are latents. ConfigError where latents do not fit the call."""
    if latents is None:
        return n
    if recipe.given is not None and not recipe.invents:
        raise ConfigError(f"{type(recipe).__name__} makes samples from {recipe.given}; leave latents out")
    if not hasattr(latents, "__len__") or not len(latents):
        raise ConfigError("latents hold no row; hand over a tensor (n, latent_dim) with n >= 1")
    if n not in (None, len(latents)):
        raise ConfigError(f"n = {n} and {len(latents)} latents do not fit; leave n out")
    return len(latents)
