"""Vocos' generator: what it starts from, what it sees, and how far."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from polygan_audio.networks import vocos as vocos_networks
from polygan_audio.networks.convolutions import fold
from polygan_audio.networks.melspec import PRESETS, MelSpec

SMALL_MEL = MelSpec(sample_rate=16_000, n_fft=64, win_length=64, hop_length=16, n_mels=8)


def loud(network, std=0.5):
    """Weights large enough that what is left out would show."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0.0, std)
    return network.double().eval()


def count(network):
    return sum(p.numel() for p in fold(network).parameters())


def test_context_is_what_a_change_reaches_through_iterations():
    """No gradient goes through them."""
    network = vocos_networks.Generator(SMALL_MEL, 8, 16, 2, prior="griffin-lim", iterations=2)
    network, middle, hop = loud(network, 0.3), 30, SMALL_MEL.hop_length
    given = torch.randn(1, 8, 61, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    changed = given.repeat(61, 1, 1)
    changed[range(61), :, range(61)] += 0.5
    with torch.no_grad():
        gaps = (network(changed) - network(given.repeat(61, 1, 1)))[:, middle * hop : (middle + 1) * hop].abs().amax(1)
    reached = gaps.nonzero().flatten()
    assert max(middle - int(reached.min()), int(reached.max()) - middle) == network.context() < middle


@pytest.mark.parametrize("log", ["ln", "log10"])
def test_magnitudes_begin_at_the_pseudo_inverse(log):
    mel = dataclasses.replace(SMALL_MEL, log=log)
    network = vocos_networks.Generator(mel, 8, 16, 2).double()
    torch.nn.init.zeros_(network.head.weight)
    filters = mel.filters().double()
    found = filters.T @ torch.rand(mel.n_mels, 5, dtype=torch.float64)  # what filters can tell apart is found exactly
    bands = torch.cat([filters @ found, 0.01 * torch.rand(mel.n_mels, 5, dtype=torch.float64)], 1)
    least = torch.linalg.lstsq(filters, bands, driver="gelsd").solution[:, 5:]  # of least norm: the pseudo-inverse's
    assert least.min() < -0.01
    wanted = torch.cat([found, least.abs()], 1).clamp(min=1e-5)
    with torch.no_grad():
        real, imaginary = network.spectra((bands.log() if log == "ln" else bands.log10())[None])[0].unbind(-1)
    torch.testing.assert_close(real.T, wanted, atol=1e-5, rtol=1e-5)
    assert not imaginary.any()
    plain = vocos_networks.Generator(mel, 8, 16, 2, prior="none").double()
    torch.nn.init.zeros_(plain.head.weight)
    with torch.no_grad():
        assert torch.equal(plain.spectra(bands.log()[None])[..., 0], torch.ones(1, 10, mel.n_fft // 2 + 1).double())


def uncorrected(mel, iterations):
    """A generator of that prior whose network corrects nothing."""
    network = vocos_networks.Generator(mel, 8, 16, 2, prior="griffin-lim", iterations=iterations).double().eval()
    nn.init.zeros_(network.head.weight)
    return network


@pytest.mark.parametrize(
    "changes", [{}, {"padding": "center"}, {"win_length": 50}, {"hop_length": 24}, {"log": "log10"}], ids=str
)
def test_what_the_network_corrects_is_what_the_fast_griffin_lim_algorithm_finds(changes):
    """Against the algorithm written frame by frame on complex numbers (Perraudin et al. 2013, algorithm 2)."""
    mel = dataclasses.replace(SMALL_MEL, **changes)
    count, n, hop = 9, mel.n_fft, mel.hop_length
    bands = 0.001 + 0.01 * torch.rand(count, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    filters = mel.filters().double()
    magnitudes = (bands @ torch.linalg.pinv(filters).float().double().T).abs().clamp(min=1e-5)
    for _ in range(10):  # Lee and Seung 2001, eq. 4
        magnitudes = magnitudes * (bands @ filters) / (magnitudes @ filters.T @ filters).clamp(min=1e-10)
    magnitudes = magnitudes.clamp(min=1e-5)
    spare, length = n - mel.win_length, (count - 1) * hop + n
    window = F.pad(torch.hann_window(mel.win_length, dtype=torch.float64), (spare // 2, spare - spare // 2))
    places = [slice(i * hop, i * hop + n) for i in range(count)]

    def synthesise(spectra):
        sound, weight = torch.zeros(2, length, dtype=torch.float64)
        for place, frame in zip(places, torch.fft.irfft(spectra, n), strict=True):
            sound[place] += window * frame
            weight[place] += window.square()
        return sound / weight.clamp(min=1e-8)

    bins = torch.arange(n // 2 + 1, dtype=torch.float64)
    phases = torch.polar(torch.ones_like(bins), math.pi * (bins.square() / n + bins / 2))
    last = None
    for _ in range(3):
        sound = synthesise(magnitudes * phases)
        found = torch.stack([torch.fft.rfft(window * sound[place]) for place in places])
        ahead = found if last is None else found + 0.99 * (found - last)
        last, phases = found, ahead / ahead.abs()
    wanted = F.pad(synthesise(magnitudes * phases), (0, hop))[mel.pad : mel.pad + count * hop]
    given = (bands.log10() if mel.log == "log10" else bands.log()).T[None]
    with torch.no_grad():
        got = uncorrected(mel, 3)(given)[0]
    torch.testing.assert_close(got, wanted, atol=1e-9, rtol=1e-9)
    assert wanted.std() > 1e-3


def test_the_network_sees_how_phases_advance():
    """Those of a tone keep to its bin's frequency from frame to frame, and turn by half from bin to bin."""
    mel, bin = PRESETS["hifigan"], 50
    tone = 0.3 * torch.cos(2 * math.pi * bin / mel.n_fft * torch.arange(25_600) + 1)
    _, unit, seen = uncorrected(mel, 32)._griffin_lim(mel(tone).double()[None])
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones_like(unit[..., 0]))
    kept, across, along = seen[0, 20:80].split([513, 1026, 1026], 1)
    real, imaginary = along.unflatten(1, (513, 2))[:, bin].unbind(1)
    assert real.median() > 0.95
    assert imaginary.abs().median() < 0.3
    assert across.unflatten(1, (513, 2))[:, bin, 0].median() < -0.95
    assert kept[:, bin].abs().median() < 0.1
    assert 0.5 < kept.abs().max() <= 3


def test_iterations_are_finer_outside_of_training():
    """In training float32 is enough; elsewhere a sound must not depend on what else is computed beside it."""
    network = uncorrected(PRESETS["hifigan"], 32).float()
    mel = PRESETS["hifigan"](0.1 * torch.randn(20_000, generator=torch.Generator().manual_seed(0)))[None]
    with torch.no_grad():
        sound, double = network(mel), network.double()(mel.double())
        rough = network.float().train()(mel)
    assert sound.dtype == rough.dtype == torch.float32
    assert (sound - double).abs().max() < 1e-5 * double.abs().max()
    assert (rough - double).abs().max() > 1e-3 * double.abs().max()
