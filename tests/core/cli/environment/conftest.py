"""Distributions that exist only as metadata."""

from __future__ import annotations

import importlib
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # dreaming


@pytest.fixture
def distributions(tmp_path, monkeypatch):
    """Make ``install(name, version, requires)``: metadata that importlib finds. The metadata of polygan's own projects is hidden."""
    root = tmp_path / "metadata"
    root.mkdir()
    of_name = metadata.Distribution.from_name.__func__

    def from_name(cls, name):
        here = list(metadata.distributions(name=name, path=[str(root)]))
        if here or name.startswith("polygan"):
            if not here:
                raise metadata.PackageNotFoundError(name)
            return here[0]
        return of_name(cls, name)

    monkeypatch.setattr(metadata.Distribution, "from_name", classmethod(from_name))

    def install(name, version="1.0", requires=()):
        folder = root / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        extras = dict.fromkeys(m[1] for text in requires if (m := re.search(r"extra == '(\w+)'", text)))
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {text}" for text in requires] + [f"Provides-Extra: {extra}" for extra in extras]
        (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        importlib.invalidate_caches()

    return install
