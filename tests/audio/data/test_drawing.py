"""Pictures of sound: small, of any sound, and of what is heard."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from polygan_audio.data import drawing


@pytest.mark.parametrize(
    ("frames", "rate"), [(160_000, 16_000), (1, 16_000), (0, 8000), (3000, 1000), (48_000, 48_000)]
)
def test_pictures_are_small_pngs_of_any_sound(frames, rate):
    png = drawing.picture(np.random.default_rng(0).normal(0, 0.1, frames).astype(np.float32), rate)
    assert Image.open(io.BytesIO(png)).size == (540, 285)
    assert len(png) < 80_000


def test_a_picture_shows_what_is_heard_and_when():
    rate, seconds = 16_000, 2.0
    time = np.arange(int(seconds * rate)) / rate
    tone = np.where(time < 1, 0.5 * np.sin(2 * np.pi * 3000 * time), 0).astype(np.float32)
    pixels = np.asarray(Image.open(io.BytesIO(drawing.picture(tone, rate))).convert("RGBA")).astype(int)
    mel = pixels[95:245, 60:530, :3].sum(2)  # brighter is louder
    left, right = mel[:, :210], mel[:, 260:]
    assert left.max() > 500
    assert right.max() < 150
    loudest = left.sum(1).argmax() / 150
    assert 0.1 < loudest < 0.45  # 3 kHz lies in the upper half of 80 bands up to 8 kHz


def test_a_user_s_own_style_changes_no_picture(monkeypatch):
    import matplotlib as mpl

    waveform = np.sin(np.arange(8000) * 0.1).astype(np.float32)
    before = drawing.picture(waveform, 16_000)
    monkeypatch.setitem(mpl.rcParams, "font.size", 30)
    monkeypatch.setitem(mpl.rcParams, "axes.grid", True)
    assert drawing.picture(waveform, 16_000) == before


def test_an_alignment_is_drawn_below_the_spectrogram():
    waveform = np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    diagonal = np.zeros((60, 30), np.float32)
    diagonal[np.arange(60), np.arange(60) // 2] = 1
    png = drawing.picture(waveform, 16_000, diagonal)
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)
    assert pixels.shape[:2] == (435, 540)
    assert len(png) < 80_000
    drawn = pixels[295:425, 60:530, :3].sum(2)
    heights = drawn.argmax(0)  # the brightest row of each column, from the top
    assert heights[20] > heights[235] > heights[450]  # the first symbol is at the bottom
    broken = np.full((5, 3), np.nan, np.float32)
    assert drawing.picture(waveform, 16_000, broken)
    assert drawing.picture(waveform, 16_000, np.zeros((0, 3))) == drawing.picture(waveform, 16_000)
