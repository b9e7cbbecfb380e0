"""What trivial answers to given pictures, and a run's own other networks, get from scores that compare all pictures with all real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..classifier import measured_rows
from .compared import Compared

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from polygan import Evaluation

    from ..features import PictureFeatures

COPY, MATCHED = "copy of the given picture", "given picture in the colours of the other side"
_MOST = 32 * 2**20  # values of the given pictures
_LEAST = 1e-6  # of a variance: a channel that never changes gets no colour from it


def matched(image: Tensor, like: Tensor) -> Tensor:
    """Pictures (n, C, H, W) whose values have the mean and covariance of the values of ``like`` (m, C, H, W), clipped to [-1, 1].

    The linear map that moves the colours least (Pitié and Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping",
    eq. 9). All pictures get the same map.
    """
    columns, target = (x.double().transpose(0, 1).flatten(1) for x in (image, like))  # (C, pixels)
    before, after = (torch.atleast_2d(x.cov(correction=0)) for x in (columns, target))
    root, inverse = _power(before, 0.5), _power(before, -0.5)
    turn = inverse @ _power(root @ after @ root, 0.5) @ inverse
    centre = columns.mean(1)[:, None, None]
    moved = torch.einsum("ij,njhw->nihw", turn, image.double() - centre) + target.mean(1)[:, None, None]
    return moved.clamp(-1, 1).to(image.dtype)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of a symmetric matrix (C, C) without negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=_LEAST) ** exponent) @ vectors.T


def beside(seen: PictureFeatures, score: Callable[[Tensor], float], n: int) -> tuple[tuple[float, str] | None, str]:
    """The best trivial answer by a score of features (k, d), lower is better, and the other answers in words.

    Nothing where pictures are made from noise, or where there are fewer than ``n`` answers.
    """
    e = seen.evaluation
    if e.given(1) is None:
        return None, ""
    key = "image/trivial features", type(seen), seen.describe(), e.samples
    trivial = e.once(key, lambda: {name: seen.look(x)[0] for name, x in _trivial(e).items()})
    values = {name: score(x) for name, x in trivial.items() if len(x) >= n}
    best = min(values, key=lambda name: values[name]) if values else None
    others = {name: value for name, value in values.items() if name != best}
    if e.paired:
        others |= {name: score(seen.look(x)[0]) for name, x in Compared.of(e).variants.items() if len(x) >= n}
    return None if best is None else (values[best], best), "".join(f"; {name} {v:.4g}" for name, v in others.items())


def _trivial(e: Evaluation) -> dict[str, Tensor]:
    """Trivial answers by name: those of pairs, or the given pictures as they are and in other colours."""
    if e.paired:
        return dict(Compared.of(e).trivial)
    size = e.info["channels"] * e.info["height"] * e.info["width"]
    given = e.given(max(1, min(e.samples, _MOST // size)))
    if given is None or given.data.shape[1] != e.info["channels"]:
        return {}
    data = given.data.float().cpu()
    like = e.domain.real(e.train, measured_rows(e.train)[: len(data)]).data.float()
    return {COPY: data, MATCHED: matched(data, like)}
