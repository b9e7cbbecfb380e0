"""Where training runs: devices by name with the precision that they support, and the process group.

torchrun launches, joins and restarts the processes. No module is wrapped. Gradients are averaged after the backward passes of
a turn, in one flat all-reduce for each dtype, so that every loss is averaged exactly: double backward, several forward passes, policy gradients.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store  # pyright: ignore[reportPrivateImportUsage]  # documented there
from torch.distributed.rendezvous import rendezvous

from ..errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

T = TypeVar("T")

_FOREVER = timedelta(days=365)


@dataclass(frozen=True)
class World:
    """The place of this process among all processes. A single process needs no process group."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    store: Store | None = field(default=None, compare=False, repr=False)
    """The store through which processes signal each other. `follow` needs a store where there are several processes."""

    @property
    def first(self) -> bool:
        """Whether this process is the first, which writes the files."""
        return self.rank == 0

    def check_shares(self, batch_size: int, accumulate: int) -> None:
        """Raise ConfigError where a batch has no equal shares for all processes and micro-batches."""
        parts = accumulate * self.size
        if batch_size % parts:
            raise ConfigError(
                f"batch_size = {batch_size} cannot be shared by {self.size} process(es) x accumulate = {accumulate}; "
                f"use a multiple of {parts}"
            )

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in place, with one all-reduce for each dtype."""
        if self.size == 1:
            return
        for dtype in sorted({t.dtype for t in tensors}, key=str):
            group = [t for t in tensors if t.dtype == dtype]
            flat = torch.cat([t.reshape(-1) for t in group])
            dist.all_reduce(flat)
            flat /= self.size
            for tensor, mean in zip(group, flat.split([t.numel() for t in group]), strict=True):
                tensor.copy_(mean.view(tensor.shape))

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by the first process's tensor, in place."""
        if self.size > 1:
            for tensor in tensors:
                value = tensor.contiguous()
                dist.broadcast(value, src=0)
                tensor.copy_(value)

    def share(self, value: T | None) -> T:
        """The first process's value, on every process. The other processes may pass None."""
        box = [value]
        if self.size > 1:
            dist.broadcast_object_list(box, src=0)
        return cast("T", box[0])  # the first process passed a value

    def barrier(self) -> None:
        """Wait for every process."""
        if self.size > 1:
            dist.barrier()

    @contextlib.contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The first process runs the block alone. The others run the block afterwards and find what the first has cached."""
        if self.size == 1:
            yield
            return
        if not self.first:
            self.follow("opened")
        try:
            yield
        finally:
            if self.first:
                self.follow("opened")

    def follow(self, key: str) -> None:
        """Wait until the first process has called `follow` with this ``key``. Use a new key for each call.

        The wait has no limit (decoding a source, an evaluation), unlike a collective, which fails after its timeout.
        """
        if self.size > 1:
            assert self.store is not None, "a group that world_from_environment joined has a store"
            key = f"polygan/followed/{key}"
            self.store.set(key, "") if self.first else self.store.wait([key], _FOREVER)


@contextlib.contextmanager
def world_from_environment(device_name: str, timeout: float) -> Iterator[tuple[World, torch.device]]:
    """Join the process group that torchrun describes, if any, and leave the group at the end.

    ``timeout`` is the number of seconds after which a collective fails (0: never).
    """
    rank, size, local_rank = (int(os.environ.get(k, d)) for k, d in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
    device = choose_device(device_name, local_rank, size)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if size == 1:
        yield World(rank, size, local_rank), device
        return
    _end_with_launcher()
    limit = timedelta(seconds=timeout) if timeout else _FOREVER
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        store = meet(rank, size, timeout or 1800)
    else:
        store = next(rendezvous("env://", rank, size, timeout=limit))[0]
    backend = "nccl" if device.type == "cuda" else "gloo"
    # A prefix keeps torch's keys apart from polygan's keys in the store.
    dist.init_process_group(
        backend, timeout=limit, store=PrefixStore("polygan/group", store), rank=rank, world_size=size
    )
    world = World(rank, size, local_rank, store)
    try:
        yield world, device
        world.barrier()  # leave together: a launcher ends all processes once one has left, and the first may still write
    finally:
        dist.destroy_process_group()


def meet(rank: int, size: int, timeout: float) -> Store:
    """The launcher's store, under a prefix that no earlier attempt used.

    torchrun keeps one store over its restarts (pytorch/pytorch issues 135712 and 167288). New processes would wait in vain for
    addresses that dead processes left there. Counts of restarts differ between nodes, so the processes agree on a prefix. Each
    process announces itself. The first process invites the processes it sees to a new meeting, named by the prefix. The
    meeting begins when every guest has accepted.
    """
    store = next(rendezvous("env://", rank, size, timeout=timedelta(seconds=timeout)))[0]
    me, end, accepted = uuid.uuid4().hex, time.monotonic() + timeout, set()
    present = [f"polygan/present/{r}" for r in range(size)]
    store.set(present[rank], me)
    guests: list[str] = []
    meeting = ""
    while time.monotonic() < end:
        if rank == 0:
            seen = [x.decode() for x in store.multi_get(present)]
            if seen != guests:
                guests, meeting = seen, uuid.uuid4().hex
                store.set("polygan/invitation", json.dumps([meeting, guests]))
            if store.add(f"{meeting}/accepted", 0) == size - 1:
                store.set(f"{meeting}/begins", "")
                return PrefixStore(meeting, store)
        else:
            meeting, guests = json.loads(store.get("polygan/invitation"))
            if len(guests) == size and guests[rank] == me:
                if meeting not in accepted:
                    accepted.add(meeting)
                    store.add(f"{meeting}/accepted", 1)
                if store.check([f"{meeting}/begins"]):
                    return PrefixStore(meeting, store)
        time.sleep(0.02)
    raise ConfigError(
        f"process {rank} of {size} did not find the others within {timeout:g} s; look for the first error above and correct it"
    )


def _end_with_launcher() -> None:
    """On Linux, get SIGTERM (save and stop) when torchrun dies. Otherwise a dying torchrun leaves its processes training."""
    if sys.platform == "linux" and "TORCHELASTIC_RUN_ID" in os.environ:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG


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
