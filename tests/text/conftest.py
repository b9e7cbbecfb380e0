"""A file of text, opened."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from text_files import DOMAIN

from polygan_text.data.settings import TextSettings


@pytest.fixture
def source(tmp_path):
    def make(content, name="lines.txt", **settings):
        path = tmp_path / name
        data = content if isinstance(content, bytes) else "\n".join(content).encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        options = TextSettings(source=str(path), cache=str(tmp_path / "cache"), **settings)
        return DOMAIN.open(options), options

    return make
