"""The mean and the deviation of each band of a log-mel, by which generators normalise what they hear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .data.facts import extra_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from polygan import Domain, Split

    from .front_end import MelConfig

_SURVEYED = 200  # clips whose mels are measured


def statistics_of(config: MelConfig, domain: Domain, split: Split) -> dict[str, Any]:
    """``mel_mean`` and ``mel_scale`` of each band in the log-mels of up to 200 training clips; nothing where all are too short."""
    step = max(1, len(split.rows) // _SURVEYED)
    count, total, squares = 0, torch.zeros(1), torch.zeros(1)
    for row in range(0, len(split.rows), step):
        samples = domain.real(split, split.rows[row : row + 1])
        extra, clip = extra_of(samples), torch.as_tensor(samples.data[0]).float()
        spec, given = config.front_end(extra["sample_rate"]), extra.get("mel")
        if given is None and len(clip) <= spec.pad:
            continue
        mel = (spec(clip) if given is None else given[0]).double()
        count += mel.shape[1]
        total, squares = total + mel.sum(1), squares + mel.square().sum(1)
    if not count:
        return {}
    mean = total / count
    scale = (squares / count - mean.square()).clamp(min=0).sqrt().clamp(min=1e-3)
    return {"mel_mean": mean.tolist(), "mel_scale": scale.tolist()}


def set_statistics(generator: nn.Module, info: Mapping[str, Any]) -> None:
    """Put what `statistics_of` found into the buffers ``mean`` and ``scale`` (n_mels,) of a generator, where it fits."""
    for name in ("mean", "scale"):
        buffer, found = generator.get_buffer(name), info.get(f"mel_{name}", ())
        if len(found) == len(buffer):
            buffer.copy_(torch.tensor(found))
