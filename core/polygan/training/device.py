"""Devices by name, and the precision that a device supports."""

from __future__ import annotations

import torch

from ..errors import ConfigError, did_you_mean


def choose_device(name: str, local_rank: int = 0, processes: int = 1) -> torch.device:
    """The device for ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``. ConfigError for an absent or unknown device.

    ``auto`` is CUDA where there is CUDA, else Apple's GPU (mps) for a single process, else the CPU.
    """
    if name == "auto":
        # No process group of torch moves tensors of mps.
        apple = processes == 1 and torch.backends.mps.is_available()
        name = "cuda" if torch.cuda.is_available() else "mps" if apple else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise _refused(name, "is not a device", did_you_mean(name, available())) from None
    if device.type == "cuda":
        device = torch.device("cuda", local_rank if device.index is None else device.index)
        if not torch.cuda.is_available() or device.index >= torch.cuda.device_count():
            raise _refused(str(device), "is absent")
        return device
    if device.type not in ("cpu", "mps"):
        raise _refused(name, "is of a kind that polygan cannot train on")
    if (device.type == "mps" and not torch.backends.mps.is_available()) or device.index:
        raise _refused(name, "is absent")
    return device


def _refused(name: str, why: str, hint: str = "") -> ConfigError:
    there = available()
    return ConfigError(
        f"device {name!r} {why}{hint}: torch {torch.__version__} has {', '.join(there)} here; use --device auto or {there[-1]}"
    )


def available() -> list[str]:
    """The names of the devices of this machine that polygan can train on, as ``--device`` takes them."""
    cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return ["cpu", *mps, *(f"cuda:{index}" for index in range(cuda))]


def unserved() -> list[str]:
    """The kinds of accelerators that torch sees here and that polygan cannot train on, e.g. ``xpu``."""
    seen = torch.accelerator.current_accelerator(check_available=True)
    return [seen.type] if seen is not None and seen.type not in ("cuda", "mps") else []


def resolve_precision(name: str, device: torch.device) -> str:
    """The precision that ``auto`` means on a device: bf16 where the hardware supports it, else fp32 (fp16 on older CUDA).

    On mps the precision is fp32: what autocast supports there differs between versions of macOS.
    """
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
    """Whether the hardware lacks the arithmetic of ``precision``. An emulated precision costs time instead of saving it."""
    if device.type == "cuda":
        return precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (precision == "fp16" or (precision == "bf16" and not _cpu_multiplies_bf16()))


def _cpu_multiplies_bf16() -> bool:
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "amx_tile"))
