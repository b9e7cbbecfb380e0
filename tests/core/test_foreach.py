"""Operations on many tensors: the same numbers with torch's private kernels and without them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from polygan import foreach

ROOT = Path(__file__).parents[2]

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


def private_names(tree):
    """The private names of torch that a module reads or imports, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            path = ast.unparse(node)
            if (
                path.startswith(("torch.", "nn.", "dist."))
                and node.attr.startswith("_")
                and not node.attr.startswith("__")
            ):
                yield f"{node.lineno}: {path}"
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            names = [*node.module.split("."), *(a.name for a in node.names)]
            if any(name.startswith("_") for name in names):
                yield f"{node.lineno}: {node.module}"


def test_no_module_needs_a_private_name_of_torch():
    """These two look whether torch has the names, and do without."""
    guarded = {"foreach.py", "double_backward.py"}
    paths = [*ROOT.glob("core/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    found = {p.name: list(private_names(ast.parse(p.read_text("utf-8")))) for p in paths if p.name not in guarded}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert list(private_names(ast.parse("torch._x(1)\nfrom torch._C import a\nfrom torch import _b\ntorch.x"))) != []
