"""What was trained: a run or an exported model, opened to generate, to be scored and to be exported."""

from __future__ import annotations
import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
import torch
from ..training.weights import load_module
from .assembly import kinds, metric_ids, open_splits, resolve, saved_settings
from ..training.checkpoint import Checkpoints
from ..training.weights import load_weights
from ..settings.parser import Settings, build
from ..training.device import choose_device
from ..errors import CheckpointError, ConfigError, DataError, did_you_mean
from .exported import read_facts, without_compiler, write_model
from .folder import check_data, read_data, run_folder
from ..plugins.catalogue import get_catalogue
from ..game.sampling import evaluating
from ..game.recipe import sample_from
from ..scoring.scores import compute_scores, flat, make_evaluation
from ..record.log import append_record
from ..messages import say as tell
from ..seeding import seed_everything

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from ..data.store import Split
    from ..data.domain import Domain, Samples
    from ..scoring.evaluation import Score
    from ..game.recipe import Recipe


def load(path: str | Path, *, step: int | None = None, device: str = "auto") -> Run:
    """Open a run from its newest valid checkpoint, or from that of ``step``; or a model that `Run.export` wrote.

    The data is not needed to generate. Players that an exported model lacks (a discriminator) stay as they are made.
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
    kind, domain = kinds(settings.recipe, get_catalogue())
    seed_everything(settings.run.seed)
    recipe = kind(settings.model, facts["info"])
    networks: dict[str, nn.Module] = {}
    with without_compiler():
        players = recipe.players()
    for name, player in players.items():
        key = f"{name}.ema" if f"{name}.ema" in weights else name
        if key in weights or not exported:
            load_module(player.module, weights, key, where)
        # The layout of training: a convolution in another one is the same to rounding only.
        module = player.module.to(choose_device(device)).to(memory_format=recipe.memory_format)  # pyright: ignore[reportCallIssue]
        networks[name] = module.requires_grad_(False)
    return Run(path.with_suffix("") if exported else path, settings, recipe, domain, networks, at, None)


def recipe_of(path: str | Path) -> type[Recipe]:
    """The recipe's class of a run or an exported model."""
    path = Path(path)
    name = read_facts(path)["recipe"] if path.suffix == ".safetensors" else saved_settings(run_folder(path), {}).recipe
    return kinds(name, get_catalogue())[0]


class Run:
    """A trained run. ``networks`` are the averaged ones where the recipe averages."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        recipe: Recipe,
        domain: Domain,
        networks: Mapping[str, nn.Module],
        step: int,
        splits: Mapping[str, Split] | None,
    ) -> None:
        self.folder, self.settings, self.recipe, self.domain = folder, settings, recipe, domain
        self.networks, self.step = networks, step
        self._splits = splits

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, recipe={self.settings.recipe!r}, step={self.step})"

    def generate(self, n: int, *, seed: int = 0, **options: Any) -> Samples:
        """``n`` samples by seed, with the recipe's ``Sampling`` options. Sample i of a seed does not depend on ``n``.

        A recipe that translates makes them of the first n held-out samples of the run's data, at most.
        """
        if n < 1:
            raise ConfigError(f"n = {n} samples cannot be generated; ask for at least 1")
        sampling = self._sampling(options)
        if not self.recipe.translates:
            return self.recipe.sample(self.networks, n, seed, sampling)
        return sample_from(self.recipe, self.networks, self.domain, self.splits(), n, seed, sampling)

    def convert(self, source: str | Path, out: str | Path, **options: Any) -> list[Path]:
        """Translate a file, or every file of a folder, into the folder ``out``; returns the files written.

        For recipes that make samples from given ones, with their ``Sampling`` options.
        """
        sampling, source = self._sampling(options), Path(source)
        if not source.exists():
            raise DataError(f"input {str(source)!r} does not exist; name a file or a folder")
        with evaluating(self.networks), torch.no_grad():
            files = list(self.recipe.convert(self.networks, source, Path(out), sampling))
        if not files:
            raise DataError(f"input {str(source)!r} holds nothing that {self.settings.recipe} reads")
        return files

    def _sampling(self, options: Mapping[str, Any]) -> Any:
        return build(self.recipe.Sampling, options, f"generate with {self.settings.recipe}")

    def splits(self) -> Mapping[str, Split]:
        """The data that the run was trained on: ``train`` and ``held_out``."""
        if self._splits is None:
            if not (self.folder / "data.json").exists():
                raise ConfigError(f"{self.folder} is an exported model and has no data; use the run that it came from")
            splits = open_splits(self.settings, self.domain)
            check_data(self.folder, splits["train"].store)
            self._splits = splits
        return self._splits

    def evaluate(
        self,
        metrics: Sequence[str] = (),
        *,
        samples: int | None = None,
        judge: str | None = None,
        quiet: bool = False,
    ) -> list[Score]:
        """Scores by metric id (empty: the run's, else all of the domain), each next to its floor; kept in the log.

        ``samples`` and ``judge`` take the place of the run's ``evaluate_samples`` and ``judge``.
        """
        catalogue = get_catalogue()
        names = metric_ids(metrics or self.settings.run.metrics, self.domain, catalogue)
        device = next((p.device for n in self.networks.values() for p in n.parameters()), torch.device("cpu"))
        evaluation = make_evaluation(self.settings, self.domain, self.splits(), self.recipe, self.networks, device)
        if samples is not None:
            if samples < 1:
                raise ConfigError(f"samples = {samples} is too small; the least is 1")
            evaluation.count = samples
        if judge is not None:
            evaluation.judge = judge
        say = (lambda _: None) if quiet else tell
        scores, record = compute_scores(catalogue, names, evaluation, say)
        append_record(self.folder / "log.jsonl", {"event": "evaluated", "step": self.step, **record})
        return flat(scores)

    def report(self) -> Path:
        """Write ``report.html`` anew and return its path."""
        from ..report.page import write_report

        return write_report(self.folder)

    def export(self, path: str | Path, kind: str = "safetensors") -> list[Path]:
        """Write the networks to ``path`` (one .safetensors file) and the recipe, settings and data facts beside it (.json).

        ``kind`` may be one of the recipe's ``formats``, for other programs. ConfigError for one that it does not have.
        """
        known = ("safetensors", *self.recipe.formats)
        if kind not in known:
            raise ConfigError(
                f"export as {kind!r}{did_you_mean(kind, known)}; {self.settings.recipe} has {', '.join(known)}"
            )
        if kind != "safetensors":
            return self.recipe.export_as(self.networks, kind, Path(path))
        return write_model(Path(path), self.settings, self.recipe.info, self.step, self.networks)
