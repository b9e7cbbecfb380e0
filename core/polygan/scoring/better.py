"""Which of two values of a score is better: the lower, the higher, or the value nearer to the floor."""

from __future__ import annotations

NEAR = "near"
KINDS = ("lower", "higher", NEAR)
"""What `polygan.Score.better` may be."""


def cost(value: float, better: object, floor: float | None) -> float | None:
    """A number that is lower for a better value. None for a score that is best near a floor, where the floor is not known."""
    if better == NEAR:
        return None if floor is None else abs(value - floor)
    return -value if better == "higher" else value


def wanted(better: object) -> str:
    """What is better in words: ``lower``, ``higher`` or ``near the floor``. Logs may hold anything, which counts as ``lower``."""
    return "near the floor" if better == NEAR else "higher" if better == "higher" else "lower"
