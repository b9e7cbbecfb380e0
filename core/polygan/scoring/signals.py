"""Measurement of a run's health: how different the samples are, and whether the discriminator knows the training samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def collapse_signals(fake: Tensor, real: Tensor) -> dict[str, float]:
    """How different the samples are from each other, compared with real samples.

    ``fake`` and ``real`` are features (n, d); both are cut to the smaller n. ``nn_ratio`` is the median distance from a
    generated sample to its nearest other generated sample, divided by the same median of real samples: about 1 is healthy,
    near 0 is collapse. ``duplicates``, in [0, 1], is the share of generated samples whose nearest other generated sample is at
    most 1 % of the real median away. The result is empty for fewer than 4 samples, and where half of the real samples repeat
    another: such data has no usual distance to compare with.
    """
    n = min(len(fake), len(real))
    if n < 4:
        return {}
    nearest_fake, nearest_real = _nearest(fake[:n].float()), _nearest(real[:n].float())
    usual = nearest_real.median()
    if not usual > 1e-12:
        return {}
    return {
        "nn_ratio": (nearest_fake.median() / usual).item(),
        "duplicates": (nearest_fake <= 0.01 * usual).float().mean().item(),
    }


def _nearest(x: Tensor) -> Tensor:
    """(n,) distance of each row to its nearest other row."""
    import torch

    distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(math.inf)
    return distances.amin(1)


def overfitting_signal(train: Tensor, held_out: Tensor, fake: Tensor) -> dict[str, float]:
    """``held_out_gap``: where the discriminator puts held-out samples between training samples (0) and fakes (1), from logits (n,).

    r_v = (E[D(train)] - E[D(held out)]) / (E[D(train)] - E[D(fake)]) (Karras et al. 2020, eq. 1). Near 0 the discriminator
    treats unseen samples like training samples. Near 1 the discriminator has learned the training samples by heart. The result
    is empty while the discriminator cannot tell training samples from fakes.
    """
    t, h, f = (x.float().mean().item() for x in (train, held_out, fake))
    spread = (train.float().std() + fake.float().std()).item() / 2
    if not t - f > 0.1 * spread:
        return {}
    return {"held_out_gap": (t - h) / (t - f)}
