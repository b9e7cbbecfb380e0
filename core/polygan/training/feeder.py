"""Loads batches from streams as prepared micro-batches on the training device."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..data.source import Batch
    from ..files import Facts
    from ..game.protocol import Turn


class Batches(Protocol):
    """An object whose ``batch(i)`` is this process's share of global batch ``i``, on the CPU."""

    def batch(self, i: int) -> Batch: ...


def on_device(value: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy on a device, asynchronous where the device can. float64 becomes float32 on mps, which has no float64."""
    if device.type == "mps" and value.dtype == torch.float64:
        value = value.float()
    return value.to(device, non_blocking=True)


class Feeder:
    """Gives the next batches of streams, as lists of micro-batches.

    ``taken`` counts the batches that past iterations took from each stream, so that a stream goes through its epochs without a gap,
    however often its turns are played. All turns of an iteration that read a stream see the same batches: the repeat counts.

    ``rounds`` is 0, or the largest repeat of a run that an earlier polygan began. Such a run keeps its order of batches: the index
    is the iteration times ``rounds``, plus the repeat, and no check begins anew.

    On CUDA a thread collates and pins the next batch while the device computes, and the copy to the device is asynchronous.
    """

    def __init__(
        self,
        streams: Mapping[str, Batches],
        device: torch.device,
        accumulate: int = 1,
        prepare: Callable[[Batch], Batch] | None = None,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.streams, self.device, self.accumulate = streams, device, accumulate
        self.prepare = prepare or (lambda batch: batch)
        self.memory_format = memory_format
        self.taken: dict[str, int] = {}
        self.rounds = 0
        self._used: dict[str, int] = {}
        self._ready: dict[tuple[str, int], list[Batch]] = {}
        self._ahead: dict[tuple[str, int], Future[Batch]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def finish_iteration(self) -> None:
        """Count the batches of the iteration, and drop its micro-batches."""
        for name, used in self._used.items():
            self.taken[name] = self.taken.get(name, 0) + used
        self._used.clear()
        self._ready.clear()

    def state(self) -> dict[str, object]:
        """What a checkpoint holds of the streams."""
        return {} if self.rounds else {"streams": dict(self.taken)}

    def restore(self, saved: Facts, turns: Sequence[Turn]) -> None:
        """Go on from what a checkpoint holds; a checkpoint without counts is of an earlier polygan."""
        self.taken = dict(saved.get("streams", {}))
        self.rounds = 0 if "streams" in saved else max(turn.repeat for turn in turns)

    def get(self, name: str, repeat: int, step: int, *, anew: bool = False) -> list[Batch]:
        """``accumulate`` micro-batches of batch ``repeat`` of iteration ``step``, or, ``anew``, of the whole stream.

        Each call returns new dicts of the same tensors. A second equal request within an iteration loads nothing.
        """
        if not anew:
            self._used[name] = max(self._used.get(name, 0), repeat + 1)
        begin = step * self.rounds if self.rounds else 0 if anew else self.taken.get(name, 0)
        key = (name, begin + repeat)
        if key not in self._ready:
            self._ready[key] = self._load(*key)
        return [dict(part) for part in self._ready[key]]

    def _load(self, name: str, i: int) -> list[Batch]:
        if self.device.type != "cuda":
            batch = self.streams[name].batch(i)
        else:
            self._pool = self._pool or ThreadPoolExecutor(1, "polygan-feeder")
            future = self._ahead.pop((name, i), None)
            batch = future.result() if future else self._pinned(name, i)
            self._ahead = {k: f for k, f in self._ahead.items() if k[0] != name or k[1] > i}
            self._ahead[name, i + 1] = self._pool.submit(self._pinned, name, i + 1)
        batch = {k: on_device(v, self.device) for k, v in batch.items()}
        size = len(next(iter(batch.values()))) // self.accumulate
        parts = ({k: v[m * size : (m + 1) * size] for k, v in batch.items()} for m in range(self.accumulate))
        return [{k: self._format(v) for k, v in self.prepare(part).items()} for part in parts]

    def _pinned(self, name: str, i: int) -> Batch:
        return {k: v.pin_memory() for k, v in self.streams[name].batch(i).items()}

    def _format(self, value: torch.Tensor) -> torch.Tensor:
        return value.contiguous(memory_format=self.memory_format) if value.dim() == 4 else value

    def close(self) -> None:
        """End the thread and drop its batches. The next `get` starts another thread."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None
        self._ahead.clear()
