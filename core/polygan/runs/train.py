"""Training a run in a folder on disk: `train` and `resume`."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import torch

from ..data.stream import Streams
from ..errors import DISK_FULL, CheckpointError, ConfigError, PolyganError, Preempted, one_line
from ..messages import say
from ..record.recorder import Recorder
from ..scoring.evaluation import NO_TRUST, Trust
from ..seeding import preserved_generators
from ..settings.parser import Settings, read_yaml
from ..training.checkpoint import Checkpoints
from ..training.distributed import world_from_environment
from ..training.trainer import Trainer
from .assembly import make_job, saved_settings
from .data.receipt import agreed
from .folder import check_links, describe, locked, run_folder
from .handed.opening import handed_again, handed_in
from .launch import discard, new_folder, typed_path
from .networks.building import resolve_new
from .networks.starting import facts_of_start, pinned, with_start
from .resuming import as_layer, begin, facts_of, finished_step, has_report, option_words, recorded_threads, tell
from .run import Run, load
from .stopping import Listeners, stop_signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..game.recipe import Recipe
    from ..record.job import Job
    from ..training.distributed import World
    from ..training.trainer import Listener
    from .handed.networks import Network
    from .handed.opening import DomainLike
    from .options import Data, TrainOptions


def train(
    recipe: str | Settings | type[Recipe[Any]] | tuple[Network, Network],
    data: Data | None = None,
    *,
    domain: DomainLike = None,
    config: str | Path | None = None,
    model: Mapping[str, object] | None = None,
    arguments: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    plugins: Sequence[object] = (),
    quiet: bool = False,
    allow_code: bool = False,
    **settings: Unpack[TrainOptions],
) -> Run:
    """Train a recipe and return the finished run.

    ``recipe`` is the id of a recipe, a class of a recipe that no plugin registers, or two networks ``(generator, discriminator)``:
    modules of torch, or functions that make them. Two networks take the keywords ``loss``, ``latent_dim``, ``learning_rate``,
    ``betas``, ... (`polygan.runs.options.NetworkOptions`). A generator takes latents (n, latent_dim); a discriminator gives (n,) or
    (n, 1) logits. ``domain`` is the id or class of the domain of networks and of a class; networks without one have ``tensor``.

    ``data`` is a path, a named data set, the domain's data settings, or samples in memory: a tensor, an array, a list of such, a
    pandas DataFrame, a torch Dataset, or a pair (samples, labels). ``model`` holds the recipe's settings, ``settings`` the
    settings of the run (`RunSettings`: steps, batch_size, seed, precision, name, ...). ``config`` is a YAML file, which these
    keywords override. ``arguments`` are command-line options, which override the keywords. ``listeners`` hear of events, on the
    first process only; raising `polygan.StopTraining` ends the run. ``plugins`` are modules, objects or files with hooks, which
    stay loaded in this process (`polygan.plugins.add_plugins`). ``allow_code`` allows a file of ``features`` that runs code when it
    is loaded (.pt2, .pt). Raises a `PolyganError` for every foreseen mistake.
    """
    with handed_in(recipe, data, model, settings, domain, plugins) as named:
        layers: list[Mapping[str, object]] = [read_yaml(config)] if config else []
        layers.append({**named.layer, **named.settings})
        resolved = pinned(resolve_new(named.recipe, layers, arguments, quiet=quiet))
        trust = Trust(resolved.run.features, allow_code)
        return execute(resolved, listeners=listeners, quiet=quiet, trust=trust)


def execute(
    settings: Settings,
    folder: Path | None = None,
    *,
    before: Settings | None = None,
    listeners: Sequence[Listener] = (),
    quiet: bool = False,
    trust: Trust = NO_TRUST,
) -> Run:
    """Train in a new folder, or continue in ``folder``. The caller's random generators and number of threads are restored.

    ``before`` are the settings that count as those of a checkpoint without settings, which an earlier polygan saved.
    """
    if settings.run.evaluate_every:
        trust.check(settings.run.features, folder)  # before any data is decoded
    with ExitStack() as stack:
        world, device = stack.enter_context(world_from_environment(settings.run.device, settings.run.hang_timeout))
        stack.enter_context(preserved_generators(device))
        usual = torch.get_num_threads()
        stack.enter_context(_threads(settings.run.threads or (recorded_threads(folder) if folder else 0)))
        with world.first_goes_first():
            job = make_job(settings, None if world.first and not quiet else False, folder, facts_of_start(settings))
        first_run = not Path(settings.run.runs).exists()
        place, resuming = _place(settings, folder, world)
        job = with_start(replace(agreed(job, world), trust=trust), place)
        stack.enter_context(_room_on_disk(place))
        recorder = None
        if world.first:
            stack.enter_context(locked(place))
            recorder = Recorder(place, job, quiet=quiet)
        try:
            heard = Listeners([recorder, *listeners] if recorder else [])
            trainer = _trainer(job, place, device, world, heard)
            trainer.before = before.plain() if before else {}
            changed, facts = begin(trainer, job, place, resuming=resuming, quiet=quiet)
        except PolyganError:
            if world.first and not resuming:  # nothing was trained, so the name becomes free again
                discard(place)
                if first_run:
                    with suppress(OSError):  # the folder of runs, which this run made; another run may lie there by now
                        place.parent.rmdir()
            raise
        told = tell(recorder, trainer, place, changed, usual, resuming=resuming) if recorder else []
        if recorder:
            describe(place, settings, job.domain, job.splits, device, trainer.precision, job.catalogue)
        _fit(trainer, recorder, place, heard, {**facts, **facts_of(changed, told)})
        return Run(place, job, trainer.networks(), trainer.step)


@contextmanager
def _room_on_disk(folder: Path) -> Iterator[None]:
    """One line with the remedy where the disk is full, whatever polygan was writing in the run's folder."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise CheckpointError(
            f"run {folder} cannot be written ({error.strerror}); its checkpoints are intact: free some space, then "
            f"`polygan resume {typed_path(folder)}`"
        ) from None


def _trainer(job: Job, place: Path, device: torch.device, world: World, listener: Listener) -> Trainer:
    run = job.settings.run
    streams = Streams(job.splits, job.domain, run.batch_size, run.seed, world.rank, world.size)
    trainer = Trainer(
        job.recipe,
        streams,
        run,
        device=device,
        prepare=job.prepare,
        checkpoints=Checkpoints(place / "checkpoints", keep=run.keep, writable=world.first),
        listener=listener,
        world=world,
        described=job.settings.plain(),
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


def _fit(
    trainer: Trainer, recorder: Recorder | None, folder: Path, heard: Listeners, facts: Mapping[str, object]
) -> None:
    """Train with signals handled, and record how training ended. ``facts`` go into the record of the start."""
    again = f"`polygan resume {typed_path(folder)}` continues"
    with stop_signals(trainer, heard.came) as signals:
        status = "failed"
        try:
            if recorder:
                recorder.started(trainer, resumed=trainer.step > 0, facts=facts)
            trainer.fit()
            status = "finished"
        except Preempted as stopped:
            status = trainer.world.share(heard.stopped)  # listeners are told on the first process only
            if status and not signals:
                if recorder:
                    recorder.progress.say(f"{status}, after step {trainer.step}; {again}")
                return
            status = "interrupted" if signals[:1] == [signal.SIGINT] else "preempted"
            kind = KeyboardInterrupt if status == "interrupted" else Preempted
            raise kind(f"{stopped}; {again}") from None
        except KeyboardInterrupt as stopped:
            status = "interrupted"
            raise KeyboardInterrupt(f"{str(stopped) or f'interrupted after step {trainer.step}'}; {again}") from None
        finally:
            if recorder:
                try:
                    recorder.ended(trainer, status)
                except KeyboardInterrupt:
                    raise KeyboardInterrupt(f"interrupted after run {folder} ended ({status})") from None
                finally:
                    _try_report(recorder.folder, recorder)


def _place(settings: Settings, folder: Path | None, world: World) -> tuple[Path, bool]:
    """The run's folder, and whether it is continued. The first process makes it; all raise the same error."""
    place, problem = (folder, folder is not None), None
    if world.first and folder is None:
        try:
            place = new_folder(settings)
        except PolyganError as error:
            problem = error
    place, problem = world.share((place, problem))
    if problem is not None:
        raise problem
    return place  # pyright: ignore[reportReturnType]  # the first process has made the folder


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
    settings: Mapping[str, object] | None = None,
    arguments: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    quiet: bool = False,
    networks: tuple[Network, Network] | None = None,
    recipe: type[Recipe[Any]] | None = None,
    domain: DomainLike = None,
    data: object = None,
    plugins: Sequence[object] = (),
) -> Run:
    """Continue a run from its newest valid checkpoint; ``steps``, if given, is the new number of iterations in all.

    The result is bit-identical to a run without interruption (same machine, settings and number of processes and threads).
    ``settings`` changes settings of the run from now on, ``{"model.learning_rate": 1e-4}``; ``arguments`` are the same as text,
    ``["model.learning_rate=1e-4"]``. Optimizers take the new values over, and the log keeps each change. An edited config.yaml is such
    a change. Raises ConfigError for a change that the trained networks cannot take. A finished run only gets the report that it lacks.
    A file that the run's ``features`` names is opened only if the caller names it again; ``allow_code`` is as in `train`, the rest as in `load`.
    """
    folder = run_folder(path)
    check_links(folder)
    with handed_again(folder, networks, recipe, domain, data, plugins):
        return _resume(folder, steps, device, features, allow_code, settings, arguments, listeners, quiet=quiet)


def _resume(
    folder: Path,
    steps: int | None,
    device: str | None,
    features: str | None,
    allow_code: bool,
    settings: Mapping[str, object] | None,
    arguments: Sequence[str],
    listeners: Sequence[Listener],
    *,
    quiet: bool,
) -> Run:
    direct = {k: v for k, v in (("steps", steps), ("device", device), ("features", features)) if v is not None}
    changed = saved_settings(folder, {**as_layer(settings or {}), **direct}, option_words(arguments))
    done = finished_step(folder, changed.run.steps)
    if done is None:
        before = saved_settings(folder, {})
        named = changed.run.features if changed.run.features != before.run.features else features
        return execute(changed, folder, before=before, listeners=listeners, quiet=quiet, trust=Trust(named, allow_code))
    place, first = typed_path(folder), os.environ.get("RANK", "0") == "0"
    if first and has_report(folder):
        raise ConfigError(
            f"run {folder} is finished at step {done}; `polygan resume {place} --steps {2 * done}` trains on"
        )
    if first:
        from ..report.page import write_report

        with locked(folder):
            written = write_report(folder)
        if not quiet:
            say(f"run {folder} is finished at step {done} and had no report: {written} is written now")
    return load(folder)
