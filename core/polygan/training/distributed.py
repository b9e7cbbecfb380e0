"""The process group: one flat all-reduce a turn, and a watchdog for hangs.

Launching, rendezvous and restarting are torchrun's job. No module is wrapped: gradients are averaged after the backward
passes of a turn, so that any loss - double backward, several forwards, policy gradients - is averaged exactly.
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
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, Store  # pyright: ignore[reportPrivateImportUsage]  # documented there
from torch.distributed.rendezvous import rendezvous

from ..errors import ConfigError
from .device import choose_device

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

_FOREVER = timedelta(days=365)


@dataclass(frozen=True)
class World:
    """This process among all. One process needs no process group."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    store: Store | None = field(default=None, compare=False, repr=False)
    """Where the processes leave word for each other; needed by `follow` where there are several."""

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def check_shares(self, batch_size: int, accumulate: int) -> None:
        """ConfigError where a batch has no equal shares for all processes and micro-batches."""
        parts = accumulate * self.size
        if batch_size % parts:
            raise ConfigError(
                f"batch_size = {batch_size} cannot be shared by {self.size} process(es) x accumulate = {accumulate}; "
                f"use a multiple of {parts}"
            )

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in place, with one all-reduce a dtype."""
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
        """Replace each tensor by that of the first process, in place."""
        if self.size > 1:
            for tensor in tensors:
                value = tensor.contiguous()
                dist.broadcast(value, src=0)
                tensor.copy_(value)

    def share(self, value: Any) -> Any:
        """The first process's value, on every process."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def barrier(self) -> None:
        """Wait for every process."""
        if self.size > 1:
            dist.barrier()

    @contextlib.contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The first process runs the block alone, the others after it (they find what it cached)."""
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
        """The others wait here until the first process has come by, however long it takes (a source to decode, an evaluation):
        not by a collective, which fails after its timeout. ``key``: one for each time."""
        if self.size > 1:
            assert self.store is not None, "a group that world_from_environment joined has a store"
            key = f"polygan/followed/{key}"
            self.store.set(key, "") if self.first else self.store.wait([key], _FOREVER)


@contextlib.contextmanager
def world_from_environment(device_name: str, timeout: float) -> Iterator[tuple[World, torch.device]]:
    """Join the process group that torchrun describes, or be alone; leaves the group at the end.

    ``timeout``: seconds that a collective may take before it fails (0: it never does).
    """
    rank, size, local_rank = (int(os.environ.get(k, d)) for k, d in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
    device = choose_device(device_name, local_rank)
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
    # A prefix, as torch gives its own group: the words left here are apart from those of torch.
    dist.init_process_group(
        backend, timeout=limit, store=PrefixStore("polygan/group", store), rank=rank, world_size=size
    )
    world = World(rank, size, local_rank, store)
    try:
        yield world, device
        world.barrier()  # leave together: a launcher ends the others once one has left, and the first may still write
    finally:
        dist.destroy_process_group()


def meet(rank: int, size: int, timeout: float) -> Store:
    """The launcher's store, under a prefix that no earlier attempt used.

    torchrun keeps one store over its restarts (pytorch/pytorch issues 135712 and 167288), and the addresses that dead processes
    left there are waited for in vain. Counts of restarts differ between nodes, so the processes agree: each says who it
    is, the first invites those that it sees to a new meeting, and it begins when all of them have accepted.
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
        f"process {rank} of {size} did not find the others within {timeout:g} s; look for the first error above"
    )


def _end_with_launcher() -> None:
    """On Linux, SIGTERM (save and stop) when torchrun dies: it leaves its processes training otherwise, SIGUSR1 included."""
    if sys.platform == "linux" and "TORCHELASTIC_RUN_ID" in os.environ:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1: PR_SET_PDEATHSIG
