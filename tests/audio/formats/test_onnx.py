"""Vocoders in ONNX: the same sound at any length, and packages that are missing."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from small_generators import MEL, SMALL, SMALL3, made, noise, sound

from polygan import ConfigError
from polygan_audio.formats import onnx, speecht5
from polygan_audio.networks import vocos as vocos_networks
from polygan_audio.networks.excitation import GriffinLim


@pytest.mark.parametrize(
    "config", [SMALL, SMALL3, SMALL | {"upsample_rates": [16, 16], "upsample_kernel_sizes": [32, 32]}]
)
def test_onnx_runs_the_same_at_any_length(tmp_path, config):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    import onnxruntime

    generator = made(config)
    (path,) = onnx.export_onnx(generator, tmp_path / "model")
    session = onnxruntime.InferenceSession(path)
    for frames, batch in ((5, 1), (41, 3)):
        mel = noise(frames, batch)
        got = session.run(["waveform"], {"mel": mel.numpy()})[0]
        expected = sound(generator, mel).numpy()
        assert expected.std() > 1e-3
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() < 1e-5
    assert json.loads(session.get_modelmeta().custom_metadata_map["mel"])["hop_length"] == 256


@pytest.mark.parametrize("prior", ["griffin-lim", "pseudo-inverse"])
@pytest.mark.parametrize(
    "changes", [{}, {"padding": "center", "win_length": 900}, {"n_fft": 512, "win_length": 500, "hop_length": 150}]
)
def test_vocos_runs_the_same_in_onnx(tmp_path, changes, prior):
    """Fourier transforms as matrices, for frames that lie either way."""
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    import onnxruntime

    torch.manual_seed(0)
    mel = dataclasses.replace(MEL, **changes)
    generator = vocos_networks.Generator(mel, 16, 32, 2, prior=prior).eval()
    nn.init.normal_(generator.head.weight, 0, 0.3)
    (path,) = onnx.export_onnx(generator, tmp_path / "vocos.onnx")
    # A matrix stands in the file once, not in each iteration.
    assert path.stat().st_size < 2 * 3 * 8 * mel.n_fft * (mel.n_fft + 2)
    x = noise(23, batch=2)
    (got,) = onnxruntime.InferenceSession(path).run(None, {"mel": x.numpy()})
    expected = sound(generator, x).numpy()
    assert expected.std() > 1e-2
    assert got.shape == expected.shape == (2, 23 * mel.hop_length)
    assert np.abs(got - expected).max() < 1e-5 * max(1, np.abs(expected).max())


def test_griffin_lim_runs_the_same_in_onnx(tmp_path):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    import onnxruntime

    generator = GriffinLim(dataclasses.replace(MEL, n_fft=512, win_length=512, hop_length=128), 8, 4).eval()
    (path,) = onnx.export_onnx(generator, tmp_path / "griffin-lim.onnx")
    x = noise(23, batch=2)
    (got,) = onnxruntime.InferenceSession(path).run(None, {"mel": x.numpy()})
    expected = sound(generator, x).numpy()
    assert got.shape == expected.shape == (2, 23 * 128)
    assert np.abs(got - expected).max() < 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize(
    ("function", "package", "extra"),
    [
        (speecht5.export_speecht5, "transformers", "transformers"),
        (onnx.export_onnx, "onnxruntime", "onnx"),
        (onnx.export_onnx, "onnx", "onnx"),
    ],
)
def test_missing_packages_are_one_line(tmp_path, monkeypatch, function, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"needs the package {package}: pip install 'polygan-audio\[{extra}\]'"):
        function(made(), tmp_path / "x")
