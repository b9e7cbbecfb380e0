"""The recorder: a listener of the trainer that writes log lines and samples, computes health and scores, and tells plugins."""

from __future__ import annotations

import math
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..data.pieces import save_pieces
from ..game.recipe import HasCritic
from ..game.sampling import evaluating
from ..hookspecs import RunEvent
from ..scoring.health import collapse_signals, overfitting_signal
from ..scoring.judged import cost
from ..scoring.scores import compute_scores, flat, picking_metric
from ..training.trainer import Listener
from .log import append_record, keep_records, read_log
from .progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ..data.domain import Samples
    from ..data.pieces import Piece
    from ..data.source import Batch
    from ..data.store import Split
    from ..training.trainer import Trainer
    from .job import Job


class Recorder(Listener):
    """Keeps the record of a run. Only the first process has a recorder."""

    def __init__(self, folder: Path, job: Job, *, quiet: bool = False) -> None:
        self.folder, self.job = folder, job
        self.progress = Progress(job.settings.run.steps, quiet=quiet)
        self._log = folder / "log.jsonl"
        self._said: set[str] = set()
        self._picking = ""

    def write(self, trainer: Trainer, event: str, **facts: object) -> None:
        """Append one line to log.jsonl."""
        where = {"step": trainer.step, "samples": trainer.samples, "seconds": round(trainer.seconds, 3)}
        append_record(self._log, {"event": event, **where, **facts})

    def event(self, trainer: Trainer) -> RunEvent:
        """The facts about the run that hooks receive."""
        settings = self.job.settings
        return RunEvent(self.folder, settings.recipe, settings.plain(), trainer.step, trainer.samples)

    # The trainer's events

    def started(self, trainer: Trainer, *, resumed: bool, facts: Mapping[str, object] | None = None) -> None:
        """Training starts or resumes. Log lines that an interrupted attempt wrote after this step are dropped.

        ``facts`` go into the record of the start, such as settings that were changed.
        """
        keep_records(self._log, trainer.step if resumed else -1)
        self._picking = picking_metric(read_log(self._log)) if resumed else ""
        notes = list(self.job.recipe.notes(trainer.settings))
        self.write(trainer, "resumed" if resumed else "started", **({"notes": notes} if notes else {}), **(facts or {}))
        self.job.catalogue.emit("polygan_run_started", event=self.event(trainer))
        for note in notes:
            self.progress.say(note)
        if trainer.settings.compile:
            self.progress.say("torch compiles the networks: the first iteration of each turn can take minutes")
        self.progress.start(trainer.step, trainer.turns)
        for leftover in (self.folder / "samples").glob(".*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)

    def logged(self, trainer: Trainer, values: Mapping[str, float]) -> None:
        """Write the values to the log, show them, and tell plugins."""
        clean = {k: v if math.isfinite(v) else None for k, v in values.items()}
        remarks = list(self.job.recipe.remarks(values))
        self.write(trainer, "logged", values=clean, **({"remarks": remarks} if remarks else {}))
        self.progress.show(trainer, values)
        for remark in remarks:
            self._say_once(remark)
        self.job.catalogue.emit("polygan_logged", event=self.event(trainer), values=dict(values))

    def sample(self, trainer: Trainer) -> None:
        """Draw samples from the fixed latent batch, save them, and log the health signals that they give."""
        job, networks = self.job, trainer.networks()
        n, options = job.recipe.preview()
        samples = job.samples(networks, n, job.settings.run.seed, options)
        folder = self.folder / "samples" / f"step-{trainer.step:08d}"
        pieces = job.domain.render(samples)
        save_pieces(folder, pieces)
        real = self.folder / "samples" / "real"
        beside = job.beside(samples, options)
        if not real.exists() and not (beside and job.paired):  # else the truth of each sample stands beside the sample
            save_pieces(real, job.domain.render(job.real(samples, options)))
        self._save_beside(trainer.step, beside)
        self.write(trainer, "sampled", folder=folder.relative_to(self.folder).as_posix())
        self.write(trainer, "health", values=self._health(trainer, networks, samples))
        self.job.catalogue.emit("polygan_sampled", event=self.event(trainer), pieces=pieces)

    def _save_beside(self, step: int, pieces: list[Piece]) -> None:
        """Save the view of this step's samples beside what they were made from, in the place of an earlier step's view."""
        if pieces:
            save_pieces(self.folder / "samples" / f"beside-{step:08d}", pieces)
        for earlier in (self.folder / "samples").glob("beside-*"):
            if earlier.name != f"beside-{step:08d}":
                shutil.rmtree(earlier, ignore_errors=True)

    def _health(self, trainer: Trainer, networks: Mapping[str, torch.nn.Module], fakes: Samples) -> dict[str, float]:
        domain, recipe = self.job.domain, self.job.recipe
        train, held_out = (self.job.compared[name] for name in ("train", "held_out"))
        n = min(len(fakes), len(train))
        real = domain.real(train, np.sort(train.rows[:n]))
        signals = collapse_signals(domain.features(fakes), domain.features(real))
        fake = domain.batch_of(fakes)
        if fake is None or min(len(train), len(held_out)) < 16 or not isinstance(recipe, HasCritic):
            return signals
        live = trainer.networks(averaged=False)
        batches = [self._real_batch(trainer, train), self._real_batch(trainer, held_out), fake]
        if recipe.given is not None and "given" in batches[1]:  # the critic sees the fakes with their inputs
            given = batches[1]["given"][: len(fakes)]
            batches[2] = {"given": given, **{k: v[: len(given)] for k, v in fake.items()}}
        with evaluating(live), torch.no_grad():
            moved = ({k: v.to(trainer.device) for k, v in batch.items()} for batch in batches)
            logits = [recipe.critic(live, batch) for batch in moved]
        return signals | overfitting_signal(*logits)

    def _real_batch(self, trainer: Trainer, split: Split) -> Batch:
        rows, domain = split.rows[: min(256, len(split))], self.job.domain
        batch = domain.collate(split, rows, np.full((len(rows), domain.draws), 0.5))
        return self.job.prepare({k: v.to(trainer.device) for k, v in batch.items()})

    def diverged(self, trainer: Trainer, message: str) -> None:
        """Show the message, log it, and tell plugins."""
        if trainer.world.first:
            self.progress.say(message)
            self.write(trainer, "diverged", message=message)
            self.job.catalogue.emit("polygan_diverged", event=self.event(trainer), message=message)

    def evaluate(self, trainer: Trainer) -> float | None:
        """Compute the scores, and return what picks the best checkpoint: less is better, None where this score was left out.

        The first score of one metric picks. The metric is the first that can be computed when scores are first computed.
        """
        metrics = self.job.metrics
        evaluation = self.job.evaluation(trainer.networks(), trainer.device)
        picking = self._picking if self._picking in metrics else ""
        computed = compute_scores(self.job.catalogue, metrics, evaluation, self._say_once, picking)
        scores, leading, self._picking = flat(computed.scores), computed.leading, computed.picking
        passed_over = computed.picking != metrics[0] if metrics else False
        self.write(trainer, "evaluated", **computed.record, **({"picking": computed.picking} if passed_over else {}))
        for s in scores:
            self.progress.say(f"step {trainer.step}: {s.name} {s.shown()}{s.beside()}")
        self.job.catalogue.emit("polygan_evaluated", event=self.event(trainer), scores=scores)
        if leading is None:
            return None
        return cost(leading.value, leading.better, leading.floor)

    def _say_once(self, line: str) -> None:
        """Show a line that would be repeated: what is left out of scores, what the recipe remarks."""
        if line not in self._said:
            self._said.add(line)
            self.progress.say(line)

    def saved(self, trainer: Trainer, path: Path) -> None:
        """Log that a checkpoint is on disk, and tell plugins."""
        self.write(trainer, "saved", checkpoint=path.relative_to(self.folder).as_posix())
        self.job.catalogue.emit("polygan_saved", event=self.event(trainer), checkpoint=path)

    def ended(self, trainer: Trainer, status: str) -> None:
        """Write the last line of the log, and tell plugins."""
        self.progress.close()
        with suppress(OSError):  # a full disk: the error that ends the run says this, and `resume` completes the log
            self.write(trainer, "ended", status=status)
        self.job.catalogue.emit("polygan_run_ended", event=self.event(trainer), status=status)
