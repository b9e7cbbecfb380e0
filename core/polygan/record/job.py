"""A job: the settings of a run with the plugins, domain, recipe, data and metrics that they name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.cache.folders import cache_folder
from ..game.recipe import compared
from ..game.sampling import given_of, has_truth, make_samples, shown_beside
from ..scoring.evaluation import NO_TRUST, Evaluation, Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    import torch

    from ..data.domain import Domain, Samples
    from ..data.pieces import Piece
    from ..data.source import Batch
    from ..data.store import Split
    from ..game.recipe import Recipe
    from ..plugins.catalogue import Catalogue
    from ..settings.parser import Settings


@dataclass(frozen=True)
class Job:
    """The settings of a run with everything that they name. A job does not change during the run."""

    settings: Settings
    catalogue: Catalogue
    domain: Domain
    recipe: Recipe[Any]
    splits: Mapping[str, Split]
    """``train`` and ``held_out``."""
    metrics: Sequence[str]
    """The ids of the metrics to compute; the first that can be computed picks the best checkpoint."""
    kept: dict[Hashable, Any] = field(default_factory=dict)
    """Values that the metrics of all evaluations share (`Evaluation.once`)."""
    start: Callable[[], Mapping[str, torch.nn.Module] | None] | None = None
    """Makes the networks that the run began with (`Evaluation.start`); None: the networks are not those of a run."""
    trust: Trust = NO_TRUST
    """The feature network that this process was asked for, and whether code in files may run."""

    def __post_init__(self) -> None:
        self.recipe.runs = Path(self.settings.run.runs)

    @property
    def info(self) -> dict[str, Any]:
        """The facts of the data."""
        return self.splits["train"].store.info

    @property
    def compared(self) -> dict[str, Split]:
        """The part of each split that generated samples are compared with."""
        return compared(self.recipe, self.splits)

    @property
    def paired(self) -> bool:
        """Whether each sample is made from a given sample and has a truth."""
        return has_truth(self.recipe, self.domain, self.info)

    def prepare(self, batch: Batch) -> Batch:
        """A collated batch in the form that the networks take."""
        return self.domain.prepare(batch, self.info)

    def samples(self, networks: Mapping[str, torch.nn.Module], n: int, seed: int, options: object = None) -> Samples:
        """``n`` samples by seed; a recipe that needs something given makes at most one from each held-out sample."""
        given = given_of(self.recipe, self.domain, self.splits, n, options)
        return make_samples(self.recipe, networks, n, seed, options, given=given, domain=self.domain)

    def real(self, generated: Samples, options: object = None) -> Samples:
        """Real samples to show beside generated ones: as many, of the same classes in the same order."""
        return shown_beside(self.recipe, self.domain, self.splits, generated, options)

    def beside(self, generated: Samples, options: object = None) -> list[Piece]:
        """Pieces that show samples beside what they were made from and beside their truth; none where the domain has no such view.

        Files of the data are named here alone, and not where samples are shown by themselves, which people publish.
        """
        given = given_of(self.recipe, self.domain, self.splits, len(generated), options)
        if given is None:
            return []
        truth = self.real(generated, options) if self.paired else None
        return self.domain.beside(given, replace(generated, origins=given.origins), truth, self.info)

    @property
    def features(self) -> str:
        """The feature network that metrics measure with. ConfigError if the network must not be opened."""
        run = self.settings.run
        return self.trust.check(run.features, Path(run.runs) / run.name)

    def evaluation(
        self, networks: Mapping[str, torch.nn.Module], device: torch.device, options: object = None
    ) -> Evaluation:
        """The data, networks and settings that metrics may use. ConfigError for a feature network that must not be opened.

        ``options`` are the recipe's for generation (None: its defaults); they may turn the two sides of the data around.
        """
        run = self.settings.run
        return Evaluation(
            domain=self.domain,
            info=self.info,
            **(self.compared if options is None else compared(self.recipe, self.splits, options)),
            options=options,
            splits=self.splits,
            cache=cache_folder(self.settings.data),
            device=device,
            samples=run.evaluate_samples,
            seed=run.seed,
            features=self.features,
            allow_code=self.trust.allow_code,
            recipe=self.recipe,
            networks=networks,
            start=self.start,
            started_from=run.init_from,
            kept=self.kept if options is None else {},
        )
