"""The toys as the plugins of the process, and an empty working folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))  # toy_runs and the toys are modules of this folder


@pytest.fixture
def toys(tmp_path, monkeypatch):
    from polygan.plugins import load_catalogue, set_catalogue

    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=[TESTS / "toy_gan.py"]))
    yield
    set_catalogue(None)
