"""Broken contracts: the error, its words, and the comparison of two values."""

from __future__ import annotations

import numpy as np
import torch


class ContractError(AssertionError):
    """A plugin breaks a rule of the protocol. The message names the rule and the place, and shows expected and found values."""


def broken(where: str, contract: str, expected: object, found: object) -> ContractError:
    """The error about a broken contract, in one line."""
    return ContractError(" ".join(f"{where}: {contract}; expected {expected}, found {found}".split()))


def difference(a: object, b: object, tolerance: float = 0.0) -> tuple[str, str, str] | None:
    """Where two values differ, as (place, value of a, value of b); None if they are equal.

    Tensors, arrays, lists and mappings are compared entry by entry: to the bit, or within ``tolerance`` (absolute).
    """
    if isinstance(a, (torch.Tensor, np.ndarray)) and isinstance(b, (torch.Tensor, np.ndarray)):
        return _first(torch.as_tensor(a).detach().cpu(), torch.as_tensor(b).detach().cpu(), tolerance)
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return "", f"the names {', '.join(map(str, a))}", f"the names {', '.join(map(str, b))}"
        parts = ((f".{k}", a[k], b[k]) for k in a)
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and a.__class__ is b.__class__:
        if len(a) != len(b):
            return "", f"{len(a)} entries", f"{len(b)} entries"
        parts = ((f"[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b, strict=True)))
    else:
        return None if type(a) is type(b) and a == b else ("", repr(a), repr(b))
    for place, x, y in parts:
        if found := difference(x, y, tolerance):
            return place + found[0], *found[1:]
    return None


def _first(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> tuple[str, str, str] | None:
    """The entry where two tensors differ most."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return "", f"{a.dtype} {tuple(a.shape)}", f"{b.dtype} {tuple(b.shape)}"
    if a.numel() == 0 or torch.equal(a, b):
        return None
    gap = (a.double() - b.double()).abs()
    gap = torch.where(a.isnan() & b.isnan(), 0.0, gap.nan_to_num(nan=float("inf")))
    if float(gap.max()) <= tolerance:
        return None
    at = np.unravel_index(int(gap.argmax()), a.shape) if a.dim() else ()
    return f"[{', '.join(map(str, map(int, at)))}]" if at else "", repr(a[at].item()), repr(b[at].item())
