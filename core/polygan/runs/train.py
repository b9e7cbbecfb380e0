"""The run: a folder on disk, and `train` and `resume` that make one."""

from __future__ import annotations
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
import torch
from ..training.weights import load_module
from .assembly import kinds, make_streams, metric_ids, open_splits, resolve, saved_settings
from ..training.checkpoint import Checkpoints
from ..training.weights import load_weights
from ..settings.parser import Settings, read_yaml
from ..training.distributed import world_from_environment
from ..errors import DISK_FULL, CheckpointError, ConfigError, PolyganError, Preempted
from .folder import check_data, describe, locked, new_folder, run_folder
from ..plugins.catalogue import get_catalogue
from ..record.recorder import Recorder
from ..record.log import read_log
from ..training.device import is_emulated
from .stopping import stop_signals
from .run import Run
from ..training.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..data.store import Split


def train(
    recipe: str | Settings,
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


def _execute(settings: Settings, folder: Path | None, *, quiet: bool = False) -> Run:
    """Train in a new folder, or continue in ``folder``."""
    catalogue = get_catalogue()
    kind, domain = kinds(settings.recipe, catalogue)
    metrics = metric_ids(settings.run.metrics, domain, catalogue)
    if settings.run.threads:
        torch.set_num_threads(settings.run.threads)
    with ExitStack() as stack:
        world, device = stack.enter_context(world_from_environment(settings.run.device, settings.run.hang_timeout))
        with world.first_goes_first():
            splits = open_splits(settings, domain, progress=None if world.first and not quiet else False)
        recipe = kind(settings.model, splits["train"].store.info)
        streams = make_streams(settings, splits, domain, world)
        place, resuming = world.share(_place(settings, folder) if world.first else None)
        recorder = None
        if world.first:
            stack.enter_context(locked(place))
            recorder = Recorder(place, settings, catalogue, domain, recipe, splits, metrics, quiet=quiet)
        try:
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
        except PolyganError:
            if world.first and not resuming:  # nothing was trained: the name is free again
                shutil.rmtree(place, ignore_errors=True)
            raise
        if recorder:
            if is_emulated(trainer.precision, device):
                recorder.progress.say(
                    f"precision = {trainer.precision} is emulated on this {device.type} device, which is far slower than "
                    "fp32; --precision auto takes what the hardware has"
                )
            describe(place, settings, domain, splits, device, trainer.precision, catalogue)
        _fit(trainer, recorder, place)
        return Run(place, settings, recipe, domain, trainer.networks(), trainer.step, splits)


def _begin(trainer: Trainer, settings: Settings, folder: Path, splits: Mapping[str, Split], *, resuming: bool) -> None:
    """Continue from the newest checkpoint, or start from other networks, or from the recipe's own."""
    checkpoints, world, found, problem = trainer.checkpoints, trainer.world, None, None
    if resuming and checkpoints is not None:
        if world.first and checkpoints.entries():
            try:
                check_data(folder, splits["train"].store)
                found = checkpoints.load()
            except PolyganError as error:
                problem = error
        # The first process says which one, since another may see other files: all must go on from the same.
        step, problem = world.share((found.step if found else None, problem))
        if problem is not None:
            raise problem
        if step is not None:
            trainer.restore(found or checkpoints.load(step))
            return
    if settings.run.init_from:
        _transfer(trainer, settings.run.init_from)


def _fit(trainer: Trainer, recorder: Recorder | None, folder: Path) -> None:
    """Train with signals handled, and record how it ended."""
    with stop_signals(trainer) as signals:
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
    from ..report.page import write_report

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
    settings = saved_settings(folder, changes)
    done = _finished_step(folder, settings.run.steps)
    if done is not None:
        raise ConfigError(
            f"run {folder} is finished at step {done}; `polygan resume {folder} --steps {2 * done}` trains on"
        )
    return _execute(settings, folder, quiet=quiet)


def _finished_step(folder: Path, steps: int) -> int | None:
    """The step of a run that has nothing left to do; None where its end is missing, damaged or not recorded."""
    checkpoints = Checkpoints(folder / "checkpoints", warn=lambda _: None)
    if not any(e.step >= steps for e in checkpoints.entries()):
        return None
    done = checkpoints.load().step
    ended = any(r.get("status") == "finished" and r.get("step") == done for r in read_log(folder / "log.jsonl"))
    return done if done > steps or (done == steps and ended) else None


def _transfer(trainer: Trainer, path: str) -> None:
    """Start from other networks: each network from the network, its average from the average, both from the one that is there."""
    weights = load_weights(Path(path), list(trainer.actors))
    found = [name for name in trainer.actors if name in weights or f"{name}.ema" in weights]
    if not found:
        raise CheckpointError(f"{path} holds no network of this recipe; it has {', '.join(weights) or 'none'}")
    for name in found:
        actor = trainer.actors[name]
        load_module(actor.module, weights, name if name in weights else f"{name}.ema", path)
        if actor.averaged is not None:
            load_module(actor.averaged, weights, f"{name}.ema" if f"{name}.ema" in weights else name, path)
