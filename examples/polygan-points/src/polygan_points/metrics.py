"""How many of the known modes are covered (Srivastava et al. 2017, VEEGAN, section 5.1)."""

from __future__ import annotations

import torch

import polygan


def covered(points: torch.Tensor, modes: torch.Tensor, deviation: float) -> tuple[int, float]:
    """Modes (m, 2) with a point (n, 2) within three standard deviations, and the share of points near any, [0, 1]."""
    distance, nearest = torch.cdist(points, modes).min(1)
    near = distance <= 3 * deviation
    return int(nearest[near].unique().numel()), float(near.float().mean())


def modes(evaluation: polygan.Evaluation) -> list[polygan.Score]:
    """Covered modes and good samples of ``evaluation.samples``, beside what held-out points get."""
    if not evaluation.info["modes"]:
        raise polygan.DataError("points/modes needs data with known modes: ring or grid")
    centres, deviation = torch.tensor(evaluation.info["modes"]), evaluation.info["deviation"]
    fakes = evaluation.generate(evaluation.samples, evaluation.seed).data
    real = evaluation.domain.real(evaluation.held_out, evaluation.held_out.rows).data
    (count, share), (most, real_share) = (covered(x, centres, deviation) for x in (fakes, real))
    return [
        polygan.Score("points/modes", count, most, "higher", f"of {len(centres)}"),
        polygan.Score("points/good", share, real_share, "higher", "within three standard deviations of a mode"),
    ]
