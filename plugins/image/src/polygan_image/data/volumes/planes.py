"""Slices of volumes: arrays in canonical order (to the right, to the front, to the top of the body), and the way back to a file's order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The canonical axis along which slices of this name follow each other."""
_LETTERS = ("LR", "PA", "IS")


class Turn(NamedTuple):
    """How a file's axes lie in the body."""

    order: tuple[int, int, int]
    """The file's axis for each canonical axis."""
    flips: tuple[bool, bool, bool]
    """For each canonical axis, whether the file counts the other way."""

    @property
    def letters(self) -> str:
        """The direction in which each axis of the file counts, e.g. LPS: left, back (posterior), top (superior)."""
        found = [""] * 3
        for axis, (own, flip) in enumerate(zip(self.order, self.flips, strict=True)):
            found[own] = _LETTERS[axis][not flip]
        return "".join(found)

    def turned(self, values: Sequence[T]) -> tuple[T, T, T]:
        """Values of the file's three axes, in canonical order."""
        right, front, top = (values[axis] for axis in self.order)
        return right, front, top


def turn_of(affine: np.ndarray) -> Turn:
    """The turn of a file whose ``affine`` (4, 4) gives millimetres to the right, front and top.

    Each axis goes to the direction that it points to most, the clearest axis first.
    """
    length = np.linalg.norm(affine[:3, :3], axis=0)
    u, _, v = np.linalg.svd(affine[:3, :3] / np.where(length > 0, length, 1))
    turned = u @ v  # the nearest rotation: sheared axes then still get three different directions
    left, order, flips = np.abs(turned), [0, 0, 0], [False] * 3
    for _ in range(3):
        axis, own = np.unravel_index(int(left.argmax()), left.shape)
        order[axis], flips[axis] = int(own), bool(turned[axis, own] < 0)
        left[axis, :] = left[:, own] = -1
    return Turn((order[0], order[1], order[2]), (flips[0], flips[1], flips[2]))


def _flipped(values: np.ndarray, flips: Sequence[bool]) -> np.ndarray:
    return values[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]


def canonical(values: np.ndarray, turn: Turn) -> np.ndarray:
    """A view of a file's values (3 dimensions) in canonical order."""
    return _flipped(values.transpose(turn.order), turn.flips)


def as_filed(values: np.ndarray, turn: Turn) -> np.ndarray:
    """A view of canonical values in the order of the file: the way back from `canonical`."""
    return _flipped(values, turn.flips).transpose(np.argsort(turn.order))


def size_of(shape: Sequence[int], axis: int) -> tuple[int, int]:
    """(width, height) of the slices along an axis of a canonical array."""
    across, up = (n for i, n in enumerate(shape) if i != axis)
    return across, up


def picture(values: np.ndarray, axis: int, index: int) -> np.ndarray:
    """A view (H, W) of one slice of a canonical array: right, or front, on the right side; top, or front, above."""
    return values.take(index, axis)[:, ::-1].T


def put(values: np.ndarray, axis: int, index: int, found: np.ndarray) -> None:
    """Set a slice of a canonical array to the values (H, W) of its picture."""
    np.moveaxis(values, axis, 0)[index] = found.T[:, ::-1]
