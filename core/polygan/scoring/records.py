"""The type of a record: one line of a run's log.jsonl."""

from __future__ import annotations

from typing import Required, TypedDict


class Record(TypedDict, total=False):
    """A line of the log as `polygan.record.log.read_log` returns it.

    ``step`` is always a finite int. The other values are what the file holds, so a reader checks their types.
    """

    step: Required[int]
    """Finished iterations."""
    event: object
    """started, resumed, logged, sampled, health, evaluated, saved, diverged or ended."""
    samples: object
    """Real samples that training has shown so far."""
    seconds: object
    """Seconds of training so far."""
    values: object
    """Of logged and health: numbers by name; null for a number that is not finite."""
    remarks: object
    """Of logged: sentences of the recipe about the values."""
    notes: object
    """Of started and resumed: sentences of the recipe."""
    scores: object
    """Of evaluated: the fields of each `polygan.Score`."""
    picking: object
    """Of evaluated: the id of the metric that picks the best checkpoint, where the first metric could not be computed."""
    paired: object
    """Of evaluated: true where each sample has a truth, so that scores of pairs can be had (`polygan.Evaluation.pairs`)."""
    plots: object
    """Of evaluated: the fields of each `polygan.Plot`."""
    changed: object
    """Of resumed: the settings that were changed by name, each with its value before and after."""
    message: object
    """Of diverged: what happened. Of resumed: what was changed."""
    status: object
    """Of ended: finished, preempted, interrupted or failed."""
    folder: object
    """Of sampled: the folder of the samples, within the run."""
    checkpoint: object
    """Of saved: the checkpoint's folder, within the run."""
