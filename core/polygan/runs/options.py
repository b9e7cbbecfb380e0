"""The keyword arguments of `polygan.train`: the settings of a run by name and type."""

from __future__ import annotations

from typing import TypedDict

from ..settings.trainer import Precision  # noqa: TC001 - typing.get_type_hints reads the class


class RunOptions(TypedDict, total=False):
    """The fields of `polygan.settings.trainer.RunSettings`, so that editors and type checkers know them; none is required."""

    steps: int
    batch_size: int
    accumulate: int
    seed: int
    precision: Precision
    device: str
    compile: bool
    deterministic: bool
    log_every: int
    sample_every: int
    save_every: int
    evaluate_every: int
    keep: int
    max_skips: int
    max_rollbacks: int
    hang_timeout: float
    name: str
    runs: str
    init_from: str
    metrics: tuple[str, ...]
    features: str
    evaluate_samples: int
    threads: int
