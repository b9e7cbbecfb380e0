"""A trained run or an exported model, opened to generate, to be scored and to be exported."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..data.domain import Samples
from ..errors import ConfigError, DataError
from ..game.sampling import make_samples
from ..messages import say
from ..plugins.catalogue import get_catalogue
from ..record.job import Job
from ..record.log import append_record
from ..scoring.scores import compute_scores, flat
from ..seeding import preserved_generators, seed_everything
from ..settings.parser import build
from ..training.checkpoint import Checkpoints
from ..training.device import choose_device
from ..training.weights import load_module, load_weights
from .assembly import kinds, metric_ids, open_splits, resolve, saved_settings
from .exported import read_facts, write_model
from .folder import check_data, read_data, run_folder
from .given import Maker, convert_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import nn

    from ..data.domain import Domain
    from ..data.store import Split
    from ..game.recipe import Recipe
    from ..scoring.evaluation import Score


def load(path: str | Path, *, step: int | None = None, device: str = "auto") -> Run:
    """Open a run from its newest valid checkpoint, or from that of ``step``; or a model that `Run.export` wrote.

    The data is not needed to generate. Networks that an exported model lacks (a discriminator) stay as they are made.
    """
    path = Path(path)
    exported = path.suffix == ".safetensors"
    if exported:
        facts = read_facts(path)
        settings = resolve(facts["recipe"], [{"model": facts["model"], "runs": str(path.parent)}])
        weights, where, at = load_weights(path, facts["networks"]), path, facts["step"]
    else:
        settings, facts = saved_settings(run_folder(path), {}), read_data(path)
        checkpoint = Checkpoints(path / "checkpoints").load(step)
        weights, where, at = checkpoint.networks, checkpoint.path, checkpoint.step
    catalogue = get_catalogue()
    kind, domain = kinds(settings.recipe, catalogue)
    recipe, place = kind(settings.model, facts["info"]), choose_device(device)
    with preserved_generators():
        seed_everything(settings.run.seed)
        networks = dict(recipe.networks())
    for name, module in networks.items():
        key = f"{name}.ema" if f"{name}.ema" in weights else name
        if key in weights or not exported:
            load_module(module, weights, key, where)
        # The layout of training: a convolution in another one is the same to rounding only.
        moved = module.to(place).to(memory_format=recipe.memory_format)  # pyright: ignore[reportCallIssue]
        networks[name] = moved.requires_grad_(False)
    metrics = metric_ids(settings.run.metrics, domain, catalogue)
    job = Job(settings, catalogue, domain, recipe, {}, metrics)
    return Run(path.with_suffix("") if exported else path, job, networks, at)


def recipe_of(path: str | Path) -> type[Recipe[Any]]:
    """The recipe's class of a run or an exported model."""
    path = Path(path)
    name = read_facts(path)["recipe"] if path.suffix == ".safetensors" else saved_settings(run_folder(path), {}).recipe
    return kinds(name, get_catalogue())[0]


class Run:
    """A trained run. ``networks`` are the averaged ones where the recipe averages."""

    def __init__(self, folder: Path, job: Job, networks: Mapping[str, nn.Module], step: int) -> None:
        self.folder, self.networks, self.step = folder, networks, step
        self._job = job
        self.settings, self.recipe, self.domain = job.settings, job.recipe, job.domain

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, recipe={self.settings.recipe!r}, step={self.step})"

    @property
    def given_domain(self) -> Domain:
        """The domain of what samples are made from. ConfigError where the recipe makes them from noise alone."""
        given, catalogue = self.recipe.given, self._job.catalogue
        if given is None:
            raise ConfigError(
                f"{self.settings.recipe} makes samples from noise and takes no input; leave --input (given=...) out"
            )
        return self.domain if given == self.domain.id else catalogue.resolve(catalogue.domain(given))()

    def generate(self, n: int | None = None, *, given: Any = None, seed: int = 0, **options: Any) -> Samples:
        """``n`` samples by seed, with the recipe's ``Sampling`` options. Sample i of a seed does not depend on ``n``.

        ``given`` is what samples are made from: a file's path, an array, or `polygan.Samples`; one sample is made of each. Without
        it, a recipe that needs something given makes samples of the first n held-out samples of the run's data, at most.
        `convert` takes whole folders. Raises ConfigError where n and given do not fit the recipe.
        """
        sampling = self._sampling(options)
        if given is not None:
            if n is not None:
                raise ConfigError("give either n or given: one sample is made of each that is given")
            return self._from_given(given, seed, sampling)
        n = 64 if n is None else n
        if n < 1:
            raise ConfigError(f"n = {n} samples cannot be generated; ask for at least 1")
        if self.recipe.given is None or self.recipe.invents:
            return make_samples(self.recipe, self.networks, n, seed, sampling, domain=self.domain)
        return self._whole_job().samples(self.networks, n, seed, sampling)

    def _from_given(self, given: Any, seed: int, sampling: Any) -> Samples:
        if isinstance(given, str | Path):
            path = Path(given)
            if path.is_dir():
                raise ConfigError(
                    f"{path} is a folder; use convert({str(path)!r}, OUT), which takes its files one by one"
                )
            if not path.exists():
                raise DataError(f"{path} does not exist; name a file")
            return self.domain.join(self._maker(seed, sampling).of_file(path))
        domain = self.given_domain
        samples = given if isinstance(given, Samples) else domain.take(given, self.recipe.info)
        return make_samples(self.recipe, self.networks, 0, seed, sampling, given=samples, domain=self.domain)

    def convert(
        self, source: str | Path, out: str | Path, *, format: str = "", seed: int = 0, **options: Any
    ) -> list[Path]:
        """Make a file of each file: of ``source``, or of every file of that folder, into the folder ``out``; returns what was written.

        ``format`` is the suffix of the files (empty: the domain's usual one); ``out`` may also be one file. Files are read and made
        piece by piece. Raises DataError for what cannot be read, once the others are written.
        """
        maker = self._maker(seed, self._sampling(options))
        return list(convert_files(maker, Path(source), Path(out), format))

    def convert_lines(self, lines: Iterable[str], *, seed: int = 0, **options: Any) -> Iterator[Samples]:
        """What lines of text become (standard input), piece by piece, for a given domain with a textual form."""
        return self._maker(seed, self._sampling(options)).of_lines(lines)

    def _maker(self, seed: int, sampling: Any) -> Maker:
        return Maker(self.recipe, self.networks, self.domain, self.given_domain, seed, sampling)

    def _sampling(self, options: Mapping[str, Any]) -> Any:
        return build(self.recipe.Sampling, options, f"generate with {self.settings.recipe}")

    def _whole_job(self) -> Job:
        """The job with the data that the run was trained on, decoded at the first use."""
        if not self._job.splits:
            if not (self.folder / "data.json").exists():
                raise ConfigError(f"{self.folder} is an exported model and has no data; use the run that it came from")
            splits = open_splits(self.settings, self.domain)
            check_data(self.folder, splits["train"].store)
            self._job = dataclasses.replace(self._job, splits=splits)
        return self._job

    def splits(self) -> Mapping[str, Split]:
        """The data that the run was trained on: ``train`` and ``held_out``."""
        return self._whole_job().splits

    def evaluate(
        self,
        metrics: Sequence[str] = (),
        *,
        samples: int | None = None,
        features: str | None = None,
        quiet: bool = False,
    ) -> list[Score]:
        """Scores by metric id (empty: the run's, else all of the domain), each next to its floor; kept in the log.

        ``samples`` and ``features`` take the place of the run's ``evaluate_samples`` and ``features``.
        """
        job = self._whole_job()
        names = metric_ids(metrics, self.domain, job.catalogue) if metrics else job.metrics
        device = next((p.device for n in self.networks.values() for p in n.parameters()), torch.device("cpu"))
        evaluation = job.evaluation(self.networks, device)
        if samples is not None:
            if samples < 1:
                raise ConfigError(f"samples = {samples} is too small; the least is 1")
            evaluation.count = samples
        if features is not None:
            evaluation.features = features
        with preserved_generators(device):
            scores, record = compute_scores(job.catalogue, names, evaluation, (lambda _: None) if quiet else say)
        append_record(self.folder / "log.jsonl", {"event": "evaluated", "step": self.step, **record})
        return flat(scores)

    def report(self) -> Path:
        """Write ``report.html`` anew and return its path."""
        from ..report.page import write_report

        return write_report(self.folder)

    def export(self, path: str | Path, kind: str = "safetensors") -> list[Path]:
        """Write the networks to ``path`` (one .safetensors file) and the recipe, settings and data facts beside it (.json).

        ``kind`` may be a format that a plugin has for the recipe, for other programs. ConfigError for an unknown one.
        """
        if kind == "safetensors":
            return write_model(Path(path), self.settings, self.recipe.info, self.step, self.networks)
        write = self._job.catalogue.resolve(self._job.catalogue.format(self.settings.recipe, kind, "export"))
        return list(write(self.recipe, self.networks, Path(path)))
