"""The run: a folder on disk, and `train`, `resume`, `load` that make and open one."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .acting import load_module
from .checkpoint import Checkpoints, load_weights
from .config import Settings, SettingsParser, build, read_yaml
from .data import Stream, build_store, split_store
from .distributed import choose_device, world_from_environment
from .domain import DataSettings, Domain
from .errors import DISK_FULL, CheckpointError, ConfigError, DataError, PluginError, Preempted, did_you_mean
from .folder import check_data, describe, locked, new_folder, read_json, run_folder
from .plugins import get_catalogue
from .recipe import Recipe
from .recorder import Recorder, append_record, compute_scores, generate, make_evaluation
from .seeding import seed_everything
from .trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from .data import Split
    from .distributed import World
    from .domain import Samples, Score, Source
    from .plugins import Catalogue


def train(
    recipe: str,
    data: str | Path | Mapping[str, Any] | None = None,
    *,
    config: str | Path | None = None,
    model: Mapping[str, Any] | None = None,
    arguments: Sequence[str] = (),
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Train a recipe and return the finished run.

    ``data``: a path, a named data set, or the domain's data settings; ``model``: the recipe's settings; ``settings``: those
    of `RunSettings` (steps, batch_size, seed, precision, name, ...). ``config`` is a YAML file that comes before them,
    ``arguments`` are command-line options that come after. Raises a `PolyganError` for every foreseen mistake.
    """
    layers: list[Mapping[str, Any]] = [read_yaml(config)] if config else []
    layers.append({k: v for k, v in (("data", data), ("model", model)) if v is not None} | settings)
    return _execute(resolve(recipe, layers, arguments), None, quiet=quiet)


def resolve(recipe: str, layers: Sequence[Mapping[str, Any]], arguments: Sequence[str] = ()) -> Settings:
    """The settings of a run from layered plain data and command-line options."""
    return settings_parser(recipe).parse(layers, arguments)


def settings_parser(recipe: str) -> SettingsParser:
    """The parser of one recipe's settings."""
    kind, domain = _kinds(recipe, get_catalogue())
    return SettingsParser(get_catalogue().recipe(recipe).id, kind.Config, domain.Settings, kind.defaults)


def _kinds(recipe: str, catalogue: Catalogue) -> tuple[type[Recipe], Domain]:
    """A recipe's class and an instance of its domain."""
    spec = catalogue.recipe(recipe)
    kind = catalogue.resolve(spec)
    if not (isinstance(kind, type) and issubclass(kind, Recipe)):
        raise PluginError(f"recipe {spec.id!r}: {spec.target} is not a subclass of polygan.Recipe")
    if not dataclasses.is_dataclass(getattr(kind, "Config", None)):
        raise PluginError(f"recipe {spec.id!r}: {spec.target}.Config is not a dataclass")
    domain = catalogue.resolve(catalogue.domain(kind.domain))
    if not (isinstance(domain, type) and issubclass(domain, Domain)):
        raise PluginError(
            f"domain {kind.domain!r}: {catalogue.domain(kind.domain).target} is not a subclass of polygan.Domain"
        )
    return kind, domain()


def open_source(settings: DataSettings, domain: Domain, catalogue: Catalogue) -> Source:
    """The source that settings name: a data set of the domain, or else what the domain finds at the path."""
    name = settings.source
    names = [d.id for d in catalogue.datasets.values() if d.domain == domain.id]
    if not name:
        raise DataError(f"no data: pass --data PATH or one of {', '.join(names) or 'no named data sets are installed'}")
    if name in names and not (os.sep in name and Path(name).exists()):
        return catalogue.resolve(catalogue.dataset(name))(settings)
    if ":" not in name and not Path(name).expanduser().exists():
        raise DataError(
            f"data {name!r} is neither a path that exists nor a data set of domain {domain.id!r}"
            f"{did_you_mean(name, names)}; `polygan list` shows the data sets"
        )
    return domain.open(settings)


def _execute(settings: Settings, folder: Path | None, *, quiet: bool = False) -> Run:
    """Train in a new folder, or continue in ``folder``."""
    catalogue = get_catalogue()
    kind, domain = _kinds(settings.recipe, catalogue)
    metrics = _metric_ids(settings.run.metrics, domain, catalogue)
    if settings.run.threads:
        torch.set_num_threads(settings.run.threads)
    with ExitStack() as stack:
        world, device = stack.enter_context(world_from_environment(settings.run.device, settings.run.hang_timeout))
        with world.first_goes_first():
            splits = _open_splits(settings, domain, progress=None if world.first and not quiet else False)
        recipe = kind(settings.model, splits["train"].store.info)
        streams = _streams(settings, splits, domain, world)
        place, resuming = world.share(_place(settings, folder) if world.first else None)
        recorder = None
        if world.first:
            stack.enter_context(locked(place))
            recorder = Recorder(place, settings, catalogue, domain, recipe, splits, metrics, quiet=quiet)
        trainer = Trainer(
            recipe,
            streams,
            settings.run,
            device=device,
            prepare=domain.prepare,
            checkpoints=Checkpoints(place / "checkpoints", keep=settings.run.keep, writable=world.first),
            listener=recorder,
            world=world,
        )
        _begin(trainer, settings, place, splits, resuming=resuming)
        if recorder:
            describe(place, settings, domain, splits, device, trainer.precision, catalogue)
        _fit(trainer, recorder, place)
        return Run(place, settings, recipe, domain, trainer.networks(), trainer.step, splits)


def _metric_ids(names: Sequence[str], domain: Domain, catalogue: Catalogue) -> list[str]:
    """The ids of metrics asked for, or of all that the domain has."""
    ids = [catalogue.metric(name).id for name in names]
    return ids or [name for name in catalogue.metrics if name.partition("/")[0] == domain.id]


def _open_splits(settings: Settings, domain: Domain, progress: bool | None = None) -> dict[str, Split]:
    store = build_store(open_source(settings.data, domain, get_catalogue()), settings.data, progress=progress)
    return split_store(store, settings.data.held_out)


def _streams(settings: Settings, splits: Mapping[str, Split], domain: Domain, world: World) -> dict[str, Stream]:
    """A stream for each split that holds a batch; the training split must."""
    batch, seed = settings.run.batch_size, settings.run.seed
    return {
        name: Stream(split, domain, batch, seed, world.rank, world.size)
        for name, split in splits.items()
        if name == "train" or len(split) >= batch
    }


def _begin(trainer: Trainer, settings: Settings, folder: Path, splits: Mapping[str, Split], *, resuming: bool) -> None:
    """Continue from the newest checkpoint, or start from other networks, or from the recipe's own."""
    checkpoints = trainer.checkpoints
    if resuming and checkpoints is not None and checkpoints.entries():
        if trainer.world.first:
            check_data(folder, splits["train"].store)
        trainer.restore(checkpoints.load())
    elif settings.run.init_from:
        _transfer(trainer, settings.run.init_from)


def _fit(trainer: Trainer, recorder: Recorder | None, folder: Path) -> None:
    """Train with signals handled, and record how it ended."""
    with _signals(trainer) as signals:
        status = "failed"
        try:
            if recorder:
                recorder.started(trainer, resumed=trainer.step > 0)
            trainer.fit()
            status = "finished"
        except Preempted as stopped:
            status = "interrupted" if signals[:1] == [signal.SIGINT] else "preempted"
            kind = KeyboardInterrupt if status == "interrupted" else Preempted
            raise kind(f"{stopped}; `polygan resume {folder}` continues") from None
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise CheckpointError(
                f"run {folder} cannot be written ({error.strerror}); its checkpoints are intact: free some space, then "
                f"`polygan resume {folder}`"
            ) from None
        finally:
            if recorder:
                recorder.ended(trainer, status)
                _try_report(recorder.folder, recorder)


def _place(settings: Settings, folder: Path | None) -> tuple[Path, bool]:
    return new_folder(settings) if folder is None else (folder, True)


def _try_report(folder: Path, recorder: Recorder) -> None:
    """The report at the end of training; the run is worth more than its report."""
    from .report import write_report

    try:
        write_report(folder)
    except (OSError, ValueError) as error:
        recorder.progress.say(f"the report could not be written: {error}")


def resume(path: str | Path, *, steps: int | None = None, device: str | None = None, quiet: bool = False) -> Run:
    """Continue a run from its newest valid checkpoint, to ``steps`` iterations in all if given.

    The result is bit-identical to a run that was never interrupted (same machine, settings and number of processes).
    """
    folder = run_folder(path)
    changes = {k: v for k, v in (("steps", steps), ("device", device)) if v is not None}
    settings = _saved_settings(folder, changes)
    done = _finished_step(folder, settings.run.steps)
    if done is not None:
        raise ConfigError(
            f"run {folder} is finished at step {done}; `polygan resume {folder} --steps {2 * done}` trains on"
        )
    return _execute(settings, folder, quiet=quiet)


def _finished_step(folder: Path, steps: int) -> int | None:
    """The step of a run that has nothing left to do; None where its end is missing, damaged or not recorded."""
    from .report import read_log

    checkpoints = Checkpoints(folder / "checkpoints", warn=lambda _: None)
    if not any(e.step >= steps for e in checkpoints.entries()):
        return None
    done = checkpoints.load().step
    ended = any(r.get("status") == "finished" and r.get("step") == done for r in read_log(folder / "log.jsonl"))
    return done if done > steps or (done == steps and ended) else None


def load(path: str | Path, *, step: int | None = None, device: str = "auto") -> Run:
    """Open a run from its newest valid checkpoint, or from that of ``step``. The data is not needed to generate."""
    folder = run_folder(path)
    settings = _saved_settings(folder, {})
    catalogue = get_catalogue()
    kind, domain = _kinds(settings.recipe, catalogue)
    facts = read_json(folder / "data.json")
    seed_everything(settings.run.seed)
    recipe = kind(settings.model, facts["info"])
    checkpoint = Checkpoints(folder / "checkpoints").load(step)
    networks: dict[str, nn.Module] = {}
    for name, player in recipe.players().items():
        key = f"{name}.ema" if f"{name}.ema" in checkpoint.networks else name
        load_module(player.module, checkpoint.networks, key, checkpoint.path)
        networks[name] = player.module.to(choose_device(device)).requires_grad_(False)
    return Run(folder, settings, recipe, domain, networks, checkpoint.step, None)


def recipe_of(path: str | Path) -> type[Recipe]:
    """The recipe's class of a run."""
    return _kinds(_saved_settings(run_folder(path), {}).recipe, get_catalogue())[0]


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
        """``n`` samples by seed, with the recipe's ``Sampling`` options. Sample i of a seed does not depend on ``n``."""
        if n < 1:
            raise ConfigError(f"n = {n} samples cannot be generated; ask for at least 1")
        sampling = build(self.recipe.Sampling, options, f"generate with {self.settings.recipe}")
        return generate(self.recipe, self.networks, n, seed, sampling)

    def splits(self) -> Mapping[str, Split]:
        """The data that the run was trained on: ``train`` and ``held_out``."""
        if self._splits is None:
            splits = _open_splits(self.settings, self.domain)
            check_data(self.folder, splits["train"].store)
            self._splits = splits
        return self._splits

    def evaluate(self, metrics: Sequence[str] = (), *, samples: int | None = None, quiet: bool = False) -> list[Score]:
        """Scores by metric id (empty: the run's, else all of the domain), each next to its floor; kept in the log."""
        catalogue = get_catalogue()
        names = _metric_ids(metrics or self.settings.run.metrics, self.domain, catalogue)
        device = next((p.device for n in self.networks.values() for p in n.parameters()), torch.device("cpu"))
        evaluation = make_evaluation(
            self.settings,
            self.domain,
            self.splits(),
            lambda n, seed: generate(self.recipe, self.networks, n, seed, self.recipe.Sampling()),
            device,
        )
        if samples is not None:
            evaluation.count = samples
        say = (lambda _: None) if quiet else (lambda line: print(line, file=sys.stderr, flush=True))
        scores = compute_scores(catalogue, names, evaluation, say)
        record = {"event": "evaluated", "step": self.step, "scores": [vars(s) for s in scores]}
        append_record(self.folder / "log.jsonl", record)
        return scores

    def report(self) -> Path:
        """Write ``report.html`` anew and return its path."""
        from .report import write_report

        return write_report(self.folder)

    def export(self, path: str | Path) -> list[Path]:
        """Write the networks to ``path`` (one .safetensors file) and the recipe, settings and data facts beside it (.json)."""
        from safetensors.torch import save_file

        path = Path(path)
        path = path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"{name}.{key}": value.detach().cpu().contiguous().clone()
            for name, network in self.networks.items()
            for key, value in network.state_dict().items()
        }
        plain = self.settings.plain()
        facts = {
            "recipe": self.settings.recipe,
            "model": plain["model"],
            "info": dict(self.recipe.info),
            "step": self.step,
            "networks": sorted(self.networks),
        }
        save_file(tensors, path, {"format": "pt", "recipe": self.settings.recipe})
        path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        return [path, path.with_suffix(".json")]


def _saved_settings(folder: Path, changes: Mapping[str, Any]) -> Settings:
    saved = read_yaml(folder / "config.yaml")
    recipe = saved.get("recipe")
    if not isinstance(recipe, str):
        raise ConfigError(f"{folder / 'config.yaml'} names no recipe; restore the file or train anew")
    return resolve(recipe, [saved, {"runs": str(folder.parent), "name": folder.name}, changes])


@contextmanager
def _signals(trainer: Trainer) -> Iterator[list[int]]:
    """SIGTERM, SIGUSR1 and the first Ctrl-C ask the trainer to save and stop; a second Ctrl-C stops at once.

    Yields the signals that came.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def stop(number: int, _frame: Any) -> None:
        # torchrun sends its processes a second Ctrl-C, after the terminal's own.
        if number == signal.SIGINT and "TORCHELASTIC_RUN_ID" not in os.environ:
            if number in came:
                raise KeyboardInterrupt
            print("stopping after this iteration; Ctrl-C again stops at once", file=sys.stderr, flush=True)
        came.append(number)
        trainer.request_stop()

    wanted = [getattr(signal, n) for n in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, n)]
    before = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _transfer(trainer: Trainer, path: str) -> None:
    """Start from other networks: each player's averaged weights if there are any, else its own."""
    weights = load_weights(Path(path), list(trainer.actors))
    found = [name for name in trainer.actors if name in weights or f"{name}.ema" in weights]
    if not found:
        raise CheckpointError(f"{path} holds no network of this recipe; it has {', '.join(weights) or 'none'}")
    for name in found:
        actor = trainer.actors[name]
        load_module(actor.module, weights, name if name in weights else f"{name}.ema", path)
        if actor.averaged is not None:
            load_module(actor.averaged, weights, f"{name}.ema" if f"{name}.ema" in weights else name, path)
