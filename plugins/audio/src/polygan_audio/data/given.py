"""What a user hands in: sound files, in pieces; mel files; arrays."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polygan import ConfigError, DataError, Samples

from . import files
from .facts import AudioExtra
from .mels import SUFFIXES, read_mel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOGGER = logging.getLogger("polygan")
_BLOCK_SECONDS = 10  # of a file that are read at a time


def read_file(path: Path, rate: int) -> Iterator[Samples]:
    """One sample of a file, named by its path: a waveform at ``rate`` Hz in pieces, or a mel. DataError naming the file."""
    names = [str(path)]
    if path.suffix.lower() in SUFFIXES:
        extra = AudioExtra(sample_rate=rate, mel=[torch.tensor(read_mel(path))])
        yield Samples([torch.zeros(0)], names=names, extra=dict(extra))
        return
    try:
        for waveform in _blocks(path, rate):
            yield Samples([waveform], names=names, extra={"sample_rate": rate})
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _blocks(path: Path, rate: int) -> Iterator[Tensor]:
    """A sound file at ``rate`` Hz, some seconds (T,) at a time, so that memory does not depend on its length."""
    head = files.header(path)
    unit = files.grid(head.rate, rate)
    step = max(1, _BLOCK_SECONDS * head.rate // unit) * unit
    channel = files.channel_of(path) if head.channels > 1 else files.MEAN
    if channel != files.MEAN:
        _LOGGER.warning(
            "polygan: %s: its channels cancel each other out, and channel %d alone is heard; turn one upside down",
            path,
            channel + 1,
        )
    for start in range(0, head.frames, step):
        yield torch.from_numpy(files.read(path, start, min(step, head.frames - start), rate, channel=channel)[0])


def waveforms_of(value: Any, rate: int) -> list[Tensor]:
    """float32 (T_i,) of an array (T,) or (n, T), or of a list of arrays (T_i,). ConfigError for anything else."""
    several = isinstance(value, (list, tuple)) and len(value) > 0 and np.ndim(value[0]) > 0
    return [w for one in (value if several else [value]) for w in _rows(one, rate)]


def _rows(value: Any, rate: int) -> list[Tensor]:
    try:
        given = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"given = {type(value).__name__} is no sound ({error}); {_remedy(rate)}") from None
    if given.dim() not in (1, 2) or not given.numel():
        raise ConfigError(f"the given sound has the shape {[*given.shape]}; {_remedy(rate)}")
    if given.dtype == torch.int16:
        given = given.float() / 32768
    elif not given.is_floating_point():
        raise ConfigError(f"the given sound has the type {given.dtype}; {_remedy(rate)}")
    waveforms = given.detach().cpu().float()
    if not bool(waveforms.isfinite().all()):
        raise ConfigError("the given sound holds samples that are not finite (NaN or infinite); mend it")
    return [waveforms] if waveforms.dim() == 1 else [*waveforms]


def _remedy(rate: int) -> str:
    return f"give floats (T,) or (n, T) in [-1, 1], or int16, at {rate:,} Hz"
