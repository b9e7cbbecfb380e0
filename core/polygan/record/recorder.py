"""Listens to the trainer and keeps the run's record: log lines, samples, health, scores, progress; tells the hooks."""

from __future__ import annotations

import math
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..data.pieces import save_pieces
from ..game.recipe import sample_from, shown
from ..game.sampling import evaluating
from ..hookspecs import RunEvent
from ..scoring.health import collapse_signals, overfitting_signal
from ..scoring.scores import compute_scores, flat, make_evaluation
from ..training.trainer import Listener
from .log import append_record, keep_records
from .progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ..data.domain import Domain, Samples
    from ..data.source import Batch
    from ..data.store import Split
    from ..game.recipe import Recipe
    from ..plugins.catalogue import Catalogue
    from ..settings.parser import Settings
    from ..training.trainer import Trainer


class Recorder(Listener):
    """The run's record. Created on the first process only."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        catalogue: Catalogue,
        domain: Domain,
        recipe: Recipe,
        splits: Mapping[str, Split],
        metrics: Sequence[str],
        *,
        quiet: bool = False,
    ) -> None:
        self.folder, self.settings, self.catalogue = folder, settings, catalogue
        self.domain, self.recipe, self.splits, self.metrics = domain, recipe, splits, metrics
        self.progress = Progress(settings.run.steps, quiet=quiet)
        self._log = folder / "log.jsonl"

    def write(self, trainer: Trainer | None, event: str, **facts: Any) -> None:
        """Append one line to log.jsonl."""
        where = (
            {"step": trainer.step, "samples": trainer.samples, "seconds": round(trainer.seconds, 3)} if trainer else {}
        )
        append_record(self._log, {"event": event, **where, **facts})

    def event(self, trainer: Trainer) -> RunEvent:
        """What hooks are told."""
        return RunEvent(self.folder, self.settings.recipe, self.settings.plain(), trainer.step, trainer.samples)

    # The trainer's events

    def started(self, trainer: Trainer, *, resumed: bool) -> None:
        """Training starts or resumes; the lines of an interrupted attempt that come after are dropped."""
        keep_records(self._log, trainer.step if resumed else -1)
        notes = list(self.recipe.notes())
        self.write(trainer, "resumed" if resumed else "started", **({"notes": notes} if notes else {}))
        self.catalogue.emit("polygan_run_started", event=self.event(trainer))
        for note in notes:
            self.progress.say(note)
        self.progress.start(trainer.step)
        for leftover in (self.folder / "samples").glob(".*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
        real = self.folder / "samples" / "real"
        if not real.exists():
            beside = shown(self.recipe, self.domain, self.splits, self.recipe.preview()[0])
            save_pieces(real, self.domain.render(beside))

    def logged(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        """A log line, the progress line, the hook."""
        clean = {k: v if math.isfinite(v) else None for k, v in values.items()}
        self.write(trainer, "logged", values=clean)
        self.progress.show(trainer, values)
        self.catalogue.emit("polygan_logged", event=self.event(trainer), values=dict(values))

    def sample(self, trainer: Trainer) -> None:
        """Samples of the fixed latent batch, and what they say of health."""
        n, options = self.recipe.preview()
        networks = trainer.networks()
        samples = sample_from(self.recipe, networks, self.domain, self.splits, n, self.settings.run.seed, options)
        folder = self.folder / "samples" / f"step-{trainer.step:08d}"
        pieces = self.domain.render(samples)
        save_pieces(folder, pieces)
        self.write(trainer, "sampled", folder=folder.relative_to(self.folder).as_posix())
        self.write(trainer, "health", values=self._health(trainer, networks, samples))
        self.catalogue.emit("polygan_sampled", event=self.event(trainer), pieces=pieces)

    def _health(self, trainer: Trainer, networks: Mapping[str, torch.nn.Module], fakes: Samples) -> dict[str, float]:
        train, held_out = self.splits["train"], self.splits["held_out"]
        n = min(len(fakes), len(train))
        real = self.domain.real(train, np.sort(train.rows[:n]))
        signals = collapse_signals(self.domain.features(fakes), self.domain.features(real))
        fake = self.domain.batch_of(fakes)
        if fake is None or min(len(train), len(held_out)) < 16:
            return signals
        live = trainer.networks(averaged=False)
        batches = [self._real_batch(trainer, train), self._real_batch(trainer, held_out), fake]
        with evaluating(live), torch.no_grad():
            moved = ({k: v.to(trainer.device) for k, v in batch.items()} for batch in batches)
            logits = [x for x in (self.recipe.critic(live, batch) for batch in moved) if x is not None]
        if len(logits) == 3:
            signals |= overfitting_signal(*logits)
        return signals

    def _real_batch(self, trainer: Trainer, split: Split) -> Batch:
        rows = split.rows[: min(256, len(split))]
        batch = self.domain.collate(split, rows, np.full((len(rows), 4), 0.5))
        return self.domain.prepare({k: v.to(trainer.device) for k, v in batch.items()})

    def diverged(self, trainer: Trainer, message: str) -> None:
        """Say it, log it, tell the hook."""
        if trainer.world.first:
            self.progress.say(message)
            self.write(trainer, "diverged", message=message)
            self.catalogue.emit("polygan_diverged", event=self.event(trainer), message=message)

    def evaluate(self, trainer: Trainer) -> float | None:
        """Scores now; the first metric's first score picks the best checkpoint."""
        evaluation = make_evaluation(
            self.settings, self.domain, self.splits, self.recipe, trainer.networks(), trainer.device
        )
        by_metric, record = compute_scores(self.catalogue, self.metrics, evaluation, self.progress.say)
        scores = flat(by_metric)
        self.write(trainer, "evaluated", **record)
        for s in scores:
            floor = "" if s.floor is None else f" (floor {s.floor:.4g})"
            self.progress.say(f"step {trainer.step}: {s.name} {s.value:.4g}{floor}")
        self.catalogue.emit("polygan_evaluated", event=self.event(trainer), scores=scores)
        leading = next(iter(by_metric.get(self.metrics[0], [])), None) if self.metrics else None
        if leading is None:
            return None
        return leading.value if leading.better == "lower" else -leading.value

    def saved(self, trainer: Trainer, path: Path) -> None:
        """A checkpoint is on disk."""
        self.write(trainer, "saved", checkpoint=path.relative_to(self.folder).as_posix())
        self.catalogue.emit("polygan_saved", event=self.event(trainer), checkpoint=path)

    def ended(self, trainer: Trainer, status: str) -> None:
        """The last line."""
        self.progress.close()
        with suppress(OSError):  # a full disk: the error that ends the run says so, and `resume` completes the record
            self.write(trainer, "ended", status=status)
        self.catalogue.emit("polygan_run_ended", event=self.event(trainer), status=status)
