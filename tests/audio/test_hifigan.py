"""HiFi-GAN: its steps against the official loop, its mel term, its settings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_vocoders import INFO, hifigan, trainer, waveforms

from polygan import ConfigError
from polygan_audio.hifigan import Config, HiFiGAN


@pytest.mark.parametrize(("scales", "tolerance"), [("spectrogram", 1e-9), ("waveform", 4e-4)])
def test_a_step_is_the_official_one(scales, tolerance):
    """Three steps against the loop as it is usually written: separate passes, nothing frozen, real features with gradients.

    Parameters are compared; one step moves them by up to 2e-4. Spectral norm differs a little: its estimate is refined with
    each pass, and ours makes fewer.
    """
    batch, recipe = {"waveform": waveforms().double()}, hifigan(scales=scales)
    ours, plain = trainer(recipe, batch), trainer(hifigan(scales=scales), batch)
    for t in (ours, plain):
        for actor in t.actors.values():
            actor.module.double()
    g, d = (plain.actors[n].module.requires_grad_() for n in ("generator", "discriminator"))
    og, od = (torch.optim.AdamW(m.parameters(), 2e-4, (0.8, 0.99), weight_decay=0.01) for m in (g, d))
    real = batch["waveform"]
    for _ in range(3):
        fake = g(recipe.mel(real)[..., : 2048 // 256])
        od.zero_grad()
        pairs = zip(d(real), d(fake.detach()), strict=True)
        sum(((r[-1] - 1) ** 2).mean() + (f[-1] ** 2).mean() for r, f in pairs).backward()
        od.step()
        og.zero_grad()
        pairs = list(zip(d(real), d(fake), strict=True))
        features = sum((a - b).abs().mean() for r, f in pairs for a, b in zip(r, f, strict=True))
        adversarial = sum(((f[-1] - 1) ** 2).mean() for _, f in pairs)
        (adversarial + 2 * features + 45 * (recipe.loss_mel(fake) - recipe.loss_mel(real)).abs().mean()).backward()
        og.step()
        ours.iterate()
    for name, network in (("generator", g), ("discriminator", d)):
        mine = dict(ours.actors[name].module.named_parameters())
        for key, theirs in network.named_parameters():
            difference = (mine[key] - theirs).abs().max().item()
            assert difference < tolerance, f"{key}: {difference}"


def test_the_mel_term_goes_up_to_half_the_rate():
    """The official code conditions on bands up to 8 kHz and compares bands up to half the sample rate."""
    recipe = HiFiGAN(Config(), INFO | {"sample_rate": 22_050, "segment": 8192})
    assert (recipe.mel.fmax, recipe.loss_mel.fmax) == (8000.0, 11_025.0)
    high = 0.5 * torch.sin(2 * torch.pi * 10_000 * torch.arange(8192) / 22_050)[None]
    assert recipe.mel_term({"waveform": torch.zeros(1, 8192)}, high)["mel"] > 20


def test_a_waveform_is_finer_than_bf16():
    made = hifigan().networks()["generator"]
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        sound = made(torch.randn(1, 80, 4))
    assert sound.dtype == torch.float32
    assert not torch.equal(sound, sound.bfloat16().float())


@pytest.mark.parametrize(
    ("options", "info", "message"),
    [
        ({}, {"segment": 2000}, r"2000 samples are 7.8125 hops of 256"),
        ({}, {"segment": 256}, r"whole number of at least 2; use e.g. --data.segment 512"),
        ({}, {"sample_rate": 8000}, r"fmax = 8000 Hz is over half the sample rate, 8000 / 2 = 4000"),
        ({"hop_length": 300, "upsample_rates": (8, 8, 4)}, {"segment": 2400}, r"8 x 8 x 4 = 256 do not give the 300"),
        ({"learning_rate": 0.0}, {}, r"learning_rate = 0.0 is outside"),
        ({"discriminator_learning_rate": 2.0}, {}, r"discriminator_learning_rate = 2.0 is outside \[0, 1\]"),
        ({"beta2": 1.0}, {}, r"beta2 = 1.0 is outside"),
        ({"mel_weight": -1.0}, {}, r"mel_weight = -1.0"),
        ({"variant": "v4"}, {}, r"variant = 'v4'.*known are v1, v2, v3"),
        ({"decay": 0.0}, {}, r"decay = 0.0"),
        ({"discriminator_width": 3}, {}, r"discriminator_width = 3"),
        ({"channels": 8}, {}, r"8 channels cannot be halved 4 times"),
    ],
)
def test_settings_that_cannot_work_are_refused(options, info, message):
    with pytest.raises(ConfigError, match=message):
        hifigan(INFO | info, **options).networks()
