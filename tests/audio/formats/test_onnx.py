"""Vocoders in ONNX: the same sound at any length, and packages that are missing."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from small_generators import MEL, SMALL, SMALL3, made, noise, sound

from polygan import ConfigError
from polygan_audio.formats import onnx, speecht5
from polygan_audio.networks import parallel_wavegan
from polygan_audio.networks import vocos as vocos_networks
from polygan_audio.networks.excitation import GriffinLim
from polygan_audio.networks.parallel_wavegan import Shape


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


def on_iterations(kind, iterations):
    """A small generator of each kind whose sound begins with Griffin and Lim's iterations."""
    torch.manual_seed(0)
    spec = dataclasses.replace(MEL, n_fft=512, win_length=512, hop_length=128)
    if kind == "griffin-lim":
        return GriffinLim(spec, iterations, 4).eval()
    if kind == "vocos":
        generator = vocos_networks.Generator(spec, 16, 32, 1, prior="griffin-lim", iterations=iterations).eval()
        nn.init.normal_(generator.head.weight, 0, 0.3)
        return generator
    shape = Shape(layers=2, stacks=1, channels=4, gates=8, skips=4, scales=(8, 16))
    generator = parallel_wavegan.Generator(shape, spec, iterations=iterations).eval()
    nn.init.ones_(generator.last_conv_layers["3"].parametrizations.weight.original0)
    return generator


def operations(graph):
    """The operations of a graph, those of its loops among them, by kind; constants are none."""
    found = Counter(node.op_type for node in graph.node if node.op_type != "Constant")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += operations(attribute.g)
    return found


@pytest.mark.parametrize("kind", ["griffin-lim", "vocos", "parallel-wavegan"])
def test_iterations_are_loops_in_onnx_and_give_the_same_sound(tmp_path, kind):
    """As many operations for eight iterations as for two, and the same sound for any batch and frames."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    import onnx as onnx_package
    import onnxruntime

    counts = []
    for iterations in (2, 8):
        generator = on_iterations(kind, iterations)
        (path,) = onnx.export_onnx(generator, tmp_path / "vocoder.onnx")
        counts.append(operations(onnx_package.load(path).graph))
    assert counts[0] == counts[1]
    assert counts[1]["Loop"] == 2  # of magnitudes and of phases
    assert counts[1].total() < 800
    session = onnxruntime.InferenceSession(path)
    for batch, frames in ((1, 5), (3, 40), (1, 1)):
        x = noise(frames, batch)
        (got,) = session.run(None, {"mel": x.numpy()})
        expected = sound(generator, x)
        assert got.shape == expected.shape == (batch, frames * 128)
        assert expected.std() > 1e-2
        assert (torch.from_numpy(got) - expected).abs().max() < 1e-5 * max(1, expected.abs().max())


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
