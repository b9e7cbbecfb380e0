"""The trainer's settings, and what they mean on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from .errors import ConfigError

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """How a recipe is trained."""

    steps: int = 10_000
    """Iterations in all; one iteration plays every turn that is due."""
    batch_size: int = 64
    """Samples an optimizer step, over all processes and micro-batches."""
    accumulate: int = 1
    """Micro-batches an optimizer step; each is batch_size / accumulate / processes samples."""
    seed: int = 0
    """Seed of initial parameters, order of the data and every noise, >= 0."""
    precision: Precision = "auto"
    """auto: bf16 where the hardware multiplies it, else fp32 on the CPU and fp16 on CUDA."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    compile: bool = False
    """torch.compile the networks; turns that differentiate twice stay eager."""
    deterministic: bool = True
    """On CUDA: only convolution algorithms of cuDNN that repeat to the bit. torch has operations beside them that do not, among them
    the derivatives of gather (adaptive augmentation), of embeddings and of reflected padding (spectral losses of sound)."""
    log_every: int = 50
    """Iterations between logged values; also how often non-finite gradients are counted."""
    sample_every: int = 500
    """Iterations between samples from the fixed latent batch; 0: only at the end."""
    save_every: int = 1000
    """Iterations between checkpoints, beside those of evaluations that give a score; 0: only at the end."""
    evaluate_every: int = 0
    """Iterations between evaluations; 0: none during training."""
    keep: int = 3
    """Newest checkpoints kept, beside the last good and the best."""
    max_skips: int = 20
    """Non-finite steps of one player in a row before the run goes back to the last good checkpoint."""
    max_rollbacks: int = 3
    """Rollbacks before the run gives up with a DivergenceError."""
    hang_timeout: float = 1800
    """Seconds without an iteration after which the process ends with its stacks, samples and scores aside; 0: never."""

    def __post_init__(self) -> None:
        least = {"steps": 1, "batch_size": 1, "accumulate": 1, "log_every": 1, "keep": 1, "max_skips": 1}
        least |= dict.fromkeys(
            ("seed", "sample_every", "save_every", "evaluate_every", "max_rollbacks", "hang_timeout"), 0
        )
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise ConfigError(f"{name} = {getattr(self, name)} is too small; the least is {minimum}")


def resolve_precision(name: str, device: torch.device) -> str:
    """What ``auto`` means on a device: bf16 where the hardware multiplies it, else fp32 (fp16 on older CUDA)."""
    if device.type == "meta":
        return "fp32"  # autocast does not know the meta device
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu":
        return "bf16" if _cpu_multiplies_bf16() else "fp32"
    return "fp32"


def is_emulated(precision: str, device: torch.device) -> bool:
    """Whether the hardware lacks the arithmetic of ``precision``, so that it costs time instead of saving it."""
    if device.type == "cuda":
        return precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (precision == "fp16" or (precision == "bf16" and not _cpu_multiplies_bf16()))


def _cpu_multiplies_bf16() -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "amx_tile"))
