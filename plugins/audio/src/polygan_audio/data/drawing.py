"""Pictures of sound for reports: the waveform above its log-mel spectrogram, and the alignment of speech with its text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from ..networks.melspec import MelSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK = "#808890"  # readable on light and on dark pages
_WAVE = "#2f86c1"
_SIZE = (3.6, 1.9)  # inches
_ALIGNMENT = 1.0  # inches more for an alignment
_DPI = 150
_BANDS = 80
_COLUMNS = 480  # most columns of the mel picture
_RANGE = 8.0  # nats (70 dB) below the loudest that are told apart
_TICKS = (125, 250, 500, 1000, 2000, 4000, 8000, 16_000)  # Hz


def picture(waveform: np.ndarray, rate: int, alignment: np.ndarray | None = None) -> bytes:
    """A PNG, 540 pixels wide, of (T,) floats in [-1, 1]: the waveform, and 80 log-mel bands up to rate / 2 below it.

    ``alignment`` (frames, symbols) is drawn below both on the same axis of time, the first symbol at the bottom.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    seconds = max(len(waveform), 1) / rate
    shown = None if alignment is None or not alignment.size else alignment
    more = 0.0 if shown is None else _ALIGNMENT
    height = _SIZE[1] + more
    scale, raised = _SIZE[1] / height, more / height
    with style.context("default"):  # a user's own style may be of any size and colour
        figure = Figure(figsize=(_SIZE[0], height), dpi=_DPI, facecolor="none")
        canvas = FigureCanvasAgg(figure)
        upper = figure.add_axes((0.1, 0.7 * scale + raised, 0.89, 0.28 * scale))
        lower = figure.add_axes((0.1, 0.13 * scale + raised, 0.89, 0.55 * scale))
        low, high = _envelope(waveform, _COLUMNS)
        upper.fill_between(np.linspace(0, seconds, len(low)), low, high, color=_WAVE, linewidth=0.4)
        upper.set(xlim=(0, seconds), ylim=(-1, 1), xticks=[], yticks=[-1, 0, 1])
        spec = MelSpec(sample_rate=rate, n_mels=_BANDS, padding="center", hop_length=256)
        mel = _mel(waveform, spec)
        top = max(float(mel.max()), spec.silence + _RANGE)
        extent = (0, seconds, 0, _BANDS)
        lower.imshow(mel, "magma", aspect="auto", origin="lower", extent=extent, vmin=top - _RANGE, vmax=top)
        _frequencies(lower, spec)
        drawn = [upper, lower]
        if shown is not None:
            drawn.append(figure.add_axes((0.1, 0.02 * scale, 0.89, raised - 0.04 * scale)))
            _align(drawn[-1], shown, seconds)
        for axes in drawn:
            axes.tick_params(length=2, width=0.5, pad=2, labelsize=7, colors=_INK)
            axes.set_facecolor("none")
            for name, spine in axes.spines.items():
                spine.set_visible(name == "left")
                spine.set(color=_INK, linewidth=0.5)
        lower.xaxis.set_major_formatter(lambda x, _: f"{x:g} s" if x < 0.96 * seconds else "")
        canvas.draw()
    return _png(np.asarray(canvas.buffer_rgba()))


def _align(axes: Axes, alignment: np.ndarray, seconds: float) -> None:
    """The matrix (frames, symbols) over ``seconds``, with the numbers of symbols at the left."""
    from matplotlib.ticker import MaxNLocator

    shares = np.nan_to_num(alignment, nan=0, posinf=1, neginf=0).T  # (symbols, frames)
    extent = (0, seconds, 0, len(shares))
    axes.imshow(shares, "magma", aspect="auto", origin="lower", extent=extent, vmin=0, vmax=1)
    axes.set_xticks([])
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _envelope(waveform: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest sample of each column."""
    edges = np.linspace(0, len(waveform), min(columns, max(1, len(waveform))) + 1).astype(int)[:-1]
    if not len(waveform):
        return np.zeros(1), np.zeros(1)
    return np.minimum.reduceat(waveform, edges), np.maximum.reduceat(waveform, edges)


def _mel(waveform: np.ndarray, spec: MelSpec) -> np.ndarray:
    """(80, columns) log-mel; neighbouring frames are averaged to at most `_COLUMNS`."""
    clip = torch.from_numpy(np.ascontiguousarray(waveform, np.float32))
    clip = F.pad(clip, (0, max(0, spec.n_fft - len(clip))))
    mel = spec(clip)
    mel = mel[:, : max(1, len(waveform) // spec.hop_length)]
    return F.adaptive_avg_pool1d(mel, min(_COLUMNS, mel.shape[1])).numpy()


def _frequencies(axes: Axes, spec: MelSpec) -> None:
    """Ticks in kHz where their bands are."""
    centres = spec.filters().argmax(1).numpy() * spec.sample_rate / spec.n_fft  # (80,)
    shown = [f for f in _TICKS if f >= 500 and f < 0.95 * spec.top]
    axes.set_yticks(
        [float(np.interp(f, centres, np.arange(_BANDS))) + 0.5 for f in shown],
        [f"{f / 1000:g}k" for f in shown],
    )


def _png(pixels: np.ndarray) -> bytes:
    """(H, W, 4) uint8 as a PNG of 128 colours, a third of the size of one with all."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).quantize(128, Image.Quantize.FASTOCTREE).save(file, "PNG", optimize=True)
    return file.getvalue()
