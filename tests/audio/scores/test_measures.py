"""Measures against numbers worked out by hand and by other libraries."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.fft
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_evaluations import RATE, SPEC, noisy, voice

from polygan import DataError
from polygan_audio.scores import measures


def test_mel_distance_of_a_louder_clip_is_the_logarithm_of_the_gain():
    clip = noisy(torch.zeros(8000), 0.1)  # far above the front end's floor in every band
    assert measures.mel_distance(SPEC, clip, 2 * clip) == pytest.approx(math.log(2), rel=1e-4)
    ten = replace(SPEC, log="log10")
    assert measures.mel_distance(ten, clip, 2 * clip) == pytest.approx(math.log(2), rel=1e-4)
    assert measures.mel_distance(SPEC, clip, clip) == 0


def test_stft_distance_of_a_louder_clip_worked_out():
    """|X| and 2 |X|: convergence 1, logarithms apart by ln 2, at every resolution."""
    clip = noisy(torch.zeros(8000), 0.3)
    assert measures.stft_distance(clip, 2 * clip) == pytest.approx(1 + math.log(2), rel=1e-4)
    assert measures.stft_distance(2 * clip, clip) == pytest.approx(0.5 + math.log(2), rel=1e-4)
    assert measures.stft_distance(clip, clip) == 0


def test_stft_distance_against_plain_fourier_transforms():
    a, b = (noisy(torch.zeros(4000), 0.2, seed).double().numpy() for seed in (1, 2))
    expected = []
    for n, hop, length in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        window = np.zeros(n)
        window[(n - length) // 2 :][:length] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        magnitudes = []
        for x in (a, b):
            x = np.pad(x, n // 2, mode="reflect")
            frames = np.stack([x[i : i + n] * window for i in range(0, len(x) - n + 1, hop)])
            magnitudes.append(np.sqrt(np.maximum(np.abs(np.fft.rfft(frames)) ** 2, 1e-7)))
        x, y = magnitudes
        expected.append(np.linalg.norm(x - y) / np.linalg.norm(x) + np.abs(np.log(x) - np.log(y)).mean())
    got = measures.stft_distance(torch.from_numpy(a).float(), torch.from_numpy(b).float())
    assert got == pytest.approx(np.mean(expected), rel=1e-4)


def test_cepstra_are_those_of_scipy():
    clip = voice(0.5)
    logs = SPEC(clip).double().numpy()  # natural already
    expected = scipy.fft.dct(logs, type=2, axis=0)[1:14] / SPEC.n_mels  # scipy's has a factor of 2
    assert np.allclose(measures.cepstra(SPEC, clip), expected, atol=1e-4)


def test_mel_cepstral_distortion_of_all_coefficients_is_the_difference_in_decibels():
    """Root mean square over bands of 20 log10 of the ratio, less its mean: what the definition stands for."""
    a, b = voice(0.5), noisy(voice(0.5), 0.05)
    levels = 20 / math.log(10) * (SPEC(a) - SPEC(b))
    expected = (levels - levels.mean(0)).square().mean(0).sqrt().mean()
    assert measures.mel_cepstral_distortion(SPEC, a, b, SPEC.n_mels - 1) == pytest.approx(float(expected), rel=1e-4)
    assert measures.mel_cepstral_distortion(SPEC, a, b) < 0.99 * float(expected)  # 13 of them see less
    loud = noisy(torch.zeros(8000), 0.1)
    assert measures.mel_cepstral_distortion(SPEC, loud, 2 * loud) == pytest.approx(0, abs=1e-3)  # loudness is not in it


def test_stoi_is_pystois_and_short_clips_have_none():
    pystoi = pytest.importorskip("pystoi")
    clip = voice(1.0)
    other = noisy(clip, 0.2)
    expected = pystoi.stoi(clip.double().numpy(), other.double().numpy(), RATE)
    assert measures.stoi(RATE, clip, other) == pytest.approx(expected, abs=1e-9)
    assert expected < measures.stoi(RATE, clip, clip) == pytest.approx(1, abs=1e-6)
    assert measures.stoi(RATE, clip[:4000], clip[:4000]) is None
    assert measures.stoi(RATE, torch.zeros(RATE), clip[:RATE]) is None


@pytest.mark.parametrize(("rate", "wanted", "mode"), [(8000, 8000, "nb"), (11_025, 8000, "nb"), (22_050, 16_000, "wb")])
def test_pesq_is_the_packages_at_the_rate_that_it_takes(rate, wanted, mode):
    import torchaudio.functional as AF

    package = pytest.importorskip("pesq")
    a = voice(1.0, rate=rate)
    b = noisy(a, 0.02)
    x, y = (AF.resample(c, rate, wanted).numpy() for c in (a, b))
    assert measures.pesq(rate, a, b) == pytest.approx(package.pesq(wanted, x, y, mode), abs=1e-6)
    assert measures.pesq(rate, a, a) == pytest.approx({"nb": 4.549, "wb": 4.644}[mode], abs=1e-3)


def test_what_pesq_refuses_has_no_score():
    pytest.importorskip("pesq")
    clip = voice(1.0)
    assert measures.pesq(RATE, clip, torch.zeros_like(clip)) is None
    assert measures.pesq(RATE, clip[:2000], clip[:2000]) is None
    with pytest.raises(DataError, match="8000 Hz or more, and the data has 7000 Hz"):
        measures.pesq(7000, clip, clip)


def test_dnsmos_looks_at_windows_and_takes_the_published_polynomials(monkeypatch):
    seen = []

    class Session:
        def run(self, _, inputs):
            seen.append(inputs["input_1"])
            assert inputs["input_1"].shape == (1, measures.WINDOW)
            return [np.array([[3.0, 4.0, 2.0]])]

    predict = measures.DNSMOS.__new__(measures.DNSMOS)
    predict._session = Session()
    got = predict(torch.arange(50_000.0))
    assert len(seen) == 1
    assert np.array_equal(seen[0][0, 50_000:100_000], np.arange(50_000))  # repeated
    expected = [
        -0.08397278 * 9 + 1.22083953 * 3 + 0.0052439,
        -0.13166888 * 16 + 1.60915514 * 4 - 0.39604546,
        -0.06766283 * 4 + 1.11546468 * 2 + 0.04602535,
    ]
    assert got == pytest.approx(expected)
    seen.clear()
    predict(torch.arange(float(measures.WINDOW)))
    assert len(seen) == 1
    seen.clear()
    predict(torch.arange(float(measures.WINDOW + 100_000)))
    assert [int(x[0, 0]) for x in seen] == [0, measures.WINDOW // 2, 100_000]


@pytest.mark.slow
def test_dnsmos_of_real_speech_is_the_packages(speech, monkeypatch):
    """Against speechmos' own code, whose import of librosa feeds only a score that is not asked for."""
    for package in ("speechmos", "onnxruntime"):
        pytest.importorskip(package)
    clips, _ = speech("activated")
    bands = SimpleNamespace(melspectrogram=lambda **_: np.zeros((120, 900)))
    monkeypatch.setitem(sys.modules, "librosa", SimpleNamespace(feature=bands, power_to_db=lambda x, **_: x))
    monkeypatch.setitem(sys.modules, "requests", SimpleNamespace(session=None))
    monkeypatch.delitem(sys.modules, "speechmos.dnsmos", raising=False)
    from speechmos import dnsmos

    window = np.tile(clips[0].numpy(), 10)[: measures.WINDOW]
    theirs = dnsmos.run(window, RATE)
    predict = measures.DNSMOS()
    clean = predict(clips[0])
    assert clean == pytest.approx([theirs["sig_mos"], theirs["bak_mos"], theirs["ovrl_mos"]], abs=1e-4)
    assert clean == pytest.approx([3.013, 3.879, 2.682], abs=2e-3)
    _, background, overall = predict(noisy(clips[0], 0.1))
    assert background < clean[1] - 1
    assert overall < clean[2] - 1
