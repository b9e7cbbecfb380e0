"""The settings of the trainer and of a run."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError
from .ranges import Checked, ranged

_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""The names of devices, which no file can have on Windows, whatever its suffix."""

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class TrainerSettings(Checked):
    """How a recipe is trained."""

    steps: int = ranged(10_000, "[1, inf)")
    """Number of iterations. One iteration plays every turn that is due."""
    batch_size: int = ranged(64, "[1, inf)")
    """Samples for each optimizer step, over all processes and micro-batches."""
    accumulate: int = ranged(1, "[1, inf)")
    """Micro-batches for each optimizer step; each has batch_size / accumulate / processes samples."""
    seed: int = ranged(0, "[0, 9223372036854775808)", hint="a seed is a whole number from 0 to 2^63 - 1")
    """Seed of the initial parameters, the order of the data and all noise."""
    precision: Precision = "auto"
    """auto: bf16 where the hardware supports it, else fp32 on the CPU and mps, and fp16 on CUDA."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps; auto takes CUDA or, for one process, Apple's GPU (mps) where there is one."""
    compile: bool = False
    """torch.compile the networks; turns that differentiate twice stay eager."""
    deterministic: bool = True
    """On CUDA: use only convolution algorithms of cuDNN that repeat to the bit. Other operations of torch do not repeat: the
    derivatives of gather (adaptive augmentation), of embeddings and of reflected padding (spectral losses of sound)."""
    log_every: int = ranged(50, "[1, inf)")
    """Iterations between logged values; also how often non-finite gradients are counted."""
    sample_every: int = ranged(500, "[0, inf)")
    """Iterations between samples of the fixed latent batch; 0: only at the end."""
    save_every: int = ranged(1000, "[0, inf)")
    """Iterations between checkpoints; 0: only at the end. An evaluation that gives a score saves a checkpoint too, and so does
    the first minute of training."""
    evaluate_every: int = ranged(0, "[0, inf)")
    """Iterations between evaluations; 0: none during training."""
    keep: int = ranged(3, "[1, inf)")
    """Number of newest checkpoints to keep, beside the last good and the best."""
    max_skips: int = ranged(20, "[1, inf)")
    """Non-finite steps of one player in a row before the run goes back to the last good checkpoint."""
    max_rollbacks: int = ranged(3, "[0, inf)")
    """Rollbacks before the run gives up with a DivergenceError."""
    hang_timeout: float = ranged(1800, "[0, inf)")
    """Seconds without an iteration after which the process prints its stacks and ends; 0: never. Sampling and scoring do not count."""


@dataclass(frozen=True, kw_only=True)
class RunSettings(TrainerSettings):
    """What a run adds to the trainer's settings."""

    name: str = ""
    """Name of the run's folder; empty: a name from the recipe and the data."""
    runs: str = "runs"
    """Folder that holds the runs."""
    init_from: str = ""
    """A run, checkpoint or .safetensors file whose networks training starts from, or a name such as hf:me/x that a plugin
    fetches; optimizers and counters start fresh."""
    metrics: tuple[str, ...] = ()
    """Metrics to compute, best first: the first one that can be computed picks the best checkpoint. Empty: every metric of the domain that
    fits; those of pairs come first where the data has pairs."""
    features: str = ""
    """The feature network for metrics that offer a choice: a file, or a name that the domain's plugin knows; empty: the
    metric's own network."""
    evaluate_samples: int = ranged(1000, "[1, inf)")
    """Number of generated samples that a metric may ask for."""
    threads: int = ranged(0, "[0, inf)")
    """Number of torch's threads on the CPU; 0: torch chooses, and `polygan resume` takes the number that the run had."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name and (not re.fullmatch(r"[\w.][\w.+ -]*", self.name) or self.name.startswith(".")):
            raise ConfigError(
                f"name = {self.name!r} is not a folder name: use letters, digits, '.', '_', '-', '+'; choose the parent folder with --runs"
            )
        if self.name and os.name == "nt" and (_DEVICES.match(self.name) or self.name[-1] in ". "):
            raise ConfigError(
                f"name = {self.name!r} is a name that Windows keeps for itself or shortens: choose another --name, e.g. run-{self.name.rstrip('. ')}"
            )
