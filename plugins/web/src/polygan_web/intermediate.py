"""The directions of the intermediate latents w along which samples differ most, for the sliders of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.utils
import onnxruntime

from .directions import COUNT

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .graphs import Latents

_POINTS = 4_096
"""Latents whose w is looked at."""
_CLASSES = 16
"""Classes, evenly spread, whose w is looked at."""
_FAINT = 0.005
"""A direction with less of the whole variance than this is left out."""


def components(made_of: Latents) -> NDArray[np.float32]:
    """Principal components of w (at most `COUNT`, size of w), each one standard deviation long, the longest first; none where all w are equal.

    Härkönen et al. 2020 (GANSpace, arXiv:2004.02546). The means of classes are taken away, so that no direction leads from class to
    class. `polygan demo` moves samples along the same directions.
    """
    run, draw = _mapping(made_of), np.random.default_rng(0)
    groups = min(max(1, len(made_of.classes)), _CLASSES)
    centred = []
    for group in range(groups):
        count = max(2, _POINTS // groups)
        label = np.full(count, group * len(made_of.classes) // groups)
        w = run(draw.standard_normal((count, made_of.size), np.float32), label).astype(np.float64)
        centred.append(w - w.mean(0))
    points = np.concatenate(centred)
    _, scales, vectors = np.linalg.svd(points, full_matrices=False)
    values = scales**2
    kept = (values > _FAINT * values.sum()) & (values.sum() > 1e-12 * points.size)
    found = (vectors * scales[:, None] / (len(points) - 1) ** 0.5)[kept][:COUNT]
    signs = np.sign(found[np.arange(len(found)), np.abs(found).argmax(1)])
    return (found * signs[:, None]).astype(np.float32)


def _mapping(made_of: Latents) -> Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[Any]]:
    """From latents (n, size) and classes (n,) to w (n, size of w): the part of the graph that makes its output ``w``."""
    taken = [made_of.latents, *([made_of.label] if made_of.classes else [])]
    part = onnx.utils.Extractor(onnx.load_from_string(made_of.graph.data)).extract_model(taken, ["w"])
    session = onnxruntime.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda *given: np.asarray(session.run(["w"], dict(zip(taken, given, strict=False)))[0])
