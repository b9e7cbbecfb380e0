"""Vocos: its steps against the official loop, pretraining, discriminators, its settings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from small_vocoders import INFO, hifigan, small_vocos, trainer, waveforms

from polygan import ConfigError, TrainerSettings, Turn
from polygan.runs.assembly import resolve
from polygan_audio import vocos
from polygan_audio.vocoder import Sampling


def test_the_default_segments_of_vocos_are_several_times_what_its_network_sees():
    """In segments of 32 frames every one was near an end, and phases were learned from where the padding is.

    Griffin and Lim's iterations, which learn nothing, are left out: they see farther, ever less.
    """
    settings = resolve("audio/vocos", [{"data": "tones", "model": {"prior": "pseudo-inverse"}}])
    recipe = vocos.Vocos(settings.model, INFO | {"segment": settings.data.segment})
    seen = 2 * recipe.networks()["generator"].context() + 1
    assert settings.data.segment / recipe.mel.hop_length > 2.5 * seen
    assert settings.data.segment * settings.run.batch_size == 8 * 8192


def test_a_step_of_vocos_is_the_official_one():
    """Two steps against the loop of the official code: means over a family's members, spectrograms count a tenth."""
    batch = {"waveform": waveforms(samples=2048).double()}
    info, real = INFO | {"segment": 2048}, batch["waveform"]
    ours, plain = (
        trainer(small_vocos(info, pretrain_steps=0, discriminators="paper", stft_weight=0), batch) for _ in range(2)
    )
    for t in (ours, plain):
        for actor in t.actors.values():
            actor.module.double()
    g, d = (plain.actors[n].module.requires_grad_() for n in ("generator", "discriminator"))
    og, od = (torch.optim.AdamW(m.parameters(), 5e-4, (0.8, 0.99), weight_decay=0.01) for m in (g, d))
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(o, 100) for o in (og, od)]
    recipe = ours.recipe
    for _ in range(2):
        fake = g(recipe.mel(real)[..., :8])
        total = 0
        for name, weight in (("periods", 1), ("resolutions", 0.1)):
            pairs = list(zip(d.families[name](real), d.families[name](fake.detach()), strict=True))
            each = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in pairs]
            total = total + weight * sum(each) / len(each)
        od.zero_grad()
        total.backward()
        od.step()
        total = 45 * (recipe.loss_mel(fake) - recipe.loss_mel(real)).abs().mean()
        for name, weight in (("periods", 1), ("resolutions", 0.1)):
            pairs = list(zip(d.families[name](real), d.families[name](fake), strict=True))
            each = [
                F.relu(1 - f[-1]).mean() + sum((a - b).abs().mean() for a, b in zip(r, f, strict=True))
                for r, f in pairs
            ]
            total = total + weight * sum(each) / len(each)
        og.zero_grad()
        total.backward()
        og.step()
        for schedule in schedules:
            schedule.step()
        ours.iterate()
    for name, network in (("generator", g), ("discriminator", d)):
        mine = dict(ours.actors[name].module.named_parameters())
        for key, theirs in network.named_parameters():
            difference = (mine[key] - theirs).abs().max().item()
            assert difference < 1e-9, f"{key}: {difference}"


def test_discriminators_of_vocos_have_the_weights_of_their_families():
    """A family without a weight is not there, so that it costs nothing; the others' terms are the mean over their members."""
    kinds = {
        (1.0, 0.1): ([1 / 3] * 3 + [0.05] * 2, ["periods", "resolutions"]),
        (0.0, 1.0): ([0.5] * 2, ["resolutions"]),
        (2.0, 0.0): ([2 / 3] * 3, ["periods"]),
    }
    for (period, resolution), (weights, families) in kinds.items():
        recipe = small_vocos(period_weight=period, resolution_weight=resolution, pretrain_steps=0)
        discriminators = recipe.networks()["discriminator"]
        assert list(recipe.weights) == pytest.approx(weights)
        assert list(discriminators.families) == families
        assert len(discriminators(waveforms())) == len(weights)
        played = trainer(recipe, {"waveform": waveforms()})
        before = [p.detach().clone() for p in played.actors["generator"].module.parameters()]
        played.iterate()
        assert any(
            not torch.equal(a, b) for a, b in zip(before, played.actors["generator"].module.parameters(), strict=True)
        )


def test_vocos_pretrains_on_spectra_alone():
    played = trainer(small_vocos(), {"waveform": waveforms()})
    before = [p.clone() for p in played.actors["discriminator"].module.parameters()]
    for _ in range(2):
        played.iterate()
    assert all(map(torch.equal, before, played.actors["discriminator"].module.parameters()))
    assert [t.name for t in played.turns if t.due(1)] == ["pretrain"]
    assert [t.name for t in played.turns if t.due(2)] == ["d", "g"]
    played.iterate()
    assert not all(map(torch.equal, before, played.actors["discriminator"].module.parameters()))


def test_windows_that_are_long_for_the_prior_are_named_before_training():
    def said(info=INFO, **options):
        found = small_vocos(info, pretrain_steps=0, **options).notes(TrainerSettings(steps=10))
        return [note for note in found if note.startswith("Windows of ")]

    (note,) = said()
    assert note.startswith("Windows of 64 ms are long")
    assert "--model.n_fft 512 --model.hop_length 128" in note
    assert said(n_fft=512, hop_length=128) == said(INFO | {"sample_rate": 22_050}) == said(prior="none") == []
    assert said(INFO | {"n_mels": 80, "mel_hop": 256}) == []  # the mels are given


def test_vocos_settings_are_refused():
    for options, message in (
        ({"blocks": 0}, "blocks = 0"),
        ({"stft_weight": -1.0}, "stft_weight = -1.0"),
        ({"resolution_weight": -1.0}, "resolution_weight = -1.0"),
        ({"period_weight": float("inf")}, "period_weight = inf"),
        ({"period_weight": 0.0, "resolution_weight": 0.0}, "both 0, which leaves no discriminator"),
        ({"iterations": 0}, "iterations = 0 is too small; the least is 1"),
        ({"prior": "pseudo"}, "known are griffin-lim, pseudo-inverse, none"),
        ({"discriminators": "big"}, "known are small, paper"),
    ):
        with pytest.raises(ConfigError, match=message):
            small_vocos(**options)
    with pytest.raises(ConfigError, match=r"1024 samples are too short .* reflect 1024 .*--data.segment 1280"):
        small_vocos(INFO | {"segment": 1024})
    with pytest.raises(ConfigError, match=r"too short for the spectrogram discriminators"):
        hifigan(INFO | {"segment": 1024}, scales="spectrogram")
    with pytest.raises(ConfigError, match=r"^precision = 'fp8' is unknown.*known are auto, fp32, bf16"):
        Sampling(precision="fp8")
    with pytest.raises(ConfigError, match=r"^chunk = 0 is too small"):
        Sampling(chunk=0)
    assert isinstance(small_vocos(pretrain_steps=0).turns()[0], Turn)
