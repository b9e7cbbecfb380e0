"""Measures between a recording and what was made of its mel: pure functions of two waveforms (T,) float32 in [-1, 1].

Most compare sample by sample or frame by frame, without alignment: both waveforms have one length, since a vocoder keeps the
time. Measures of speech that does not keep the time say so: the frames are aligned, or each waveform is measured by itself.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio.functional as AF

from polygan import DataError

from ..optional import need
from .warping import warped

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ..networks.melspec import MelSpec

    Single = Callable[[Tensor], float]
    """A measure of one clip (T,)."""

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""(n_fft, hop, window) in samples of the multi-resolution STFT distance."""
COEFFICIENTS = 13
"""Mel cepstra 1 to 13 make the mel-cepstral distortion; 0, the loudness, is left out."""
MOST_FRAMES = 4096
"""Of clips that are aligned: the memory grows with the product of both lengths."""
SILENCE = 40.0
"""Decibels below the loudest 20 ms of a clip; both ends of a clip that are quieter count as silence."""
FULL_SCALE = 0.999
"""Magnitude from which a sample counts as clipped."""
QUIETEST = 90.0
"""Decibels below full scale: quieter bands count as this quiet, since 16-bit samples hold no less."""
WINDOW = 144_160
"""Samples that DNSMOS sees at a time: 9.01 s at 16 kHz."""


def natural_mel(spec: MelSpec, waveform: Tensor) -> Tensor:
    """(T,) to the natural logarithm of mel magnitudes (n_mels, F), whatever the front end's base."""
    mel = spec(waveform)
    return mel if spec.log == "ln" else mel * math.log(10)


def mel_distance(spec: MelSpec, real: Tensor, other: Tensor) -> float:
    """Mean absolute difference of natural-log mels over bands and frames, in nats (8.7 dB)."""
    return float((natural_mel(spec, real) - natural_mel(spec, other)).abs().mean())


def stft_distance(real: Tensor, other: Tensor) -> float:
    """Multi-resolution STFT distance (Yamamoto et al. 2020, "Parallel WaveGAN", eq. 3-6), mean over `RESOLUTIONS`.

    Spectral convergence | |X| - |Y| |_F / | |X| |_F plus the mean of |ln |X| - ln |Y||, Hann windows, frames centred with
    reflected ends, squared magnitudes >= 1e-7. Needs more than 1024 samples.
    """
    total = 0.0
    for n_fft, hop, length in RESOLUTIONS:
        window = torch.hann_window(length)
        spectra = torch.stft(torch.stack([real, other]), n_fft, hop, length, window, return_complex=True)
        x, y = spectra.abs().square().clamp(min=1e-7).sqrt()
        total += float((x - y).norm() / x.norm() + (x.log() - y.log()).abs().mean())
    return total / len(RESOLUTIONS)


def cepstra(spec: MelSpec, waveform: Tensor, coefficients: int = COEFFICIENTS) -> Tensor:
    """Mel cepstra (coefficients, F): c_k = 2 / M sum_m ln S_m cos(pi k (m + 1/2) / M) for k = 1 ... of M bands S."""
    mel = natural_mel(spec, waveform)
    bands = mel.shape[0]
    k, m = torch.arange(1, min(coefficients, bands - 1) + 1)[:, None], torch.arange(bands)[None]
    return 2 / bands * torch.cos(math.pi * k * (m + 0.5) / bands) @ mel


def mel_cepstral_distortion(spec: MelSpec, real: Tensor, other: Tensor, coefficients: int = COEFFICIENTS) -> float:
    """Mean over frames of 10 / ln 10 sqrt(2 sum_k (c_k - c'_k)^2) in dB (Kubichek 1993), k = 1 ... 13; no time warping.

    With all M - 1 coefficients it is the root-mean-square difference over bands of levels in dB, each less its mean over
    the bands. It depends on the front end: compare it within one only.
    """
    gaps = cepstra(spec, real, coefficients) - cepstra(spec, other, coefficients)
    return float(10 / math.log(10) * (2 * gaps.square().sum(0)).sqrt().mean())


def warped_distortion(spec: MelSpec, real: Tensor, other: Tensor, coefficients: int = COEFFICIENTS) -> float | None:
    """`mel_cepstral_distortion` in dB of frames that dynamic time warping aligns (`warping.warped`); the lengths may differ.

    None for clips of more than 4,096 frames.
    """
    a, b = (cepstra(spec, clip, coefficients).T.double() for clip in (real, other))  # (F, 13)
    if max(len(a), len(b)) > MOST_FRAMES:
        return None
    gaps = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")  # equal frames are exactly 0 apart
    return warped((10 / math.log(10) * math.sqrt(2) * gaps).numpy())


def band_edges(rate: int) -> list[float]:
    """The edges of bands in Hz: 0, 125, and octaves from there to half the sample rate, where a last sliver joins its neighbour."""
    half, edges = rate / 2, [0.0]
    while (edge := 125 * 2 ** (len(edges) - 1)) * 1.1 < half:
        edges.append(edge)
    return [*edges, half]


def band_levels(rate: int, waveform: Tensor) -> Tensor:
    """(T,) to the mean power in each band of `band_edges` in dB of full scale, (bands,), at least -`QUIETEST`.

    The mean is taken off first. Frames of 2,048 samples under a Hann window, four to a window; a shorter clip ends in silence.
    """
    size = 2048
    waveform = F.pad(waveform - waveform.mean(), (0, max(0, size - len(waveform))))
    window, bins = torch.hann_window(size), torch.arange(size // 2 + 1) * rate / size
    spectrum = torch.stft(waveform, size, size // 4, size, window, center=False, return_complex=True)
    power = spectrum.abs().square().mean(1) * 2 / (size * window.square().sum())  # (bins,)
    where = torch.bucketize(bins, torch.tensor(band_edges(rate)[1:-1]), right=True)
    total = torch.zeros(len(band_edges(rate)) - 1).index_add_(0, where, power)
    return 10 * total.clamp(min=10 ** (-QUIETEST / 10)).log10()


def trimmed(rate: int, waveform: Tensor) -> Tensor:
    """(T,) without silence at both ends: from the first to the last frame of 20 ms, every 10 ms, that is within `SILENCE`.

    Empty for a clip of silence alone.
    """
    size, hop = max(1, rate // 50), max(1, rate // 100)
    power = F.pad(waveform, (0, size)).unfold(0, size, hop).square().mean(1)  # (frames,)
    loud = (power > power.max() * 10 ** (-SILENCE / 10)).nonzero()[:, 0]
    return waveform[int(loud[0]) * hop : int(loud[-1]) * hop + size] if len(loud) else waveform[:0]


def log_duration(rate: int, real: Tensor, other: Tensor) -> float | None:
    """ln(T' / T) of the lengths of ``other`` and ``real`` without silence at their ends; None where one is silence alone."""
    a, b = (len(trimmed(rate, clip)) for clip in (real, other))
    return math.log(b / a) if a and b else None


def curvature(spec: MelSpec, waveform: Tensor) -> float | None:
    """Mean of |m_(b-1) - 2 m_b + m_(b+1)| over bands b and frames of a natural-log mel m, in nats, without silence at the ends.

    Formants and harmonics bend a spectrum from band to band; a mean over several ways to speak is smoother. None for silence.
    """
    clip = trimmed(spec.sample_rate, waveform)
    if not len(clip):
        return None
    mel = natural_mel(spec, F.pad(clip, (0, max(0, spec.pad + 1 - len(clip)))))
    return float((mel[:-2] - 2 * mel[1:-1] + mel[2:]).abs().mean())


def resampled(waveform: Tensor, rate: int, wanted: int) -> Tensor:
    """(T,) at ``rate`` Hz to (T * wanted / rate,) at ``wanted`` Hz."""
    return AF.resample(waveform, rate, wanted) if rate != wanted else waveform


def stoi(rate: int, real: Tensor, other: Tensor) -> float | None:
    """Short-time objective intelligibility (Taal et al. 2011), up to 1, by pystoi at 10 kHz.

    None for clips with less than 30 frames (about 0.4 s) within 40 dB of the loudest. ConfigError without pystoi.
    """
    measure = need("pystoi", "metrics", "audio/stoi").stoi
    if not real.any():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(measure(real.double().numpy(), other.double().numpy(), rate))
        except RuntimeWarning:  # pystoi warns, and returns 1e-5 in place of a score
            return None


def pesq_band(rate: int) -> tuple[int, str]:
    """The rate in Hz and the mode (``wb``, ``nb``) of PESQ for data of ``rate`` Hz. DataError below 8000 Hz."""
    if rate < 8000:
        raise DataError(f"audio/pesq is defined for speech of 8000 Hz or more, and the data has {rate} Hz")
    return (16_000, "wb") if rate >= 16_000 else (8000, "nb")


def pesq(rate: int, real: Tensor, other: Tensor) -> float | None:
    """Perceptual quality as a mean opinion score by the package pesq: wide band (ITU-T P.862.2, up to 4.64) from 16 kHz on,
    else narrow band (P.862.1, up to 4.55).

    None for what PESQ refuses: no utterance found, less than a quarter of a second. ConfigError without pesq.
    """
    package = need("pesq", "metrics", "audio/pesq")
    wanted, mode = pesq_band(rate)
    a, b = (resampled(clip, rate, wanted).numpy() for clip in (real, other))
    if not a.any() or not b.any():
        return None
    try:
        value = float(package.pesq(wanted, a, b, mode))
    except package.PesqError:
        return None
    return value if math.isfinite(value) else None


class DNSMOS:
    """Predicted mean opinion scores of the ITU-T P.835 test (Reddy et al. 2022, "DNSMOS P.835", arXiv:2110.01763).

    The network and the polynomials are those of the package speechmos. That package's own code is left aside: importing it
    takes librosa and requests, which a network on raw samples does not need.
    """

    names = ("sig", "bak", "ovrl")
    _FITS = (
        (-0.08397278, 1.22083953, 0.0052439),
        (-0.13166888, 1.60915514, -0.39604546),
        (-0.06766283, 1.11546468, 0.04602535),
    )

    def __init__(self) -> None:
        """ConfigError without speechmos or onnxruntime."""
        from importlib.resources import files

        runtime = need("onnxruntime", "mos", "audio/dnsmos")
        place = files(need("speechmos", "mos", "audio/dnsmos")) / "dnsmos_models" / "sig_bak_ovr.onnx"
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._session = runtime.InferenceSession(place.read_bytes(), options, providers=["CPUExecutionProvider"])

    def __call__(self, waveform: Tensor) -> np.ndarray:
        """(T,) at 16 kHz to (3,): quality of the speech, of the background, and overall, 1 to 5.

        A clip shorter than 9.01 s is repeated until it fills a window. A longer one is looked at every half window and
        at its end (the package: every second), and the mean is taken.
        """
        samples = waveform.numpy().astype(np.float32)
        samples = np.tile(samples, -(-WINDOW // len(samples))) if len(samples) < WINDOW else samples
        last = len(samples) - WINDOW if len(waveform) >= WINDOW else 0
        starts = sorted({*range(0, last, WINDOW // 2), last})
        raw = [self._session.run(None, {"input_1": samples[None, s : s + WINDOW]})[0][0] for s in starts]
        return np.mean([[np.polyval(fit, x) for fit, x in zip(self._FITS, row, strict=True)] for row in raw], axis=0)
