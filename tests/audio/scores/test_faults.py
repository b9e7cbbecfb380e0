"""Scores that say in words what is wrong: worse than no training, missing bands, an offset, clipping."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_evaluations import RATE, Speaker, Vocoder, by_name, evaluation, noisy, voice

from polygan import DataError
from polygan.scoring.health import describe
from polygan_audio.networks.griffinlim import griffin_lim
from polygan_audio.networks.melspec import resolve
from polygan_audio.scores import faults, measures, metrics, rows


def drums(rate=44_100, n=2):
    """Bursts of noise that fall within 50 ms, over a decaying tone at 80 Hz."""
    t = torch.arange(rate // 2) / rate
    beat = t % 0.25
    tone = 0.3 * torch.sin(2 * torch.pi * 80 * t) * (-beat / 0.1).exp()
    noise = [torch.randn(rate // 2, generator=torch.Generator().manual_seed(i)) for i in range(n)]
    return [tone + 0.05 * x * (-beat / 0.05).exp() for x in noise]


def without(rate, low, high=None):
    """A vocoder that loses the frequencies between two, in Hz."""

    def fault(clip):
        spectrum = torch.fft.rfft(clip)
        hertz = torch.arange(len(spectrum)) * rate / len(clip)
        lost = (hertz >= low) & (hertz < (high or rate))
        return torch.fft.irfft(spectrum * ~lost, len(clip))

    return fault


def buzz(clip):
    """A pulse at each hop, as loud as the voice: what a vocoder without phases makes."""
    pulses = torch.zeros_like(clip)
    pulses[::256] = 1.0
    loud = torch.nn.functional.avg_pool1d(clip.square()[None], 513, 1, 256)[0].sqrt()
    return 10 * pulses * loud


def health(*scores):
    """What the report says of a run with these scores."""
    records = [
        {"event": "logged", "step": 9, "values": {"d/accuracy": 0.7, "d/r_t": 0.1}},
        {"event": "evaluated", "step": 9, "scores": [asdict(s) for s in scores]},
    ]
    return {finding.title: finding for finding in describe(records)}


def test_a_buzz_is_called_worse_than_griffin_lim_and_has_no_tick():
    for package in ("pystoi", "pesq"):
        pytest.importorskip(package)
    e = evaluation(buzz)
    found = [*metrics.stoi(e), *metrics.pesq(e)]
    for name in ("audio/stoi", "audio/pesq"):
        assert "is worse than Griffin-Lim from the same mels, which needs no training (" in by_name(found)[name].trouble
        assert by_name(found)[f"{name}-of-griffin-lim"].trouble == ""
    said = health(*found)
    assert "No sign of trouble" not in said
    assert "good" not in {finding.level for finding in said.values()}
    words = said["The scores find faults in the samples"].text
    assert "Audio/stoi at step 9: " in words
    assert "Audio/pesq at step 9: " in words


def test_a_good_vocoder_is_not_blamed():
    e = evaluation(lambda clip: noisy(clip, 1e-4))
    found = [s for metric in (metrics.mel_distance, faults.bands, faults.offset, faults.clipping) for s in metric(e)]
    assert {s.trouble for s in found} == {""}
    assert "No sign of trouble" in health(*found)


class Trained(Vocoder):
    """A network that already made the recordings again before training."""

    start = staticmethod(lambda clip: noisy(clip, 1e-4))


def test_a_network_that_training_made_worse_is_named():
    found = by_name(metrics.mel_distance(evaluation(lambda clip: noisy(clip, 1e-3), recipe=Trained)))
    assert " than the untrained networks (" in found["audio/mel-distance"].trouble
    assert found["audio/mel-distance-of-start"].value < found["audio/mel-distance"].value


def test_drums_without_high_frequencies_are_named_where_mel_distance_is_blind():
    clips, rate = drums(), 44_100
    mel = resolve("hifigan", rate)  # up to 8 kHz
    e = evaluation(without(rate, 8000), clips=clips, rate=rate, mel=mel)
    assert metrics.mel_distance(e)[0].value < 0.1
    found = faults.bands(e)
    names = by_name(found)
    assert "bands are nearly missing: from 8,000 to 22,050 Hz up to " in found[0].trouble
    assert names["audio/bands-4000-8000"].value == pytest.approx(0, abs=1)
    assert names["audio/bands-8000-16000"].value < -20
    assert names["audio/bands-16000-22050"].value < -20
    assert (names["audio/bands-8000-16000"].better, names["audio/bands-8000-16000"].floor) == ("near", 0.0)
    assert "No sign of trouble" not in health(*found)
    whole = evaluation(lambda clip: clip, clips=clips, rate=rate, mel=resolve("bigvgan_44k", rate))
    assert (faults.bands(whole)[0].value, faults.bands(whole)[0].trouble) == (0.0, "")


def test_griffin_lim_of_a_mel_up_to_half_the_rate_has_the_highest_bands():
    """And of a mel up to 8 kHz it has not."""
    clip, rate = drums(n=1)[0], 44_100
    levels = {}
    for preset in ("hifigan", "bigvgan_44k"):
        spec = resolve(preset, rate)
        made = griffin_lim(spec, spec(clip), len(clip))
        levels[preset] = (measures.band_levels(rate, made) - measures.band_levels(rate, clip))[-2:]
    assert (levels["hifigan"] < -20).all()
    assert (levels["bigvgan_44k"].abs() < 4).all()


def test_a_band_that_is_too_loud_is_named_and_one_that_nobody_hears_is_not():
    hum = 0.1 * torch.sin(2 * torch.pi * 50 * torch.arange(24_000) / RATE)
    (first, *_) = faults.bands(evaluation(lambda clip: clip + hum))
    assert "bands are far too loud: from 0 to 125 Hz up to " in first.trouble
    clips = [without(RATE, 4000)(voice(seed=i)) + 1e-5 * torch.randn(24_000) for i in range(2)]
    (first, *_) = faults.bands(evaluation(without(RATE, 4000), clips=clips))
    assert first.trouble == ""


def test_an_offset_and_clipping_are_named():
    found = faults.offset(evaluation(lambda clip: clip + 0.05))[0]
    assert found.value == pytest.approx(0.05, abs=2e-3)
    assert found.trouble.startswith("a constant offset (0.05; recordings: ")
    found = faults.clipping(evaluation(lambda clip: 3 * clip))[0]
    assert found.value > 0.01
    assert found.trouble.startswith("samples are clipped at full scale (")
    loud = [3 * voice(seed=i).clamp(-1 / 3, 1 / 3) for i in range(2)]
    found = faults.clipping(evaluation(clips=loud))[0]  # the recordings are clipped too
    assert found.value == found.floor > 0
    assert found.trouble == ""


def test_levels_of_bands_are_those_of_tones_and_noise():
    edges = measures.band_edges(44_100)
    assert edges == [0, 125, 250, 500, 1000, 2000, 4000, 8000, 16_000, 22_050]
    assert measures.band_edges(16_500)[-2:] == [4000, 8250]  # no sliver of 250 Hz
    t = torch.arange(44_100) / 44_100
    tone = 0.5 * torch.sin(2 * torch.pi * 3000 * t) + 0.2
    levels = measures.band_levels(44_100, tone)
    assert levels[5] == pytest.approx(10 * np.log10(0.125), abs=0.1)
    assert (levels[:4] < -80).all()  # the mean is left out
    noise = 0.1 * torch.randn(44_100, generator=torch.Generator().manual_seed(0))
    levels = measures.band_levels(44_100, noise)
    widths = np.diff(edges)
    np.testing.assert_allclose(levels, 10 * np.log10(0.01 * widths / widths.sum()), atol=1.5)


def test_worse_means_beyond_chance_and_by_a_share():
    better = {"griffin-lim": [1.0, 1.1, 0.9, 1.0]}
    assert rows.behind([1.5, 1.6, 1.4, 1.5], better, "lower").startswith("1.5 is worse than Griffin-Lim")
    assert rows.behind([1.005, 1.105, 0.905, 1.005], better, "lower") == ""  # half a percent
    assert rows.behind([3.0, 0.1, 0.2, 1.5], better, "lower") == ""  # by one clip
    assert rows.behind([1.5, 1.6, 1.4, 1.5], better, "higher") == ""
    assert rows.behind([0.5, None, 0.4, 0.5], better, "higher").startswith("0.467 is worse")
    assert rows.behind([None], {"start": [1.0]}, "lower") == ""


@pytest.mark.parametrize("metric", [faults.bands, faults.offset, faults.clipping])
def test_speech_from_text_is_left_out(metric):
    with pytest.raises(DataError, match="does not keep the time"):
        metric(evaluation(recipe=Speaker, text=["One.", "Two."]))
