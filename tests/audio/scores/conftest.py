"""What the tests of scores share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def speech(shared_data):
    """Gives recordings of a woman's voice by name, and their texts."""
    soundfile = pytest.importorskip("soundfile")
    folder = shared_data("speech-en")
    texts = dict(line.split("|", 1) for line in (folder / "metadata.csv").read_text("utf-8").splitlines())

    def read(*names):
        clips = [torch.from_numpy(soundfile.read(folder / "wavs" / f"{n}.flac", dtype="float32")[0]) for n in names]
        return clips, [texts[n] for n in names]

    return read
