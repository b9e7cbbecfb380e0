"""The set of made-up tones: what its seed decides, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polygan import ConfigError, DataError
from polygan.data import Split, build_store
from polygan_audio.data.datasets import tones
from polygan_audio.data.domain import AudioDomain
from polygan_audio.data.settings import TonesSettings

DOMAIN = AudioDomain()


def tone_store(**settings):
    options = TonesSettings(source="tones", **settings)
    source = tones(options)
    return source, build_store(source, options, progress=False)


def test_tones_are_a_function_of_seed_and_index():
    source, store = tone_store(size=12)
    again, other = tones(TonesSettings(size=20)), tones(TonesSettings(size=12, tones_seed=1))
    assert len(store) == 12
    assert store.info["sample_rate"] == 16_000
    for i in (0, 7, 11):
        waveform = source.decode(i)["waveform"]
        np.testing.assert_array_equal(waveform, store.item("waveform", i))
        np.testing.assert_array_equal(waveform, again.decode(i)["waveform"])
        assert waveform.shape != other.decode(i)["waveform"].shape
    assert source.fingerprint() != other.fingerprint() != again.fingerprint()


@pytest.mark.parametrize("rate", [8000, 22_050])
def test_tones_last_one_to_two_seconds_at_any_rate(rate):
    source, store = tone_store(size=40, sample_rate=rate)
    assert not store.bad
    lengths = np.array([len(store.item("waveform", i)) for i in range(40)])
    assert source.info["seconds"] == pytest.approx(lengths.sum() / rate, abs=1e-3)
    assert rate <= lengths.min() < lengths.max() <= 2 * rate
    peaks = [np.abs(store.item("waveform", i)).max() / 32768 for i in range(40)]
    assert 0.29 < min(peaks) < max(peaks) < 0.91


def test_tones_differ_in_kind():
    _, store = tone_store(size=60)
    samples = DOMAIN.real(Split(store, np.arange(60), "train"), np.arange(60))
    distances = torch.pdist(DOMAIN.features(samples))
    assert distances.min() > 0.05
    # Noisy clicks and clear notes: the flatness of the spectrum spans more than 20 dB.
    spectra = [torch.fft.rfft(w).abs().square() + 1e-9 for w in samples.data]
    flatness = torch.stack([s.log().mean() - s.mean().log() for s in spectra]) * 10 / np.log(10)
    assert flatness.max() - flatness.min() > 20


def test_tones_too_short_for_a_segment_are_counted():
    source, _ = tone_store(size=30, segment=24_000, short="drop")
    assert source.info["short"] == f"{30 - len(source)} dropped"
    assert 0 < len(source) < 30
    assert all(len(source.decode(i)["waveform"]) >= 24_000 for i in range(len(source)))
    with pytest.raises(DataError, match=r"every clip .* is shorter than a segment of 40000 samples"):
        tones(TonesSettings(source="tones", segment=40_000, short="drop"))
    with pytest.raises(ConfigError, match=r"data\.mels = 'x' is for recordings; the set tones has none"):
        tones(TonesSettings(source="tones", mels="x"))
