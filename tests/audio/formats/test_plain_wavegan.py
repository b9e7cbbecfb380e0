"""Parallel WaveGAN in ONNX: the same sound at any length, from noise and from Griffin-Lim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from polygan_audio.formats import onnx
from polygan_audio.networks.melspec import resolve
from polygan_audio.networks.parallel_wavegan import Generator, Shape

MEL = resolve("parallel_wavegan", 16_000, n_fft=256, hop_length=64, n_mels=20)
SHAPE = Shape(layers=4, stacks=2, channels=4, gates=8, skips=4, scales=(4, 4, 4))


@pytest.mark.parametrize(("causal", "iterations"), [(False, 0), (True, 0), (False, 3)])
def test_onnx_runs_the_same_at_any_length(tmp_path, causal, iterations):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    import onnxruntime

    torch.manual_seed(0)
    generator = Generator(replace(SHAPE, causal=causal), MEL, iterations=iterations).eval()
    for parameter in generator.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    nn.init.ones_(generator.last_conv_layers["3"].parametrizations.weight.original0)
    (path,) = onnx.export_onnx(generator, tmp_path / "model")
    session = onnxruntime.InferenceSession(path)
    assert [x.name for x in session.get_inputs()] == (["mel"] if iterations else ["mel", "noise"])
    for frames, batch in ((5, 1), (41, 3)):
        mel, noise = torch.randn(batch, 20, frames) - 1, torch.randn(batch, frames * 64)
        given = {"mel": mel.numpy()} | ({} if iterations else {"noise": noise.numpy()})
        (got,) = session.run(["waveform"], given)
        with torch.no_grad():
            expected = generator(mel, None if iterations else noise).numpy()
        assert expected.std() > 1e-3
        assert got.shape == expected.shape
        assert np.abs(got - expected).max() < (1e-3 if iterations else 1e-5) * max(1, np.abs(expected).max())
