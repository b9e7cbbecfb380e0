"""The fixture of a small registry of npm, and an empty cache."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the modules of this folder
from small_registry import Registry


@pytest.fixture
def registry(tmp_path, monkeypatch):
    from polygan_web import runtime

    npm = Registry()
    monkeypatch.setattr(runtime, "ADDRESS", npm.url)
    monkeypatch.setattr(runtime, "INTEGRITY", base64.b64encode(hashlib.sha512(npm.body).digest()).decode())
    monkeypatch.setattr(runtime, "FILES", {n: hashlib.sha256(data).hexdigest() for n, data in npm.files.items()})
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(runtime.PLACE, raising=False)
    yield npm
    npm.stop()
