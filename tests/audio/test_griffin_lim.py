"""Griffin-Lim as a recipe: a run without training, to hear and to score."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_vocoders import INFO, small_vocos, trainer, waveforms

from polygan import ConfigError, Samples, make_samples
from polygan_audio.data.domain import AudioDomain
from polygan_audio.griffin_lim import Config, GriffinLim
from polygan_audio.networks.griffinlim import FEW_UPDATES, griffin_lim
from polygan_audio.scores import measures


def recipe(info=INFO, **options):
    return GriffinLim(Config(**{"n_fft": 512, "hop_length": 128, **options}), info)


def test_it_makes_what_stands_beside_every_score():
    """The same algorithm from other first phases: as near to the recording."""
    made = recipe()
    clip = waveforms(1, 8192)[0]
    given = Samples([clip], AudioDomain(), extra={"sample_rate": 16_000})
    (found,) = make_samples(made, made.networks(), 0, 0, given=given).data
    usual = griffin_lim(made.mel, made.mel(clip), len(clip))
    assert len(found) == len(clip)
    distances = [measures.mel_distance(made.mel, clip, other) for other in (found, usual)]
    assert distances[0] < 1.2 * distances[1] < 0.3


def test_more_iterations_come_nearer_and_see_farther():
    real, made = waveforms(2, 4096), {n: recipe(iterations=n) for n in (1, 32)}
    near = {}
    for n, one in made.items():
        t = trainer(one, {"waveform": real})
        near[n] = one.distances(t.context, {"waveform": real})["stft"]
        assert one.networks()["generator"].context() >= 3 * n
    assert near[32] < near[1]


def test_a_run_measures_and_learns_nothing():
    t = trainer(recipe(), {"waveform": waveforms(2)})
    t.iterate()
    assert not [p for actor in t.actors.values() for p in actor.module.parameters()]
    assert set(t._meter.means()) == {"spectra/mel", "spectra/stft"}


def test_refusals():
    with pytest.raises(ConfigError, match=r"hops of 512 samples do not overlap in windows of 512.*--model.hop_length"):
        recipe(hop_length=512)
    with pytest.raises(ConfigError, match="too short for the STFT terms"):
        recipe(INFO | {"segment": 1024})
    with pytest.raises(ConfigError, match="iterations = 0 is too small"):
        recipe(iterations=0)


@pytest.mark.parametrize("updates", [10, 40])
def test_vocos_starts_exactly_where_its_iterations_end(updates):
    """The head is zero: before training the network is its prior, and the first step already teaches it."""
    vocos = small_vocos(
        n_fft=512, hop_length=128, iterations=8, **({} if updates == FEW_UPDATES else {"updates": updates})
    )
    prior = GriffinLim(Config(n_fft=512, hop_length=128, iterations=8, updates=updates), INFO)
    networks = vocos.networks()["generator"].eval(), prior.networks()["generator"].eval()
    mel = vocos.mel(waveforms(1, 4096))[..., :32]
    with torch.no_grad():
        torch.testing.assert_close(networks[0](mel), networks[1](mel), atol=1e-5, rtol=0)
    played = trainer(vocos, {"waveform": waveforms()})
    played.iterate()
    assert played.actors["generator"].module.head.weight.abs().max() > 0
    for prior in (
        "pseudo-inverse",
        "none",
    ):  # nothing gives phases there: a zero head would put all pulses in one place
        assert small_vocos(prior=prior).networks()["generator"].head.weight.abs().max() > 0
