"""A trained run or an exported model, opened to generate samples, to compute scores and to export networks."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.pieces import read_pieces, to_html
from ..errors import ConfigError, DataError, did_you_mean
from ..game.recipe import count_of, swapped
from ..game.sampling import device_of, make_samples
from ..messages import say, warn
from ..plugins import find, get_catalogue
from ..plugins.handed import using
from ..record.job import Job
from ..record.log import append_record
from ..scoring.evaluation import Trust
from ..scoring.scores import compute_scores, flat
from ..seeding import preserved_generators
from ..settings.parser import build
from ..training.checkpoint import Checkpoints
from ..training.distributed import choose_device
from ..training.weights import file_sizes, load_module, load_weights
from .assembly import kinds, metric_ids, open_splits, resolve, saved_model, saved_settings
from .exported import NATIVE, export_kind, format_options, read_facts, write_format, write_model, writer
from .folder import check_data, read_data, refuse_handed, run_folder
from .given import Maker, convert_files, on_other_data, samples_from, write_lines
from .handed.opening import handed_again
from .networks.building import best_step, built
from .networks.building import recipe_of as recipe_of
from .networks.starting import with_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import nn

    from ..data.domain import Domain, Samples
    from ..data.store import Split
    from ..game.recipe import Recipe
    from ..scoring.evaluation import Score
    from ..training.checkpoint import Networks
    from .handed.networks import Network
    from .handed.opening import DomainLike


def load(
    path: str | Path,
    *,
    step: int | None = None,
    device: str = "auto",
    networks: tuple[Network, Network] | None = None,
    recipe: type[Recipe[Any]] | None = None,
    domain: DomainLike = None,
    data: object = None,
    plugins: Sequence[object] = (),
) -> Run:
    """Open a run at its newest valid checkpoint or at the checkpoint of ``step``, or open a model that `Run.export` wrote.

    A name with a scheme, such as ``"hf:me/x"``, is a model that a plugin brings. Generating needs no data, except for recipes that make
    samples from something. Networks that an exported model lacks (a discriminator) keep their initial weights. What `train` took from
    a script is handed in again: ``networks`` (generator, discriminator), or the class ``recipe`` with its ``domain``, and ``data``
    where the cache no longer has it. ``plugins`` are as in `train`, where this process has not loaded them yet.
    """
    found = find(path)
    with handed_again(found.path, networks, recipe, domain, data, plugins):
        return _load(found.path, found.folder, step, device)


def _load(path: Path, home: Path, step: int | None, device: str) -> Run:
    """``home``: the folder that what is made from the model belongs to."""
    exported = path.suffix == ".safetensors"
    if exported:
        facts = read_facts(path)
        refuse_handed(facts["recipe"], path, get_catalogue())
        kind, _ = kinds(facts["recipe"], get_catalogue())
        settings = resolve(facts["recipe"], [{**saved_model(kind, facts["model"]), "runs": str(path.parent)}])
        names, at = facts["networks"], facts["step"]
    else:
        settings, facts = saved_settings(run_folder(path), {}), read_data(path)
        names, at = [], 0
    catalogue = get_catalogue()
    kind, domain = kinds(settings.recipe, catalogue)
    place = choose_device(device)
    recipe, networks = built(kind, settings, facts["info"], path)
    sizes = file_sizes(networks)

    def fill(weights: Networks, where: Path) -> None:
        for name, module in networks.items():
            key = f"{name}.ema" if f"{name}.ema" in weights else name
            if key in weights or not exported:
                load_module(module, weights, key, where)

    if exported:
        fill(load_weights(path, names, sum(sizes.values()) + (64 << 20)), path)  # the facts within may have 64 MiB
    else:
        at = Checkpoints(path / "checkpoints").load(step, use=lambda c: fill(c.networks, c.path), needs=sizes).step
    for name, module in networks.items():
        # The memory layout of training: in another layout a convolution gives the same numbers only up to rounding.
        moved = module.to(place).to(memory_format=recipe.memory_format)  # pyright: ignore[reportCallIssue]
        networks[name] = moved.requires_grad_(False)
    # `evaluate` looks the metrics up: generating needs no plugin that brings one.
    job = Job(settings, catalogue, domain, recipe, {}, ())
    return Run(home, job if exported else with_start(job, path), networks, at)


class Run:
    """A trained run. ``networks`` have averaged weights where the recipe averages."""

    def __init__(self, folder: Path, job: Job, networks: Mapping[str, nn.Module], step: int) -> None:
        self.folder, self.networks, self.step = folder, networks, step
        self._job = job
        self.settings, self.recipe, self.domain = job.settings, job.recipe, job.domain

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, recipe={self.settings.recipe!r}, step={self.step})"

    def _repr_html_(self) -> str:
        """The run as a notebook shows it: one line, and the newest samples that training drew."""
        newest = sorted(self.folder.glob("samples/step-*"))[-1:]
        pieces = []
        with suppress(DataError):
            pieces = [piece for folder in newest for piece in read_pieces(folder)[:8]]
        return to_html(repr(self), pieces)

    def variant(self, name: str) -> Run:
        """This run with other networks to generate from.

        ``"best"`` is the checkpoint with the best score. Other names are the recipe's own (`Recipe.variants`), e.g. the network
        that a game started from. Raises ConfigError for a name that there is not.
        """
        if name in self.recipe.variants:
            return Run(self.folder, self._job, swapped(self.networks, self.recipe.variants[name]), self.step)
        if name == "best":
            with using(self._job.catalogue):
                return load(self.folder, step=best_step(self.folder), device=str(device_of(self.networks)))
        known = [*self.recipe.variants, "best"]
        raise ConfigError(
            f"of = {name!r}: {self.settings.recipe} saves no networks of this name{did_you_mean(name, known)}; "
            f"there are {', '.join(known)}"
        )

    @property
    def given_domain(self) -> Domain:
        """The domain of the samples that a user hands in. ConfigError if the recipe makes samples from noise alone."""
        given, catalogue = self.recipe.given, self._job.catalogue
        if given is None:
            raise ConfigError(
                f"{self.settings.recipe} makes samples from noise and takes no input; leave --input (given=...) out"
            )
        return self.domain if given == self.domain.id else catalogue.resolve(catalogue.domain(given))()

    def generate(
        self,
        n: int | None = None,
        *,
        given: object = None,
        latents: object = None,
        seed: int = 0,
        of: str = "",
        **options: object,
    ) -> Samples:
        """``n`` samples by seed, with the recipe's ``Sampling`` options. Sample i of a seed does not depend on ``n``.

        ``given`` is what samples are made from: a file's path, a text, an array, or `polygan.Samples`. Each given sample becomes one
        sample. Without ``given``, a recipe that needs something given takes the first n held-out samples of the run's data, or
        all if there are fewer. `convert` takes whole folders. ``latents`` (n, ...) replace what the seed draws. ``of`` names other networks to generate from (`variant`). Raises
        ConfigError if n and given do not fit the recipe.
        """
        run = self.variant(of) if of else self
        return run._generate(count_of(run.recipe, n, latents), given, latents, seed, options)

    def _generate(
        self, n: int | None, given: object, latents: object, seed: int, options: Mapping[str, object]
    ) -> Samples:
        sampling = self._sampling(options)
        if given is not None:
            if n is not None:
                raise ConfigError(
                    "n and given exclude each other: leave n out, since each given sample becomes one sample"
                )
            return samples_from(self._maker(seed, sampling), given)
        n = 64 if n is None else n
        if not hasattr(n, "__index__") or n < 1:
            raise ConfigError(f"n = {n!r} samples cannot be generated; ask for a whole number from 1")
        if self.recipe.given is None or self.recipe.invents:
            return make_samples(self.recipe, self.networks, n, seed, sampling, domain=self.domain, latents=latents)
        return self._whole_job().samples(self.networks, n, seed, sampling)

    def convert(
        self, source: str | Path, out: str | Path, *, format: str = "", seed: int = 0, **options: object
    ) -> list[Path]:
        """Make an output file from the file ``source``, or from each file in the folder ``source``, and return the output files.

        ``out`` is a folder, or a file if ``source`` is a file. ``format`` is the suffix of the output files (empty: what
        `Domain.made_suffix` says). Files are read and written piece by piece, unless the recipe takes ``source`` as a whole
        (`Recipe.convert_data`). Raises DataError for files that cannot be read, after the other files are written.
        """
        made = self.recipe.convert_data(self, Path(source), out, format, seed, sampling := self._sampling(options))
        return list(convert_files(self._maker(seed, sampling), Path(source), out, format)) if made is None else made

    def convert_lines(self, lines: Iterable[str], *, seed: int = 0, **options: object) -> Iterator[Samples]:
        """Samples from lines of text (standard input), piece by piece, for a given domain that reads text."""
        return self._maker(seed, self._sampling(options)).of_lines(lines)

    def convert_file(self, source: str | Path, *, seed: int = 0, **options: object) -> Iterator[Samples]:
        """Samples from the file ``source``, piece by piece, written nowhere."""
        return self._maker(seed, self._sampling(options)).of_file(Path(source))

    def write_lines(self, made: Iterable[Samples], out: str | Path) -> Path:
        """Write what `convert_lines` yields into the file ``out``, or into a file in the folder ``out``; returns the file."""
        return write_lines(self.domain, made, out)

    def _maker(self, seed: int, sampling: object) -> Maker:
        return Maker(self.recipe, self.networks, self.domain, self.given_domain, seed, sampling)

    def _sampling(self, options: Mapping[str, object]) -> object:
        return build(self.recipe.Sampling, options, f"generate with {self.settings.recipe}")

    def _whole_job(self) -> Job:
        """The job with the data that the run was trained on; the data is decoded at the first call."""
        if not self._job.splits:
            if not (self.folder / "data.json").exists():
                raise ConfigError(f"{self.folder} is an exported model and has no data; name some with --data PATH")
            with using(self._job.catalogue):
                splits = open_splits(self.settings, self.domain, run=self.folder)
            check_data(self.folder, splits["train"].store)
            self._job = dataclasses.replace(self._job, splits=splits)
        return self._job

    def splits(self) -> Mapping[str, Split]:
        """The data that the run was trained on: the splits ``train`` and ``held_out``."""
        return self._whole_job().splits

    def evaluate(
        self,
        metrics: Sequence[str] = (),
        *,
        samples: int | None = None,
        features: str | None = None,
        allow_code: bool = False,
        quiet: bool = False,
        data: str = "",
        **options: object,
    ) -> list[Score]:
        """Compute the scores of metrics by id, each with its floor, and write them to the log; ``options`` as in `generate`.

        ``data``: a path or a data set to score on instead of the held-out samples, without a record. Without ``metrics``: the run's,
        else all of the domain. ``samples`` and ``features`` override the run's ``evaluate_samples`` and ``features``. ``allow_code``
        allows a file of ``features`` that runs code when it is loaded (.pt2, .pt). ConfigError for a file that only the config.yaml of a loaded run names.
        """
        known = self._job.trust
        trust = Trust(known.features if features is None else features, allow_code or known.allow_code)
        trust.check(self.settings.run.features, self.folder)  # before any data is decoded
        with using(self._job.catalogue):
            job = dataclasses.replace(on_other_data(self._job, data) if data else self._whole_job(), trust=trust)
        names = metric_ids(metrics or self.settings.run.metrics, self.domain, job.catalogue, self.recipe, job.info)
        device = device_of(self.networks)
        evaluation = job.evaluation(self.networks, device, self._sampling(options) if options else None)
        if samples is not None and samples < 1:
            raise ConfigError(f"samples = {samples} is too small; the least is 1")
        evaluation.samples = samples or evaluation.samples
        with preserved_generators(device):
            computed = compute_scores(job.catalogue, names, evaluation, (lambda _: None) if quiet else say)
        try:
            if not data:
                append_record(self.folder / "log.jsonl", {"event": "evaluated", "step": self.step, **computed.record})
        except OSError as error:  # e.g. a folder that only others may write to
            warn(f"polygan: the scores are not in the log of {self.folder} ({error.strerror or error})")
        return flat(computed.scores)

    def report(self) -> Path:
        """Write a new ``report.html`` and return its path."""
        from ..report.page import write_report

        return write_report(self.folder)

    def export(self, path: str | Path, kind: str = "", **options: object) -> list[Path]:
        """Write the networks to ``path`` (one .safetensors file), and the recipe, settings and data facts beside them (.json).

        ``kind`` may also be a format for other programs that a plugin has for the recipe, with ``options`` of its own; without
        ``kind``, the suffix of ``path`` says the format. ConfigError for an unknown format, suffix or option, and where the two differ.
        """
        recipe, catalogue, path = self.settings.recipe, self._job.catalogue, Path(path)
        kind = export_kind(path, kind, catalogue.formats_of(recipe, "export"))
        chosen = build(format_options(recipe, kind, catalogue), options, f"export as {kind}")
        if kind == NATIVE:
            return write_model(path, self.settings, self.recipe.info, self.step, self.networks)
        self.recipe.origin = {"recipe": recipe, "step": self.step}
        return write_format(path, lambda to: writer(recipe, kind, catalogue, chosen)(self.recipe, self.networks, to))
