"""Vocoders as ONNX files that take a recording: the same mel and the same sound as in torch, whole and in pieces."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from small_generators import SMALL3, made

from polygan import CheckpointError, ConfigError
from polygan_audio.formats import recordings
from polygan_audio.formats.recordings import Exported, LogMel, trial_recordings
from polygan_audio.networks import parallel_wavegan, vocos
from polygan_audio.networks.excitation import GriffinLim
from polygan_audio.networks.melspec import PRESETS, MelSpec

onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
MEL = MelSpec(sample_rate=8000, n_fft=256, win_length=200, hop_length=50, n_mels=20, padding="center", log="log10")
RECIPE = SimpleNamespace(origin={"recipe": "audio/vocos"}, runs=None)


def small_vocos(spec=MEL):
    torch.manual_seed(0)
    generator = vocos.Generator(spec, 16, 32, 1, prior="pseudo-inverse").eval()
    nn.init.normal_(generator.head.weight, 0, 0.1)
    return generator


def small_wavegan():
    torch.manual_seed(0)
    shape = parallel_wavegan.Shape(scales=(5, 10), layers=2, stacks=1, channels=8, gates=16, skips=8)
    return parallel_wavegan.Generator(shape, MEL).eval()


def written(tmp_path, generator):
    (path,) = recordings.export(RECIPE, {"generator": generator}, tmp_path / "v", Exported(given="recording"))
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    facts = json.loads(onnx.load(path).metadata_props[-1].value)

    def run(**given):
        return [torch.from_numpy(x) for x in session.run(None, {name: x.numpy() for name, x in given.items()})]

    return run, facts


def recording(samples, rate=8000):
    time = torch.arange(samples) / rate
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    return (0.3 * torch.sin(2 * torch.pi * 230 * time) * (2 * time).sin() + 0.02 * noise)[None]


@pytest.mark.parametrize("spec", [*PRESETS.values(), MEL], ids=[*PRESETS, "short windows"])
def test_the_front_end_is_that_of_torch(spec):
    """Float64 has the mel of float32, and of float64 to the last digits."""
    for given in trial_recordings(spec):
        whole = recordings.whole_hops(given, spec.hop_length)
        frames = whole.shape[1] // spec.hop_length
        found = LogMel(spec)(whole)
        assert found.dtype == torch.float32
        assert found.shape == (1, spec.n_mels, frames)
        assert (found - spec(whole.double())[..., :frames]).abs().max() < 1e-5
        assert (found - spec(whole)[..., :frames]).abs().max() < 1e-3


@pytest.mark.parametrize(
    "make", [small_vocos, small_wavegan, lambda: made(SMALL3)], ids=["vocos", "wavegan", "hifigan"]
)
def test_a_recording_becomes_what_torch_makes_of_it(tmp_path, make):
    generator = make()
    run, facts = written(tmp_path, generator)
    spec, noisy = generator.mel, isinstance(generator, parallel_wavegan.Generator)
    assert facts["recipe"] == "audio/vocos"
    assert (facts["kind"], facts["sample_rate"], facts["least"]) == ("resynthesis", spec.sample_rate, spec.pad + 1)
    for samples in (spec.pad + 1, 37 * spec.hop_length, 40 * spec.hop_length + 13):
        given = recording(samples, spec.sample_rate)
        noise = {"noise": torch.randn(1, samples)} if noisy else {}
        sound, mel, remade = run(recording=given, **noise)
        hop = spec.hop_length
        whole = F.pad(given, (0, -samples % hop))
        wanted = spec(whole)[..., : whole.shape[1] // hop]
        beside = [F.pad(noise["noise"], (0, -samples % hop))] if noisy else []
        with torch.no_grad():
            expected = generator(wanted, *beside).clamp(-1, 1)
        assert sound.shape == given.shape
        assert (mel - wanted).abs().max() < 1e-3
        assert (sound - expected[:, :samples]).abs().max() < 1e-4
        assert expected.std() > 1e-3
        assert (remade - spec(expected)[..., : remade.shape[2]]).abs().max() < 1e-2


def test_pieces_that_see_their_context_are_the_whole(tmp_path):
    generator = small_vocos()
    run, facts = written(tmp_path, generator)
    given = recording(120 * 50 + 20)
    whole, mel, _ = run(recording=given)
    hop, context, parts, mels = facts["hop_length"], facts["context"], [], []
    for begin, end in ((0, 40), (40, 80), (80, 121)):
        first = max(0, begin - context)
        sound, part, _ = run(recording=given[:, first * hop : (end + context) * hop])
        parts.append(sound[:, (begin - first) * hop : (end - first) * hop])
        mels.append(part[..., begin - first : end - first])
    assert context < 40
    assert torch.cat(parts, 1).shape == whole.shape
    assert (torch.cat(parts, 1) - whole).abs().max() < 1e-5
    assert (torch.cat(mels, 2) - mel).abs().max() < 1e-5


def test_silence_stays_finite(tmp_path):
    run, _ = written(tmp_path, small_vocos())
    for made_of_it in run(recording=torch.zeros(1, 900)):
        assert made_of_it.isfinite().all()


def test_griffin_lim_takes_recordings(tmp_path):
    """After iterations by other matrices, sounds are the same to a hundredth."""
    generator = GriffinLim(dataclasses.replace(MEL, padding="same"), 8, 4).eval()
    run, _ = written(tmp_path, generator)
    sound, mel, _ = run(recording=recording(2000))
    expected = generator(mel).clamp(-1, 1)
    assert (sound - expected).square().mean().sqrt() < 0.01 * expected.square().mean().sqrt()


def test_without_the_option_the_file_takes_mels(tmp_path):
    for options in (None, Exported()):
        (path,) = recordings.export(RECIPE, {"generator": small_vocos()}, tmp_path / "v", options)
        assert [port.name for port in runtime.InferenceSession(path).get_inputs()] == ["mel"]


def test_another_network_and_a_front_end_of_its_own_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="takes the generator of a vocoder; this is a Linear"):
        recordings.export(RECIPE, {"generator": nn.Linear(1, 1)}, tmp_path / "v", Exported(given="recording"))
    monkeypatch.setattr(LogMel, "forward", lambda self, x, own=LogMel.forward: own(self, x) + 0.01)
    with pytest.raises(CheckpointError, match="makes something else than its source: log-mels differ by"):
        written(tmp_path, small_vocos())
