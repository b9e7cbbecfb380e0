"""What was trained: a run or an exported model, opened to generate, to be scored and to be exported."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .acting import load_module
from .assembly import kinds, metric_ids, open_splits, resolve, saved_settings
from .checkpoint import Checkpoints, load_weights
from .config import Settings, build
from .distributed import choose_device
from .errors import CheckpointError, ConfigError, DataError, did_you_mean
from .folder import check_data, read_json, run_folder
from .plugins import get_catalogue
from .recipe import evaluating, sample_from
from .recorder import compute_scores, flat, make_evaluation
from .records import append_record
from .seeding import seed_everything

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from .data import Split
    from .domain import Domain, Samples, Score
    from .recipe import Recipe


def load(path: str | Path, *, step: int | None = None, device: str = "auto") -> Run:
    """Open a run from its newest valid checkpoint, or from that of ``step``; or a model that `Run.export` wrote.

    The data is not needed to generate. Players that an exported model lacks (a discriminator) stay as they are made.
    """
    path = Path(path)
    exported = path.suffix == ".safetensors"
    if exported:
        facts = _facts(path)
        settings = resolve(facts["recipe"], [{"model": facts["model"], "runs": str(path.parent)}])
        weights, where, at = load_weights(path, facts["networks"]), path, facts["step"]
    else:
        settings, facts = saved_settings(run_folder(path), {}), read_json(path / "data.json")
        checkpoint = Checkpoints(path / "checkpoints").load(step)
        weights, where, at = checkpoint.networks, checkpoint.path, checkpoint.step
    kind, domain = kinds(settings.recipe, get_catalogue())
    seed_everything(settings.run.seed)
    recipe = kind(settings.model, facts["info"])
    networks: dict[str, nn.Module] = {}
    with _without_compiler():
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
    name = _facts(path)["recipe"] if path.suffix == ".safetensors" else saved_settings(run_folder(path), {}).recipe
    return kinds(name, get_catalogue())[0]


_FACTS: Mapping[str, type] = {"recipe": str, "model": dict, "info": dict, "step": int, "networks": list}


def _facts(path: Path) -> dict[str, Any]:
    """What stands beside an exported model. CheckpointError where it does not."""
    beside = path.with_suffix(".json")
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
        for name, kind in _FACTS.items():
            if not isinstance(facts[name], kind):
                raise TypeError(f"{name} is no {kind.__name__}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f"{path} is no exported model: {beside.name} beside it cannot be used ({why}); `polygan export` writes both"
        ) from None
    return facts


def import_weights(recipe: str, source: str | Path, out: str | Path) -> list[Path]:
    """Write weights of another program as an exported model, which `load` and ``init_from`` take; returns the files."""
    kind, _ = kinds(recipe, get_catalogue())
    source = Path(source)
    if not source.exists():
        raise CheckpointError(f"{source} does not exist; name the file with the weights")
    model, info, networks = kind.import_weights(source)
    settings = resolve(recipe, [{"model": model}])
    with _without_compiler():
        players = kind(settings.model, info).players()
    for name in networks:
        load_module(players[name].module, networks, name, source)
    return _write_model(Path(out), settings, info, 0, {name: players[name].module for name in networks})


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Optimizers are made without torch's compiler, which the first of them imports for 2 to 3 s only to hide itself from it.

    A model that is opened is not trained. Where torch has no such mark, optimizers are made as ever.
    """
    function, mark = getattr(torch.optim.Optimizer.add_param_group, "__wrapped__", None), "__dynamo_disable"
    if function is None or hasattr(function, mark):
        yield
        return
    setattr(function, mark, function)
    try:
        yield
    finally:
        delattr(function, mark)


def _write_model(
    path: Path, settings: Settings, info: Mapping[str, Any], step: int, networks: Mapping[str, nn.Module]
) -> list[Path]:
    """One .safetensors file with ``NAME.key`` tensors, and what is needed to build their networks beside it (.json)."""
    from safetensors.torch import save_file

    path = path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }
    facts = {
        "recipe": settings.recipe,
        "model": settings.plain()["model"],
        "info": dict(info),
        "step": step,
        "networks": sorted(networks),
    }
    save_file(tensors, path, {"format": "pt", "recipe": settings.recipe})
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return [path, path.with_suffix(".json")]


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
        say = (lambda _: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
        scores, record = compute_scores(catalogue, names, evaluation, say)
        append_record(self.folder / "log.jsonl", {"event": "evaluated", "step": self.step, **record})
        return flat(scores)

    def report(self) -> Path:
        """Write ``report.html`` anew and return its path."""
        from .report import write_report

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
        return _write_model(Path(path), self.settings, self.recipe.info, self.step, self.networks)
