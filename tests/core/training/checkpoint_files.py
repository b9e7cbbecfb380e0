"""Checkpoints to read back: tensors of every kind, equality to the bit, and damage."""

from __future__ import annotations

import math
import os

import torch

from polygan.training.checkpoint import Checkpoints

TENSORS = {
    "float": torch.randn(3, 4),
    "double": torch.randn(5, dtype=torch.float64),
    "half": torch.randn(7).half(),
    "bfloat": torch.randn(2, 3).bfloat16(),
    "long": torch.tensor([2**62 + 1, -5]),
    "byte": torch.arange(255, dtype=torch.uint8),
    "bool": torch.tensor([True, False, True]),
    "scalar": torch.tensor(3.25),
    "empty": torch.zeros(0, 4),
    "special": torch.tensor([math.nan, math.inf, -0.0]),
    "channels_last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    "transposed": torch.randn(4, 6).t(),
    "strided": torch.randn(10)[::3],
    "expanded": torch.randn(3, 1).expand(3, 4),
    "complex": torch.randn(3, dtype=torch.complex64).conj(),
    "large": torch.randn(3 << 20),
}
TENSORS["tied"] = TENSORS["float"]


def bits(tensor):
    return tensor.resolve_conj().contiguous().reshape(-1).view(torch.uint8)


def same(a, b):
    """Equal to the bit: types, keys, order of keys, tensors."""
    if isinstance(a, torch.Tensor):
        return (
            isinstance(b, torch.Tensor) and (a.dtype, a.shape) == (b.dtype, b.shape) and torch.equal(bits(a), bits(b))
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


def keep_one(folder, training, networks=None, step=1, **options):
    Checkpoints(folder).save(step, networks or {}, training, seed=0, good=True, **options)
    return Checkpoints(folder).load()


def truncate(path):
    file = path / "g.safetensors"
    os.truncate(file, file.stat().st_size - 7)


def flip(path, name, at):
    data = bytearray((path / name).read_bytes())
    data[at] ^= 1
    (path / name).write_bytes(data)


def two(folder):
    checkpoints = Checkpoints(folder)
    for step in (10, 20):
        state = {"w": torch.full((1000,), float(step))}
        checkpoints.save(step, {"g": state}, {"m": state["w"]}, seed=40, good=True)
    return folder / "step-00000020"
