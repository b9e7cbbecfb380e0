"""The keyword arguments of `polygan.train`: the settings of a run by name and type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

from ..settings.trainer import Precision  # noqa: TC001 - typing.get_type_hints reads the class

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from torch.utils.data import Dataset


class Table(Protocol):
    """A pandas DataFrame, which polygan does not require."""

    @property
    def columns(self) -> Any:
        """The names of the columns."""
        ...

    def to_numpy(self) -> Any:
        """The values (rows, columns)."""
        ...


if TYPE_CHECKING:
    Samples = torch.Tensor | np.ndarray | Sequence[Any] | Dataset[Any] | Table
    Data = str | Path | Mapping[str, object] | Samples | tuple[Samples, object]
    """What `polygan.train` takes as ``data``."""

Loss = Literal[
    "non-saturating", "minimax", "saturating", "least-squares", "least_squares", "hinge", "wasserstein", "relativistic"
]
"""The losses of two networks, by the names in `polygan.losses.ADVERSARIAL`; "non-saturating" is ``minimax``."""


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


class NetworkOptions(TypedDict, total=False):
    """The keywords of `polygan.train` for two networks: the fields of `polygan.runs.handed.networks.NetworksConfig`."""

    latent_dim: int | tuple[int, ...]
    loss: Loss
    learning_rate: float
    discriminator_learning_rate: float
    betas: tuple[float, float]
    critic_steps: int
    r1: float
    gradient_penalty: float | None
    weight_clip: float
    ema_half_life: float
    conditional: bool


class TrainOptions(RunOptions, NetworkOptions, total=False):
    """All keywords of `polygan.train` that are settings."""
