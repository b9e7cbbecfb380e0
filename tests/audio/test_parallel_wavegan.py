"""Parallel WaveGAN: its steps against the reference implementation's loop, the game's order, statistics, seeds, refusals."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from small_vocoders import INFO, trainer, waveforms

from polygan import ConfigError, Samples, TrainerSettings, make_samples, testing
from polygan.game.sampling import stream_samples
from polygan_audio import griffin_lim
from polygan_audio.data.domain import AudioDomain
from polygan_audio.losses import stft_loss
from polygan_audio.networks.griffinlim import FEW_UPDATES
from polygan_audio.parallel_wavegan import RESOLUTIONS, Config, ParallelWaveGAN
from polygan_audio.vocoder import Sampling

LONG = INFO | {"segment": 2560}
SMALL = {
    "layers": 4,
    "stacks": 2,
    "channels": 4,
    "discriminator_channels": 4,
    "discriminator_start": 2,
    "iterations": 2,
}


def small(info=LONG, **options):
    return ParallelWaveGAN(Config(**{**SMALL, **options}), info)


def batch():
    return {"waveform": waveforms(samples=2560)}


def test_a_step_is_the_reference_implementations():
    """Two steps: the generator on the noise of the step, then the discriminator on fakes that the new generator makes of it."""
    real = batch()["waveform"].double()
    ours, plain = (trainer(small(discriminator_start=0), {"waveform": real}) for _ in range(2))
    for t in (ours, plain):
        for actor in t.actors.values():
            actor.module.double()
    g, d = (plain.actors[n].module.requires_grad_() for n in ("generator", "discriminator"))
    og, od = (torch.optim.RAdam(m.parameters(), rate, eps=1e-6) for m, rate in ((g, 1e-4), (d, 5e-5)))
    heard = []
    ours.actors["generator"].module.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[1]))
    mel, wanted = plain.recipe.condition({"waveform": real}), real[:, 512:-512]
    for step in range(2):
        ours.iterate()
        noise, again = heard[2 * step :]
        assert torch.equal(noise, again)
        assert step == 0 or not torch.equal(noise, heard[0])
        fake = g(mel, noise, padded=True)
        og.zero_grad()
        (sum(stft_loss(wanted, fake, RESOLUTIONS)) + 4 * (d(fake)[0][-1] - 1).square().mean()).backward()
        nn.utils.clip_grad_norm_(g.parameters(), 10)
        og.step()
        with torch.no_grad():
            fake = g(mel, noise, padded=True)
        od.zero_grad()
        ((d(wanted)[0][-1] - 1).square().mean() + d(fake)[0][-1].square().mean()).backward()
        nn.utils.clip_grad_norm_(d.parameters(), 1)
        od.step()
    for name, network in (("generator", g), ("discriminator", d)):
        mine = dict(ours.actors[name].module.named_parameters())
        for key, theirs in network.named_parameters():
            difference = (mine[key] - theirs).abs().max().item()
            assert difference < 1e-9, f"{key}: {difference}"


def test_the_stft_terms_are_the_published_ones():
    data = os.environ.get("POLYGAN_SHARED_DATA") or Path(__file__).parents[3] / "shared/data"
    path = Path(data).parent / "golden/parallel-wavegan/stft-loss.safetensors"
    if not path.is_file():
        pytest.skip(
            f"{path} is absent; name the folder of data sets, which golden/ lies beside, in POLYGAN_SHARED_DATA"
        )
    values = load_file(path)
    convergence, magnitude = stft_loss(values["real"], values["made"], RESOLUTIONS)
    torch.testing.assert_close(convergence, values["spectral_convergence"].reshape(()), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(magnitude, values["log_magnitude"].reshape(()), atol=1e-5, rtol=1e-5)


def test_the_discriminator_comes_in_late_and_rates_are_halved():
    played = trainer(small(halve_every=2), batch())
    before = [p.clone() for p in played.actors["discriminator"].module.parameters()]
    assert [[t.name for t in played.turns if t.due(step)] for step in (1, 2)] == [["spectra"], ["g", "d"]]
    rates = []
    for _ in range(5):
        rates.append([played.actors[n].optimizer.param_groups[0]["lr"] for n in ("generator", "discriminator")])
        played.iterate()
        if len(rates) == 2:
            assert all(map(torch.equal, before, played.actors["discriminator"].module.parameters()))
    assert not all(map(torch.equal, before, played.actors["discriminator"].module.parameters()))
    np.testing.assert_allclose([g for g, _ in rates], [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5])
    np.testing.assert_allclose(
        [d for _, d in rates], [5e-5, 5e-5, 5e-5, 5e-5, 2.5e-5]
    )  # counted from where it comes in
    players = played.recipe.players(played.recipe.networks(), TrainerSettings(steps=9))
    assert [players[n].clip for n in ("generator", "discriminator")] == [10, 1]


def test_frames_at_both_ends_are_heard_and_not_made():
    recipe = small(discriminator_start=0)
    played = trainer(recipe, batch())
    seen = []
    played.actors["generator"].module.register_forward_hook(lambda _, given, made: seen.append((given, made)))
    played.iterate()
    (mel, noise), made = seen[0]
    assert mel.shape == (2, 80, 10)
    assert noise.shape == made.shape == (2, 6 * 256)


@pytest.mark.parametrize("options", [{}, {"excitation": "griffin-lim"}, {"feature_weight": 2.0, "mel_weight": 1.0}])
def test_whole_iterations_play_on_the_meta_device(options):
    testing.check_devices(small(**options), batch())


def test_terms_that_the_paper_lacks_have_weights_of_their_own():
    for options, names in (
        ({}, {"adversarial", "convergence", "magnitude"}),
        (
            {"feature_weight": 2.0, "mel_weight": 1.0, "convergence_weight": 0.0},
            {"adversarial", "magnitude", "features", "mel"},
        ),
    ):
        played = trainer(small(discriminator_start=0, **options), batch())
        played.iterate()
        assert {name.removeprefix("g/") for name in played._meter.means() if name.startswith("g/")} >= names


def test_mels_are_normalised_by_the_training_clips():
    store = SimpleNamespace(fields={}, info={"sample_rate": 16_000})
    split = SimpleNamespace(rows=np.arange(5), store=store)
    clips = {i: waveforms(1, 4000)[0] * 0.5**i for i in range(5)}

    class Domain:
        def real(self, split, rows):
            return Samples([clips[int(r)] for r in rows], extra={"sample_rate": 16_000})

    facts = ParallelWaveGAN.survey(Config(**SMALL), Domain(), split)
    recipe = small(LONG | facts)
    generator = recipe.networks()["generator"]
    mels = torch.cat([recipe.mel(clip) for clip in clips.values()], 1)
    normal = generator.normalised(mels)
    torch.testing.assert_close(normal.mean(1), torch.zeros(80), atol=1e-4, rtol=0)
    torch.testing.assert_close(normal.square().mean(1), torch.ones(80), atol=1e-3, rtol=0)
    assert ParallelWaveGAN.survey(Config(**SMALL), Domain(), SimpleNamespace(rows=np.arange(0), store=store)) == {}
    assert torch.equal(small().networks()["generator"].scale, torch.ones(80))


@pytest.mark.parametrize("excitation", ["noise", "griffin-lim"])
def test_a_seed_decides_about_the_noise_and_a_place_in_the_list_does_not(excitation):
    torch.manual_seed(0)
    recipe = small(excitation=excitation)
    networks = {name: network.eval() for name, network in recipe.networks().items()}
    clips = [waveforms(1, n)[0] for n in (3000, 5000)]

    def made(seed, data=clips):
        return make_samples(recipe, networks, 0, seed, given=Samples(data, extra={"sample_rate": 16_000})).data

    first = made(1)
    assert [len(clip) for clip in first] == [3000, 5000]
    assert torch.equal(made(1, clips[:1])[0], first[0])
    assert torch.equal(made(2)[1], first[1]) is (excitation == "griffin-lim")
    pieces = (Samples([block], names=["a"], extra={"sample_rate": 16_000}) for block in clips[0].split(700))
    streamed = AudioDomain().join(stream_samples(recipe, networks, pieces, 1, Sampling(chunk=2))).data[0]
    torch.testing.assert_close(streamed[:3000], first[0], atol=1e-5, rtol=0)


def test_settings_that_cannot_work_are_refused():
    for options, message in (
        ({"layers": 5}, "5 layers do not make 2 equal stacks"),
        ({"upsample_scales": (4, 4)}, r"4 x 4 = 16 do not give the 256 samples"),
        ({"magnitude_weight": 0.0, "convergence_weight": 0.0}, r"all 0, which leaves nothing to learn"),
        ({"size": "big"}, "known are original, small"),
        ({"excitation": "silence"}, "known are noise, griffin-lim"),
    ):
        with pytest.raises(ConfigError, match=message):
            small(**options).networks()
    with pytest.raises(
        ConfigError, match=r"2048 samples, less 2 frames at each end .* leave 1024 .*--data.segment 2304"
    ):
        small(INFO)
    assert small(LONG | {"segment": 2304})


def test_sizes_and_hops():
    original, usual = ParallelWaveGAN(Config(), LONG).shape, ParallelWaveGAN(Config(size="small"), LONG).shape
    assert (original.layers, original.seen, usual.layers, usual.channels, usual.gates) == (30, 6139, 12, 32, 64)
    assert original.scales == (4, 4, 4, 4)
    info = LONG | {"segment": 2560}
    assert np.prod(ParallelWaveGAN(Config(hop_length=128, n_fft=512), info).shape.scales) == 128


def test_a_run_without_a_game_says_so():
    recipe = small(discriminator_start=1000)
    assert "--model.discriminator_start" in "".join(recipe.notes(TrainerSettings(steps=900)))
    assert not recipe.notes(TrainerSettings(steps=1001))


@pytest.mark.parametrize("updates", [FEW_UPDATES, 40])
def test_an_untrained_network_is_the_griffin_lim_recipe_of_its_iterations_and_updates(updates):
    asked = {} if updates == FEW_UPDATES else {"updates": updates}
    ours = small(excitation="griffin-lim", iterations=4, **asked)
    theirs = griffin_lim.GriffinLim(griffin_lim.Config(mel="parallel_wavegan", iterations=4, updates=updates), LONG)
    mel = ours.mel(waveforms(1, 8192)[0])[None]
    made = [it.networks()["generator"].eval()(mel) for it in (ours, theirs)]
    torch.testing.assert_close(*made)
