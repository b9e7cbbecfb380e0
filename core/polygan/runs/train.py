"""Training a run in a folder on disk: `train` and `resume`."""

from __future__ import annotations

import shutil
import signal
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import torch

from ..data.stream import Streams
from ..errors import DISK_FULL, CheckpointError, ConfigError, PolyganError, Preempted, one_line
from ..messages import say
from ..record.listeners import Listeners
from ..record.log import read_log
from ..record.recorder import Recorder
from ..scoring.trust import NO_TRUST, Trust
from ..seeding import preserved_generators
from ..settings.parser import Settings, read_yaml
from ..training.checkpoint import Checkpoints
from ..training.device import is_emulated
from ..training.distributed import world_from_environment
from ..training.trainer import Trainer
from .assembly import make_job, resolve, saved_settings
from .folder import check_data, describe, locked, new_folder, run_folder
from .run import Run
from .starting import transfer
from .stopping import stop_signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..data.store import Split
    from ..record.job import Job
    from ..training.distributed import World
    from ..training.trainer import Listener
    from .options import RunOptions


def train(
    recipe: str | Settings,
    data: str | Path | Mapping[str, object] | None = None,
    *,
    config: str | Path | None = None,
    model: Mapping[str, object] | None = None,
    arguments: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    quiet: bool = False,
    allow_code: bool = False,
    **settings: Unpack[RunOptions],
) -> Run:
    """Train a recipe and return the finished run.

    ``data`` is a path, a named data set, or the domain's data settings. ``model`` holds the recipe's settings, ``settings`` the
    settings of the run (`RunSettings`: steps, batch_size, seed, precision, name, ...). ``config`` is a YAML file, which these
    keywords override. ``arguments`` are command-line options, which override the keywords. ``listeners`` hear of events, on the
    first process only. ``allow_code`` allows a file of ``features`` that runs code when it is loaded (.pt2, .pt). Raises a
    `PolyganError` for every foreseen mistake.
    """
    layers: list[Mapping[str, object]] = [read_yaml(config)] if config else []
    groups = {k: v for k, v in (("data", data), ("model", model)) if v is not None}
    layers.append({**groups, **settings})
    resolved = resolve(recipe, layers, arguments)
    trust = Trust(resolved.run.features, allow_code)
    return execute(resolved, listeners=listeners, quiet=quiet, trust=trust)


def execute(
    settings: Settings,
    folder: Path | None = None,
    *,
    listeners: Sequence[Listener] = (),
    quiet: bool = False,
    trust: Trust = NO_TRUST,
) -> Run:
    """Train in a new folder, or continue in ``folder``. The caller's random generators and number of threads are restored."""
    if settings.run.evaluate_every:
        trust.check(settings.run.features, folder)  # before any data is decoded
    with ExitStack() as stack:
        world, device = stack.enter_context(world_from_environment(settings.run.device, settings.run.hang_timeout))
        stack.enter_context(preserved_generators(device))
        stack.enter_context(_threads(settings.run.threads))
        with world.first_goes_first():
            job = make_job(settings, None if world.first and not quiet else False, folder)
        job = replace(job, trust=trust)
        first_run = not Path(settings.run.runs).exists()
        place, resuming = world.share(_place(settings, folder) if world.first else None)
        recorder = None
        if world.first:
            stack.enter_context(locked(place))
            recorder = Recorder(place, job, quiet=quiet)
        try:
            trainer = _trainer(job, place, device, world, [recorder, *listeners] if recorder else [])
            _begin(trainer, settings, place, job.splits, resuming=resuming, quiet=quiet)
        except PolyganError:
            if world.first and not resuming:  # nothing was trained, so the name becomes free again
                shutil.rmtree(place, ignore_errors=True)
                if first_run:
                    with suppress(OSError):  # the folder of runs, which this run made; another run may lie there by now
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
    """Let torch use ``count`` threads in this block (0: no change)."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _begin(
    trainer: Trainer, settings: Settings, folder: Path, splits: Mapping[str, Split], *, resuming: bool, quiet: bool
) -> None:
    """Continue from the newest checkpoint, or start from the networks that ``init_from`` names, or from new networks."""
    checkpoints, world, found, problem = trainer.checkpoints, trainer.world, None, None
    if resuming and checkpoints is not None:
        if world.first and checkpoints.entries():
            try:
                check_data(folder, splits["train"].store)
                found = checkpoints.load()
            except PolyganError as error:
                problem = error
        # The first process chooses the checkpoint, because other processes may see other files.
        step, problem = world.share((found.step if found else None, problem))
        if problem is not None:
            raise problem
        if step is not None:
            trainer.restore(found or checkpoints.load(step))
            return
    if settings.run.init_from:
        told = transfer(trainer, settings, settings.run.init_from)
        if world.first and not quiet:
            say(told)


def _fit(trainer: Trainer, recorder: Recorder | None, folder: Path) -> None:
    """Train with signals handled, and record how training ended."""
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
    """Write the report at the end of training. A report that cannot be written does not fail the run."""
    from ..report.page import write_report

    try:
        write_report(folder)
    except Exception as error:  # whatever it is, the run is finished and worth keeping
        recorder.progress.say(f"the report could not be written: {one_line(error)}")


def resume(
    path: str | Path,
    *,
    steps: int | None = None,
    device: str | None = None,
    features: str | None = None,
    allow_code: bool = False,
    listeners: Sequence[Listener] = (),
    quiet: bool = False,
) -> Run:
    """Continue a run from its newest valid checkpoint; ``steps``, if given, is the new number of iterations in all.

    The result is bit-identical to a run without interruption (same machine, settings and number of processes). A file that the
    run's ``features`` names is opened only if ``features`` names the file again; ``allow_code`` is as in `train`.
    """
    folder = run_folder(path)
    changes = {k: v for k, v in (("steps", steps), ("device", device), ("features", features)) if v is not None}
    settings = saved_settings(folder, changes)
    done = _finished_step(folder, settings.run.steps)
    if done is not None:
        raise ConfigError(
            f"run {folder} is finished at step {done}; `polygan resume {folder} --steps {2 * done}` trains on"
        )
    return execute(settings, folder, listeners=listeners, quiet=quiet, trust=Trust(features, allow_code))


def _finished_step(folder: Path, steps: int) -> int | None:
    """The step of a finished run; None if the last checkpoint or the last line of the log is missing or damaged."""
    checkpoints = Checkpoints(folder / "checkpoints", warn=lambda _: None)
    if not any(e.step >= steps for e in checkpoints.entries()):
        return None
    done = checkpoints.load().step
    ended = any(r.get("status") == "finished" and r.get("step") == done for r in read_log(folder / "log.jsonl"))
    return done if done > steps or (done == steps and ended) else None
