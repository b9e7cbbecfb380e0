"""Front ends against the published ones, and settings that cannot work."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torchaudio.functional import melscale_fbanks

from polygan import ConfigError
from polygan_audio.networks.melspec import PRESETS, MelSpec, resolve

GOLDEN = Path(__file__).parents[2] / "golden/hifigan/mel.safetensors"


@pytest.mark.parametrize(
    ("key", "rate", "fmax"),
    [("16k_80_0_8000", 16_000, 8000.0), ("22k_80_0_8000", 22_050, 8000.0), ("22k_80_0_None", 22_050, None)],
)
def test_hifigan_s_is_the_official_one(key, rate, fmax):
    golden = load_file(GOLDEN)
    spec = dataclasses.replace(PRESETS["hifigan"], sample_rate=rate, fmax=fmax)
    mel = spec(golden["waveform"])
    assert mel.shape == golden[f"mel_{key}"].shape
    assert (mel - golden[f"mel_{key}"]).abs().max() < 1e-5


def test_speecht5_s_is_that_of_transformers():
    transformers = pytest.importorskip("transformers")
    waveform = torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    theirs = transformers.SpeechT5FeatureExtractor()(audio_target=waveform.numpy(), sampling_rate=16_000)
    expected = torch.from_numpy(np.asarray(theirs["input_values"][0], np.float32)).T  # (80, frames)
    mel = PRESETS["speecht5"](waveform)
    assert mel.shape == expected.shape
    assert (mel - expected).abs().max() < 5e-5


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("norm", ["slaney", "none"])
@pytest.mark.parametrize(
    ("rate", "n_mels", "fmin", "fmax"),
    [(22_050, 80, 0.0, 8000.0), (24_000, 100, 0.0, None), (16_000, 40, 80.0, 7600.0)],
)
def test_filters_are_those_of_torchaudio(scale, norm, rate, n_mels, fmin, fmax):
    spec = MelSpec(sample_rate=rate, n_mels=n_mels, fmin=fmin, fmax=fmax, scale=scale, norm=norm)
    expected = melscale_fbanks(
        513, fmin, fmax or rate / 2, n_mels, rate, norm=None if norm == "none" else norm, mel_scale=scale
    ).T
    assert (spec.filters() - expected).abs().max() < 1e-5 * expected.max()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("samples", [2048, 8192, 8193, 8447])
def test_frames_are_what_it_says(preset, samples):
    spec = PRESETS[preset]
    mel = spec(torch.zeros(2, samples))
    assert mel.shape == (2, spec.n_mels, spec.frames(samples))
    hop = 512 if preset in ("bigvgan_44k", "vocos_48k") else 256
    assert spec.frames(samples) == samples // hop + (spec.padding == "center")
    assert mel.dtype == torch.float32


@pytest.mark.parametrize("padding", ["same", "center"])
def test_frame_i_stands_where_the_padding_says(padding):
    spec = MelSpec(sample_rate=16_000, padding=padding)
    for frame in (8, 20):
        # A click in the middle of a frame's window is loudest there, and as loud before as behind.
        at = frame * 256 + (128 if padding == "same" else 0)
        click = torch.zeros(8192)
        click[at] = 1.0
        energy = spec.magnitudes(click).sum(0)
        assert int(energy.argmax()) == frame
        assert float(energy[frame - 1]) == pytest.approx(float(energy[frame + 1]), rel=1e-3)


@pytest.mark.parametrize("preset", PRESETS)
def test_silence_is_the_floor_and_its_gradient_is_finite(preset):
    spec = PRESETS[preset]
    waveform = torch.zeros(1, 4096, requires_grad=True)
    mel = spec(waveform)
    # hifigan's epsilon keeps silence slightly above the floor where filters are wide.
    assert torch.allclose(mel, torch.full_like(mel, spec.silence), atol=0.5 if spec.epsilon else 1e-6)
    mel.sum().backward()
    assert torch.isfinite(waveform.grad).all()
    spec.magnitudes(waveform).sum().backward()
    assert torch.isfinite(waveform.grad).all()


def test_gradients_are_those_of_finite_differences():
    spec = MelSpec(sample_rate=8000, n_fft=64, win_length=64, hop_length=16, n_mels=8)
    generator = torch.Generator().manual_seed(0)
    waveform = torch.randn(256, generator=generator).mul(0.1).requires_grad_()
    direction = torch.randn(256, generator=generator)
    (gradient,) = torch.autograd.grad(spec(waveform).sum(), waveform)
    step = 1e-3
    with torch.no_grad():
        slope = (spec(waveform + step * direction).sum() - spec(waveform - step * direction).sum()) / (2 * step)
    assert float(gradient @ direction) == pytest.approx(float(slope), rel=1e-2)


def test_it_keeps_full_precision_under_autocast():
    waveform = torch.randn(2, 4096, generator=torch.Generator().manual_seed(0)) * 0.1
    expected = PRESETS["hifigan"](waveform)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(PRESETS["hifigan"](waveform), expected)


def test_it_works_on_the_meta_device():
    mel = PRESETS["vocos"](torch.zeros(3, 8192, device="meta"))
    assert mel.device.type == "meta"
    assert mel.shape == (3, 100, 33)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fmax": 9000.0}, r"fmax = 9000 Hz is over half the sample rate, 16000 / 2 = 8000 Hz; lower fmax or resample"),
        ({"fmin": 8000.0}, r"fmin = 8000 Hz is not in \[0, 8000\)"),
        ({"fmin": -1.0}, r"fmin = -1 Hz is not in \[0, 8000\)"),
        ({"hop_length": 255}, r"n_fft - hop_length = 1024 - 255 is odd"),
        ({"win_length": 2048}, r"win_length = 2048 samples do not fit n_fft = 1024"),
        ({"hop_length": 1026}, r"hop_length = 1026 leaves samples out that no window of 1024 sees"),
        ({"hop_length": 0}, r"hop_length = 0 is too small; the least is 1"),
        ({"n_mels": 0}, r"n_mels = 0 is too small"),
        ({"sample_rate": 0}, r"sample_rate = 0 is too small"),
        ({"scale": "slany"}, r"scale = 'slany' \(did you mean 'slaney'\?\); known are slaney, htk"),
        ({"log": "log2"}, r"log = 'log2'.*known are ln, log10"),
        ({"padding": "reflect"}, r"padding = 'reflect'.*known are same, center"),
        ({"norm": "area"}, r"norm = 'area'.*known are slaney, none"),
        ({"floor": 0.0}, r"floor = 0.0 above 0"),
        ({"epsilon": -1e-9}, r"epsilon = -1e-09 must be >= 0"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_arithmetic(settings, message):
    with pytest.raises(ConfigError, match=message):
        MelSpec(**{"sample_rate": 16_000, **settings})


def test_a_waveform_shorter_than_the_padding_is_refused():
    with pytest.raises(
        ConfigError,
        match=r"384 samples are too short for padding by 384 on each side \(n_fft = 1024, hop_length = 256\)",
    ):
        PRESETS["hifigan"](torch.zeros(384))
    assert PRESETS["hifigan"](torch.zeros(385)).shape == (80, 1)


@pytest.mark.parametrize("preset", PRESETS)
def test_facts_come_back_and_tell_differences(preset):
    spec = PRESETS[preset]
    assert spec.facts().dtype == torch.float32
    assert len(spec.facts()) == len(dataclasses.fields(MelSpec))
    assert spec.differences(spec.facts()) == ""
    for other in PRESETS:
        assert (spec.differences(PRESETS[other].facts()) == "") == (other == preset)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"hop_length": 200}, "hop_length 200 instead of 256"),
        ({"fmax": None}, "fmax None instead of 8000.0"),
        ({"fmax": 7600.0}, "fmax 7600 instead of 8000.0"),
        ({"padding": "center"}, "padding center instead of same"),
        ({"floor": 1e-7}, "floor 1e-07 instead of 1e-05"),
        ({"epsilon": 0.0}, "epsilon 0 instead of 1e-09"),
        ({"log": "log10", "n_mels": 100}, "n_mels 100 instead of 80, log log10 instead of ln"),
    ],
)
def test_a_difference_is_named_with_both_values(change, expected):
    spec = PRESETS["hifigan"]
    assert spec.differences(dataclasses.replace(spec, **change).facts()) == expected


def test_presets_at_another_rate_and_with_changes():
    spec = resolve("hifigan", 16_000, n_mels=64, hop_length=None)
    assert (spec.sample_rate, spec.n_mels, spec.hop_length, spec.fmax) == (16_000, 64, 256, 8000.0)
    assert resolve("vocos", 16_000, n_fft=512).win_length == 512
    with pytest.raises(ConfigError, match=r"mel preset 'hifigam' \(did you mean 'hifigan'\?\)"):
        resolve("hifigam", 16_000)
    with pytest.raises(ConfigError, match="fmax = 8000 Hz is over half the sample rate, 8000 / 2 = 4000 Hz"):
        resolve("hifigan", 8000)


def test_silence_s_value_is_the_logarithm_of_the_floor():
    assert PRESETS["hifigan"].silence == pytest.approx(math.log(1e-5))
    assert PRESETS["speecht5"].silence == pytest.approx(-10)
