"""The run: a folder on disk, and `train` and `resume` that make one."""

from __future__ import annotations

import shutil
import signal
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..data.stream import Streams
from ..errors import DISK_FULL, CheckpointError, ConfigError, PolyganError, Preempted
from ..record.listeners import Listeners
from ..record.log import read_log
from ..record.recorder import Recorder
from ..seeding import preserved_generators
from ..settings.parser import Settings, read_yaml
from ..training.checkpoint import Checkpoints
from ..training.device import is_emulated
from ..training.distributed import world_from_environment
from ..training.trainer import Trainer
from ..training.weights import load_module, load_weights
from .assembly import make_job, resolve, saved_settings
from .folder import check_data, describe, locked, new_folder, run_folder
from .run import Run
from .stopping import stop_signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..data.store import Split
    from ..record.job import Job
    from ..training.distributed import World
    from ..training.trainer import Listener


def train(
    recipe: str | Settings,
    data: str | Path | Mapping[str, Any] | None = None,
    *,
    config: str | Path | None = None,
    model: Mapping[str, Any] | None = None,
    arguments: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Train a recipe and return the finished run.

    ``data``: a path, a named data set, or the domain's data settings; ``model``: the recipe's settings; ``settings``: those
    of `RunSettings` (steps, batch_size, seed, precision, name, ...). ``config`` is a YAML file that comes before them,
    ``arguments`` are command-line options that come after. ``listeners`` are told what happens, on the first process only.
    Raises a `PolyganError` for every foreseen mistake.
    """
    layers: list[Mapping[str, Any]] = [read_yaml(config)] if config else []
    layers.append({k: v for k, v in (("data", data), ("model", model)) if v is not None} | settings)
    return execute(resolve(recipe, layers, arguments), listeners=listeners, quiet=quiet)


def execute(
    settings: Settings, folder: Path | None = None, *, listeners: Sequence[Listener] = (), quiet: bool = False
) -> Run:
    """Train in a new folder, or continue in ``folder``. The caller's generators and number of threads stay as they were."""
    with ExitStack() as stack:
        world, device = stack.enter_context(world_from_environment(settings.run.device, settings.run.hang_timeout))
        stack.enter_context(preserved_generators(device))
        stack.enter_context(_threads(settings.run.threads))
        with world.first_goes_first():
            job = make_job(settings, progress=None if world.first and not quiet else False)
        place, resuming = world.share(_place(settings, folder) if world.first else None)
        recorder = None
        if world.first:
            stack.enter_context(locked(place))
            recorder = Recorder(place, job, quiet=quiet)
        try:
            trainer = _trainer(job, place, device, world, [recorder, *listeners] if recorder else [])
            _begin(trainer, settings, place, job.splits, resuming=resuming)
        except PolyganError:
            if world.first and not resuming:  # nothing was trained: the name is free again
                shutil.rmtree(place, ignore_errors=True)
                with suppress(OSError):  # the folder of runs too, unless it holds others
                    place.parent.rmdir()
            raise
        if recorder:
            if is_emulated(trainer.precision, device):
                recorder.progress.say(
                    f"precision = {trainer.precision} is emulated on this {device.type} device, which is far slower than "
                    "fp32; --precision auto takes what the hardware has"
                )
            describe(place, settings, job.domain, job.splits, device, trainer.precision, job.catalogue)
        _fit(trainer, recorder, place)
        return Run(place, job, trainer.networks(), trainer.step)


def _trainer(job: Job, place: Path, device: torch.device, world: World, listeners: Sequence[Listener]) -> Trainer:
    run = job.settings.run
    streams = Streams(job.splits, job.domain, run.batch_size, run.seed, world.rank, world.size)
    trainer = Trainer(
        job.recipe,
        streams,
        run,
        device=device,
        prepare=job.prepare,
        checkpoints=Checkpoints(place / "checkpoints", keep=run.keep, writable=world.first),
        listener=Listeners(listeners),
        world=world,
    )
    for turn in trainer.turns:
        for name in turn.streams:
            streams[name]  # too few samples are an error now, before the folder counts as a run
    return trainer


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """torch on so many threads meanwhile (0: as many as it uses)."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    device: str | None = None,
    listeners: Sequence[Listener] = (),
    quiet: bool = False,
) -> Run:
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
    return execute(settings, folder, listeners=listeners, quiet=quiet)


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
