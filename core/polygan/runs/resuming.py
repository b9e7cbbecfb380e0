"""How training begins: from which state, with which settings changed, on which machine; and whether a run has ended."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from ..errors import CheckpointError, ConfigError, PolyganError
from ..messages import say
from ..record.environment import environment
from ..record.log import read_log
from ..seeding import preserved_generators
from ..settings.changes import PLACES, RATE, Change, changes, trained_with
from ..settings.parser import build
from ..settings.words import nested
from ..training.checkpoint import Checkpoints
from ..training.distributed import is_emulated
from ..training.weights import file_sizes
from .folder import check_data, environment_of
from .launch import typed_path
from .networks.starting import transfer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..record.job import Job
    from ..record.recorder import Recorder
    from ..training.checkpoint import Checkpoint
    from ..training.trainer import Trainer

_DECIDING = ("polygan", "torch", "device", "processor", "precision", "threads", "processes")
"""The facts in environment.json that decide about the last bits of a result."""
_MOST_THREADS = max(64, 4 * (os.cpu_count() or 1))  # a run from somebody else may ask for more
_FIXED = {
    "name": "rename the run's folder instead",
    "runs": "move the run's folder instead",
    "recipe": "train a new run with the other recipe",
    "format": "leave it out",
}


# Settings


def option_words(pairs: Sequence[str]) -> list[str]:
    """The words of ``--set NAME=VALUE`` as options of `polygan train`. Raises ConfigError."""
    words = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        if not equals or not name:
            raise ConfigError(f"--set {pair}: write NAME=VALUE, e.g. --set model.learning_rate=1e-4")
        _refuse_fixed([name])
        words.append(f"--{name}={value}")
    return words


def as_layer(settings: Mapping[str, object]) -> Mapping[str, object]:
    """Settings by dotted names, ``{"model.learning_rate": 1e-4}``, or by groups, as a layer of settings. Raises ConfigError."""
    _refuse_fixed(settings)
    dotted = {name: value for name, value in settings.items() if "." in name}
    layer: dict[str, object] = {name: value for name, value in settings.items() if name not in dotted}
    for group, values in nested(dotted).items():  # pyright: ignore[reportArgumentType]  # any values, not only text
        given = layer.get(group)
        layer[group] = {**given, **values} if isinstance(given, Mapping) and isinstance(values, Mapping) else values
    return layer


def _refuse_fixed(names: Mapping[str, object] | Sequence[str]) -> None:
    for name in names:
        if name in _FIXED:
            raise ConfigError(f"{name} of a run cannot be changed: {_FIXED[name]}")


def unfit(
    folder: Path, job: Job, before: Mapping[str, object], changed: Sequence[Change], error: PolyganError
) -> ConfigError:
    """The error for changed settings with which the networks or optimizers of a checkpoint cannot be loaded."""
    own = [change for change in changed if change.name.startswith("model.")] or list(changed)
    to_blame = [change for change in own if _reshapes(job, before, change)] or own
    what = ", ".join(map(str, to_blame))
    back = " ".join(f"--set {change.name}={change.before}" for change in to_blame)
    return ConfigError(
        f"a trained run cannot take this change: {what} ({error}); `polygan resume {typed_path(folder)} {back}` takes it back, "
        f"and --init_from {typed_path(folder)} starts a new run from its networks"
    )


def _reshapes(job: Job, before: Mapping[str, object], change: Change) -> bool:
    """Whether this change alone makes networks of another shape."""
    model = before.get("model")
    if not isinstance(model, Mapping):
        return False

    def shapes(values: Mapping[str, object]) -> dict[str, torch.Size]:
        recipe = type(job.recipe)(build(type(job.settings.model), values, "the run"), job.info)
        with preserved_generators():
            networks = recipe.networks()
        return {f"{n}.{k}": t.shape for n, module in networks.items() for k, t in module.state_dict().items()}

    try:
        return shapes(model) != shapes({**model, change.name.removeprefix("model."): change.after})
    except Exception:  # whatever a recipe raises for half of the changes
        return False


# The machine


def recorded_threads(folder: Path) -> int:
    """The number of threads that a run was last trained with; 0 if unknown."""
    count = environment_of(folder).get("threads")
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= _MOST_THREADS else 0


def machine_change(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    """One sentence if the machine or the programs differ from those of the run so far; empty if nothing differs."""
    pairs = [(name, before[name], now[name]) for name in _DECIDING if name in before and name in now]
    old, new = before.get("plugins"), now.get("plugins")
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        versions = [name for name in old if name in new and not str(new[name]).endswith(".py")]  # a local file has none
        pairs += [(f"plugin {name}", old[name], new[name]) for name in versions]
    found = [f"{name} {a!s:.80} -> {b!s:.80}" for name, a, b in pairs if a != b]
    return f"the result will not be equal to the bit to an uninterrupted run: {', '.join(found)}" if found else ""


# The start


def begin(
    trainer: Trainer, job: Job, folder: Path, *, resuming: bool, quiet: bool = False
) -> tuple[list[Change], dict[str, object]]:
    """Continue from the newest checkpoint, or start from the networks that ``init_from`` names, or from new networks.

    Returns the settings that were changed since the checkpoint, and what the log keeps of the start: the checksum of ``init_from``.
    """
    checkpoints, world, found, problem = trainer.checkpoints, trainer.world, None, None
    changed: list[Change] = []

    def use(checkpoint: Checkpoint) -> None:
        changed[:] = _continue(trainer, job, folder, checkpoint)

    if resuming and checkpoints is not None:
        if world.first and checkpoints.entries():
            # With changed settings a network may need less than its file has; `use` then names the settings.
            edited = changes(trainer.before, job.settings.plain(), PLACES)
            needs = None if edited else file_sizes(trainer.networks(averaged=False))
            try:
                check_data(folder, job.splits["train"].store)
                found = checkpoints.load(use=use, needs=needs)
            except PolyganError as error:
                problem = error
        # The first process chooses the checkpoint, because other processes may see other files.
        step, problem = world.share((found.step if found else None, problem))
        if problem is not None:
            raise problem
        if step is not None:
            if found is None:
                checkpoints.load(step, use=use)
            return changed, {}
    if job.settings.run.init_from:
        modules = {name: (actor.module, actor.averaged) for name, actor in trainer.actors.items()}
        told, checksum = transfer(modules, trainer.recipe, job.settings, job.settings.run.init_from)
        if world.first and not quiet:
            say(told)
        return [], {"start": checksum}
    return [], {}


def _continue(trainer: Trainer, job: Job, folder: Path, checkpoint: Checkpoint) -> list[Change]:
    """Continue from a checkpoint, and return the settings that were changed since. Raises ConfigError for a change too large."""
    before = trained_with(checkpoint.training, trainer.before)
    if before.get("recipe", job.settings.recipe) != job.settings.recipe:
        raise ConfigError(
            f"run {folder} was trained with {before['recipe']}, and its config.yaml names {job.settings.recipe}: write "
            f"recipe: {before['recipe']} there, or train a new run"
        )
    changed = changes(before, job.settings.plain(), PLACES)
    try:
        trainer.restore(checkpoint)
    except CheckpointError as error:
        if not any(change.name.startswith(("model.", "data.")) for change in changed):
            raise  # no setting of the networks has changed, so the checkpoint is odd
        raise unfit(folder, job, before, changed, error) from None
    typed = any(change.name.startswith("model.") for change in changed)
    return changed if typed or not changed else [*changed, *_rates(trainer, checkpoint)]


def _rates(trainer: Trainer, checkpoint: Checkpoint) -> list[Change]:
    """The learning rates that changed settings move at this step: those of schedules that end with the run."""
    found = []
    for name, actor in trainer.actors.items():
        saved = checkpoint.training["actors"].get(name, {}).get("optimizer")
        if actor.optimizer is None or not saved or not saved["param_groups"]:
            continue
        before, now = (float(groups[0]["lr"]) for groups in (saved["param_groups"], actor.optimizer.param_groups))
        if not math.isclose(before, now, rel_tol=1e-6, abs_tol=1e-12):
            found.append(Change(f"{RATE}{name}", *(float(f"{rate:.3g}") for rate in (before, now))))
    return found


def tell(
    recorder: Recorder, trainer: Trainer, place: Path, changed: Sequence[Change], usual: int, *, resuming: bool
) -> list[str]:
    """Say what is special about this start, and return what the log keeps of it. ``usual``: the threads of the machine."""
    show, device, told = recorder.progress.say, trainer.device, []
    if is_emulated(trainer.precision, device):
        show(
            f"precision = {trainer.precision} is emulated on this {device.type} device, which is far slower than fp32; "
            "--precision auto takes what the hardware has"
        )
    if not resuming:
        return told
    if trainer.step == 0:
        show(f"run {place} has no checkpoint yet: it starts from step 0")
        return told
    told = [f"changed: {change} ({change.effect})" for change in changed]
    for line in told:
        show(line)
    last, threads = environment_of(place), torch.get_num_threads()
    if threads == last.get("threads") != usual and not recorder.job.settings.run.threads:
        show(
            f"threads: {threads} as in the run so far, because their number changes the last bits (usual here: {usual})"
        )
    if line := machine_change(last, environment(device, trainer.precision, recorder.job.catalogue)):
        show(line)
        told.append(line)
    return told


def facts_of(changed: Sequence[Change], told: Sequence[str]) -> dict[str, object]:
    """What the log's record of a resumed run keeps beside the step."""
    facts: dict[str, object] = {"changed": {c.name: [c.before, c.after] for c in changed}} if changed else {}
    return {**facts, "message": "; ".join(told)} if told else facts


# The end


def has_report(folder: Path) -> bool:
    """Whether the report was written after the last line of the log."""
    try:
        return (folder / "report.html").stat().st_mtime_ns >= (folder / "log.jsonl").stat().st_mtime_ns
    except OSError:
        return False


def finished_step(folder: Path, steps: int) -> int | None:
    """The step of a finished run; None if the last checkpoint or the last line of the log is missing or damaged."""
    checkpoints = Checkpoints(folder / "checkpoints", warn=lambda _: None)
    if not any(e.step >= steps for e in checkpoints.entries()):
        return None
    done = checkpoints.load().step
    ended = any(r.get("status") == "finished" and r.get("step") == done for r in read_log(folder / "log.jsonl"))
    return done if done > steps or (done == steps and ended) else None
