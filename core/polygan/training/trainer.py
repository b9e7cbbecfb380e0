"""The training loop. Read `Trainer.fit` and `Trainer.play` first, from top to bottom; they call the methods below them."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, cast

import torch

from ..double_backward import DoubleBackward
from ..errors import CheckpointError, DivergenceError, Preempted
from ..game.protocol import Cache, Context, Turn, check_turns, sum_terms
from ..seeding import mix, preserved_generators, seed_everything
from ..settings.changes import changes, reach_optimizers, trained_with
from .actor import Actor, contents, first_players, restore
from .distributed import World, resolve_precision
from .feeder import Batches, Feeder
from .watchdog import Meter, Watchdog, read_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import Tensor, nn

    from ..data.source import Batch
    from ..game.recipe import AnyRecipe
    from ..settings.trainer import TrainerSettings
    from .checkpoint import Checkpoint, Checkpoints

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_COUNTERS = ("step", "samples", "rollbacks", "seconds")
FIRST_SAVE = 60.0  # seconds of training after which a run saves its first checkpoint


class Listener:
    """Receives the events of a trainer, always between two iterations, and ignores them. Raising `polygan.StopTraining` ends a run."""

    def logged(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        """``values`` are means since the last log."""

    def sample(self, trainer: Trainer) -> None:
        """Time to draw samples (first process only)."""

    def evaluate(self, trainer: Trainer) -> float | None:
        """Time to evaluate (first process only). Returns the score that picks the best checkpoint; lower is better."""

    def evaluated(self, trainer: Trainer, score: float) -> None:
        """An evaluation gave the score that picks the best checkpoint; lower is better (first process only)."""

    def saved(self, trainer: Trainer, path: Path) -> None:
        """A checkpoint is on disk (first process only)."""

    def diverged(self, trainer: Trainer, message: str) -> None:
        """The run goes back to a checkpoint, or gives up."""


class Trainer:
    """Trains the players of one recipe.

    ``streams`` maps the stream names of turns to objects with ``batch(i)``. A checkpoint holds networks, averages, optimizers,
    schedulers, scales, counters, and all settings, ``described``. All randomness is a function of the counters.
    """

    def __init__(
        self,
        recipe: AnyRecipe,
        streams: Mapping[str, Batches],
        settings: TrainerSettings,
        *,
        device: torch.device | str = "cpu",
        prepare: Callable[[Batch], Batch] | None = None,
        checkpoints: Checkpoints | None = None,
        listener: Listener | None = None,
        world: World | None = None,
        described: Mapping[str, object] | None = None,
    ) -> None:
        self.recipe, self.settings, self.described = recipe, settings, described or {}
        self.before: Mapping[str, object] = {}  # what a checkpoint without settings counts as trained with
        self.device, self.world = torch.device(device), world or World()
        self.checkpoints, self.listener = checkpoints, listener or Listener()
        self.step, self.samples, self.rollbacks, self.seconds, self.stop_requested = 0, 0, 0, 0.0, False
        self.precision = resolve_precision(settings.precision, self.device)
        self.world.check_shares(settings.batch_size, settings.accumulate)
        if settings.deterministic and self.device.type == "cuda":
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        players = first_players(recipe, settings, self.device)
        self.turns = list(recipe.turns())
        check_turns(self.turns, players, streams, settings.steps)
        layout, scaled = recipe.memory_format, self.precision == "fp16"
        self.actors = {name: Actor(player, self.device, layout, scaled=scaled) for name, player in players.items()}
        for actor in self.actors.values():
            self.world.broadcast([*actor.module.parameters(), *actor.module.buffers()])
            actor.start_average()
        self.context = Context(players, self.device, settings)
        self.context._averaged = {n: a.averaged for n, a in self.actors.items() if a.averaged is not None}
        self._eager = dict(self.context._networks)
        compiled = {n: torch.compile(m) for n, m in self._eager.items()} if settings.compile else self._eager
        self._compiled = cast("Mapping[str, nn.Module]", compiled)
        self._feeder = Feeder(streams, self.device, settings.accumulate, prepare, recipe.memory_format)
        self._trained: Turn | None = None
        self._meter, self._stop = Meter(), torch.zeros((), device=self.device)
        self._window, self._unsaved = (0, 0.0), True

    # The loop

    def fit(self) -> None:
        """Train until ``settings.steps``. Raises Preempted after a requested stop, DivergenceError when rollbacks do not help."""
        s = self.settings
        self._window = (self.step, time.monotonic())
        with closing(self._feeder), preserved_generators(self.device), Watchdog(s.hang_timeout) as watchdog:
            while self.step < s.steps:
                begin = time.monotonic()
                self.iterate()
                self.seconds += time.monotonic() - begin
                watchdog.tick()
                last = self.step == s.steps
                if (last or self.step % s.log_every == 0) and not self._log():
                    continue  # rolled back
                score = None
                sampled, scored = last or _due(self.step, s.sample_every), _due(self.step, s.evaluate_every)
                if sampled or scored:
                    with watchdog.paused():  # a listener may take any time
                        score = self._show(sampled=sampled, scored=scored)
                stop = self._stopping()
                early = self._unsaved and s.save_every > 0 and self.seconds >= FIRST_SAVE
                if last or stop or early or score is not None or _due(self.step, s.save_every):
                    self.save(score)
                watchdog.tick()
                if stop and not last:
                    self.world.barrier()  # a launcher ends all processes once one has left, and the first is still saving
                    raise Preempted(f"stopped on request after step {self.step}; a checkpoint is saved")

    def _show(self, *, sampled: bool, scored: bool) -> float | None:
        """Let the first process draw samples and evaluate while the others wait. Returns the score."""
        score = None
        try:
            if self.world.first and sampled:
                self.listener.sample(self)
            if self.world.first and scored:
                score = self.listener.evaluate(self)
        finally:
            self.world.follow(f"shown/{self.rollbacks}/{self.step}")
        return score

    def iterate(self) -> None:
        """One iteration: every turn that is due, then averages and schedulers."""
        context = self.context
        context.step, context.rollbacks = self.step, self.rollbacks
        caches: list[Cache] = [{} for _ in range(self.settings.accumulate)]
        trained: set[str] = set()
        for index, turn in enumerate(self.turns):
            if turn.due(self.step):
                for repeat in range(turn.repeat):
                    self.play(turn, index, repeat, caches)
                trained.update(turn.players)
        self.step += 1
        self.samples += self.settings.batch_size
        for name, actor in self.actors.items():
            actor.finish_iteration(self.settings.batch_size, self.samples, trained=name in trained)
        self._feeder.finish_iteration()

    def play(self, turn: Turn, index: int, repeat: int, caches: list[Cache]) -> None:
        """One optimizer step of one turn: backward over the micro-batches, average over processes, then step."""
        s, context, world = self.settings, self.context, self.world
        self._hand_over(turn)
        actors = [self.actors[name] for name in turn.players]
        context.turn = turn.name
        context._networks = self._eager if turn.differentiates_twice else self._compiled
        scale = torch.stack([a.scale for a in actors]).amin() if actors and actors[0].scaled else None
        where = (s.seed, self.rollbacks, self.step, index, repeat)
        streams = [self._feeder.get(name, repeat, self.step, anew=turn.anew) for name in turn.streams]
        if not streams:  # an observing turn without data runs once
            streams = [[{} for _ in range(s.accumulate if actors else 1)]]
        for micro, batches in enumerate(zip(*streams, strict=True)):
            part = world.rank * s.accumulate + micro
            seed_everything(mix(*where, part), self.device)
            context.noise.reset(*where, part=part, parts=world.size * s.accumulate)
            context.cache = caches[micro]
            twice = DoubleBackward() if turn.differentiates_twice else nullcontext()
            with self._autocast(turn), torch.set_grad_enabled(bool(actors)), twice:
                terms = turn.loss(context, *batches)
            if actors:
                loss = sum_terms(turn, terms) / s.accumulate
                (loss if scale is None else loss * scale).backward()
            self._record(turn, terms)
        gradients = [a.gradients() for a in actors]
        if world.size > 1:  # buffers are averaged too, so that every process always holds the same state
            self._stop.fill_(float(self.stop_requested))
            buffers = [b for a in self.actors.values() for b in a.buffers()]
            world.average([g for gs in gradients for g in gs] + buffers + [self._stop])
        for name, actor, grads in zip(turn.players, actors, gradients, strict=True):
            norm = actor.update(grads, scale)
            self._meter.add(f"grad/{name}", norm)

    # Helpers of the loop

    def _hand_over(self, turn: Turn) -> None:
        """Let only the turn's players require gradients, for the parameters that their optimizers move in this turn."""
        if turn is not self._trained:
            for name in self._trained.players if self._trained else ():
                self.actors[name].end_turn()
            for name in turn.players:
                self.actors[name].begin_turn(turn.name)
            self._trained = turn

    def _autocast(self, turn: Turn) -> AbstractContextManager[object]:
        dtype = None if turn.differentiates_twice else _AUTOCAST.get(self.precision)
        return torch.autocast(self.device.type, dtype) if dtype else nullcontext()

    def _record(self, turn: Turn, terms: Mapping[str, Tensor]) -> None:
        for name, value in terms.items():
            self._meter.add(f"{turn.name}/{name}", value)
        for name, value in self.context.observations:
            self._meter.add(name, value)
        self.context.observations.clear()

    def _log(self) -> bool:
        """Read and report the values: the only synchronisation. False: a problem was found, and the run went back."""
        values, problems = read_values(self._meter, self.actors, self.world, self.device, self.settings.max_skips)
        self._meter.clear()
        (step, since), self._window = self._window, (self.step, time.monotonic())
        seconds = max(self._window[1] - since, 1e-9)
        values["speed/samples_per_second"] = (self.step - step) * self.settings.batch_size / seconds
        if self.world.first:
            self.listener.logged(self, values)
        if problems:
            self._roll_back(f"{' and '.join(problems)} at step {self.step}")
        return not problems

    def _roll_back(self, what: str) -> None:
        """Restore the last good checkpoint and go on with other random numbers; the same numbers would diverge again."""
        checkpoints, rollbacks, found, problem = self.checkpoints, self.rollbacks, None, ""
        if checkpoints is None or rollbacks >= self.settings.max_rollbacks:
            problem = f"{rollbacks} rollback{'s' * (rollbacks != 1)} did not help"
        elif self.world.first:
            try:
                found = checkpoints.load(good_only=True, use=self.restore)
            except CheckpointError as error:
                problem = str(error)
        # The first process chooses the checkpoint, since all processes must go on from the same state.
        step, problem = self.world.share((found.step if found else None, problem))
        if checkpoints is None or problem:
            message = f"{what}, and {problem}: lower the learning rate, clip gradients, or train with --precision fp32"
            self.listener.diverged(self, message)
            raise DivergenceError(message)
        if found is None:
            checkpoints.load(step, use=self.restore)
        self.rollbacks = rollbacks + 1
        self.listener.diverged(self, f"{what}; went back to step {self.step}")
        self._window = (self.step, time.monotonic())

    def request_stop(self) -> None:
        """Save and raise Preempted after the current iteration. Safe in a signal handler; a request to one process is enough."""
        self.stop_requested = True

    def _stopping(self) -> bool:
        if self.world.size == 1:
            return self.stop_requested
        seldom = self.device.type != "cpu"  # on CUDA, reading is a synchronisation
        return (not seldom or self.step % 10 == 0) and self._stop.item() > 0

    # State

    def networks(self, *, averaged: bool = True) -> dict[str, nn.Module]:
        """The players' networks by name; the averaged copy of a player that has one."""
        return {n: a.averaged if averaged and a.averaged is not None else a.module for n, a in self.actors.items()}

    def save(self, score: float | None = None) -> None:
        """Write a checkpoint (first process only)."""
        self._unsaved = False
        if self.checkpoints is None or not self.world.first:
            return
        networks, states, good = contents(self.actors)
        state = {**self._feeder.state(), "actors": states, "settings": self.described}
        training = {name: getattr(self, name) for name in _COUNTERS} | state
        path = self.checkpoints.save(self.step, networks, training, seed=self.settings.seed, good=good, score=score)
        self.listener.saved(self, path)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a loaded checkpoint. Raises CheckpointError where the checkpoint does not fit the recipe."""
        before = trained_with(checkpoint.training, self.before)
        restore(self.actors, checkpoint, anew=reach_optimizers(changes(before, self.described)))
        for name in _COUNTERS:
            setattr(self, name, checkpoint.training[name])
        self._feeder.restore(checkpoint.training, self.turns)
        self._meter.clear()
        self._unsaved = False


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
