"""The settings of the trainer and of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError
from .ranges import Checked, ranged

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class TrainerSettings(Checked):
    """How a recipe is trained."""

    steps: int = ranged(10_000, "[1, inf)")
    """Iterations in all; one iteration plays every turn that is due."""
    batch_size: int = ranged(64, "[1, inf)")
    """Samples an optimizer step, over all processes and micro-batches."""
    accumulate: int = ranged(1, "[1, inf)")
    """Micro-batches an optimizer step; each is batch_size / accumulate / processes samples."""
    seed: int = ranged(0, "[0, inf)")
    """Seed of initial parameters, order of the data and every noise."""
    precision: Precision = "auto"
    """auto: bf16 where the hardware multiplies it, else fp32 on the CPU and fp16 on CUDA."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    compile: bool = False
    """torch.compile the networks; turns that differentiate twice stay eager."""
    deterministic: bool = True
    """On CUDA: only convolution algorithms of cuDNN that repeat to the bit. torch has operations beside them that do not, among them
    the derivatives of gather (adaptive augmentation), of embeddings and of reflected padding (spectral losses of sound)."""
    log_every: int = ranged(50, "[1, inf)")
    """Iterations between logged values; also how often non-finite gradients are counted."""
    sample_every: int = ranged(500, "[0, inf)")
    """Iterations between samples from the fixed latent batch; 0: only at the end."""
    save_every: int = ranged(1000, "[0, inf)")
    """Iterations between checkpoints, beside those of evaluations that give a score; 0: only at the end."""
    evaluate_every: int = ranged(0, "[0, inf)")
    """Iterations between evaluations; 0: none during training."""
    keep: int = ranged(3, "[1, inf)")
    """Newest checkpoints kept, beside the last good and the best."""
    max_skips: int = ranged(20, "[1, inf)")
    """Non-finite steps of one player in a row before the run goes back to the last good checkpoint."""
    max_rollbacks: int = ranged(3, "[0, inf)")
    """Rollbacks before the run gives up with a DivergenceError."""
    hang_timeout: float = ranged(1800, "[0, inf)")
    """Seconds without an iteration after which the process ends with its stacks, samples and scores aside; 0: never."""


@dataclass(frozen=True, kw_only=True)
class RunSettings(TrainerSettings):
    """What a run adds to the trainer's settings."""

    name: str = ""
    """Name of the run's folder; empty: made from the recipe and the data."""
    runs: str = "runs"
    """Folder that holds the runs."""
    init_from: str = ""
    """A run, checkpoint or .safetensors file whose networks are the start (transfer); optimizers and counters start fresh."""
    metrics: tuple[str, ...] = ()
    """Metrics to compute, best first: the first one picks the best checkpoint. Empty: every metric of the domain."""
    features: str = ""
    """The feature network that metrics measure with, where they have a choice: a file, or a name that the domain's plugin knows;
    empty: their own."""
    evaluate_samples: int = ranged(1000, "[1, inf)")
    """Generated samples a metric may ask for."""
    threads: int = ranged(0, "[0, inf)")
    """Threads of torch on the CPU; 0: torch's own choice."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name and (not re.fullmatch(r"[\w.][\w.+ -]*", self.name) or self.name.startswith(".")):
            raise ConfigError(
                f"name = {self.name!r} is not a folder name: use letters, digits, '.', '_', '-', '+'; set the place with --runs"
            )
