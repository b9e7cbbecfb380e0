"""Counter-based randomness: every random number is a pure function of the seed and of counters such as the step.

No state of a generator is saved or restored: a resumed run seeds its generators from the same counters as an
uninterrupted run.
"""

from __future__ import annotations

import hashlib
import random
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from .errors import ConfigError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def mix(*counters: int) -> int:
    """A 63-bit seed that depends on each integer and on their order (BLAKE2b of their 64-bit values)."""
    packed = struct.pack(f"<{len(counters)}q", *counters)
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "little") >> 1


def seed_everything(seed: int, device: torch.device | None = None) -> None:
    """Seed Python's, NumPy's and torch's global generators (and those of a CUDA device or of mps) with one number.

    ``torch.manual_seed`` is avoided: it visits every back end and costs a hundred times as much.
    """
    random.seed(seed)
    np.random.seed(seed & 0xFFFF_FFFF)
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)
    elif device is not None and device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def preserved_generators(device: torch.device | None = None) -> Iterator[None]:
    """Restore the global generators of Python, NumPy and torch (and of a CUDA device or mps) at the end of the block."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    kind = device.type if device is not None else ""
    cuda = torch.cuda.get_rng_state(device) if device is not None and kind == "cuda" else None
    mps = torch.mps.get_rng_state() if kind == "mps" else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda is not None and device is not None:
            torch.cuda.set_rng_state(cuda, device)
        if mps is not None:
            torch.mps.set_rng_state(mps)


class Noise:
    """Random numbers whose values depend on counters alone, not on the number of processes or micro-batches.

    The batch is cut into ``parts`` equal shares, and this object draws the rows of share number ``part``. The stacked numbers of
    all shares are the numbers that one process draws for the whole batch. The n-th call after `reset` with the same counters
    gives the same numbers. With ``block`` set, row i of a call does not depend on the number of rows: sample 3 of a seed is the
    same picture in a call for 4 or for 4,000 samples.
    """

    def __init__(self, device: torch.device | str = "cpu", block: int = 0) -> None:
        self.device = torch.device(device)
        self.part, self.parts, self.block = 0, 1, block
        self._counters: tuple[int, ...] = (0,)
        self._calls = 0
        # The meta device has no generators; its tensors hold no numbers.
        self._generator = None if self.device.type == "meta" else torch.Generator(self.device)

    def reset(self, *counters: int, part: int = 0, parts: int = 1) -> Noise:
        """Start the sequence of ``counters``, for share ``part`` of ``parts``. Returns this object."""
        self._counters, self._calls, self.part, self.parts = counters, 0, part, parts
        return self

    def _draw(self, n: int, draw: Callable[[int], torch.Tensor]) -> torch.Tensor:
        self._calls += 1
        total = n * self.parts
        if self.block:
            blocks = []
            for b in range(max(1, -(-total // self.block))):
                self._seed(b)
                blocks.append(draw(self.block))
            numbers = torch.cat(blocks)
        else:
            self._seed()
            numbers = draw(total)
        return numbers[self.part * n : (self.part + 1) * n]

    def _seed(self, *more: int) -> None:
        if self._generator is not None:
            self._generator.manual_seed(mix(*self._counters, self._calls, *more))

    def normal(self, n: int, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """(n, *shape) standard normal numbers."""
        return self._draw(
            n, lambda m: torch.randn(m, *shape, generator=self._generator, device=self.device, dtype=dtype)
        )

    def uniform(self, n: int, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """(n, *shape) numbers uniform in [0, 1)."""
        return self._draw(
            n, lambda m: torch.rand(m, *shape, generator=self._generator, device=self.device, dtype=dtype)
        )

    def integers(self, high: int, n: int, *shape: int) -> torch.Tensor:
        """(n, *shape) integers uniform in [0, high), int64."""
        return self._draw(n, lambda m: torch.randint(high, (m, *shape), generator=self._generator, device=self.device))


class Latents(Noise):
    """Noise whose first normal numbers are ``values`` (n, ...); further numbers are those of the seed."""

    def __init__(self, values: object, seed: int) -> None:
        super().__init__("cpu", block=64)
        self.reset(seed)
        try:
            self.values = torch.as_tensor(values).detach().cpu()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"latents are no numbers ({one_line(error)}); hand over a tensor (n, latent_dim)"
            ) from None
        self.used = False

    def normal(self, n: int, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The given latents at the first call. ConfigError for latents of another shape."""
        drawn = super().normal(n, *shape, dtype=dtype)
        if self.used:
            return drawn
        self.used = True
        if self.values.shape != drawn.shape:
            wanted = ", ".join(["n", *map(str, shape)])
            raise ConfigError(f"latents have shape {tuple(self.values.shape)}, and this run takes ({wanted})")
        return self.values.to(drawn.dtype)
