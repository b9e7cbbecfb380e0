"""A folder of recordings, opened."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from recordings import DOMAIN

from polygan_audio.data.settings import AudioSettings


@pytest.fixture
def opened(tmp_path):
    def make(folder="data", **settings):
        options = AudioSettings(source=str(tmp_path / folder), cache=str(tmp_path / "cache"), **settings)
        return DOMAIN.open(options), options

    return make
