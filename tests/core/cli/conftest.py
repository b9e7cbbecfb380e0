"""A local plugin file with commands; the helper modules of this folder can be imported by its tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from polygan.plugins import set_catalogue

sys.path.insert(0, str(Path(__file__).parent))
from dreaming import DREAM


@pytest.fixture
def dreams(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "dreams.py"
    path.write_text(DREAM)
    yield path
    sys.modules.pop("dreams", None)
    set_catalogue(None)
