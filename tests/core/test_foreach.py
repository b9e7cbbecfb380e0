"""Operations on many tensors: the same numbers with torch's private kernels and without them."""

from __future__ import annotations

import pytest
import torch

from polygan import foreach

CALLS = {
    "scale": lambda tensors, ends: foreach.scale(tensors, torch.tensor(0.3)),
    "lerp": lambda tensors, ends: foreach.lerp(tensors, ends, 0.7),
    "clamp": lambda tensors, ends: foreach.clamp(tensors, 0.4),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_numbers_do_not_depend_on_private_kernels(name, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    start, ends = ([torch.randn(s, generator=generator) for s in ((3, 4), (5,), ())] for _ in range(2))
    fast, plain = ([t.clone() for t in start] for _ in range(2))
    CALLS[name](fast, ends)
    for private in ("mul", "lerp", "clamp_min", "clamp_max"):
        monkeypatch.delattr(torch, f"_foreach_{private}_")
    CALLS[name](plain, ends)
    for a, b, before in zip(fast, plain, start, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, before) or name == "clamp"
    assert any(not torch.equal(a, before) for a, before in zip(fast, start, strict=True))
