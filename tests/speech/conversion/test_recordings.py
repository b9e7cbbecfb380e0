"""Voice conversion as one ONNX file from recording to recording: pitch, mel and sound as in torch, whole and in pieces."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import INFO, RATE, conversion, voice

from polygan import CheckpointError, ConfigError
from polygan_audio import vocoding
from polygan_audio.networks import vocos
from polygan_audio.networks.melspec import PRESETS
from polygan_speech.conversion import recordings
from polygan_speech.conversion.making import Converter
from polygan_speech.conversion.pitch import pitch_of
from polygan_speech.conversion.settings import Exported

onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
_DRAW = torch.Generator()
FACTS = {
    name: {"mel_mean": [-6.0] * 20, "mel_deviation": [2.0] * 20, "pitch_mean": mean, "pitch_deviation": 0.2}
    for name, mean in (("ann", 5.3), ("bob", 4.7))
}


@pytest.fixture
def networks(monkeypatch):
    """A recipe, its networks with weights that change a mel, and a vocoder that all exports find by the name ``small``."""
    recipe = conversion({**INFO, "voices": FACTS})
    networks = recipe.networks()
    torch.manual_seed(0)
    for p in networks["generator"].parameters():
        torch.nn.init.normal_(p, std=0.1)
    vocoder = vocos.Generator(recipe.mel, 16, 32, 1, prior="pseudo-inverse").eval()
    torch.nn.init.normal_(vocoder.head.weight, 0, 0.05)
    known = vocoding.network

    def network(name, spec, runs=None):
        return vocoder if name == "small" else known(name, spec, runs)

    monkeypatch.setattr(vocoding, "network", network)
    return recipe, networks, vocoder


def written(tmp_path, recipe, networks, vocoder="small"):
    (path,) = recordings.export(recipe, networks, tmp_path / "voices", Exported(vocoder=vocoder))
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_outputs()]

    def run(recording, speaker, known=(0.0, 0.0)):
        given = {"recording": recording.numpy(), "speaker": torch.tensor([speaker]).numpy()}
        made = session.run(None, given | {"voice": torch.tensor(known).numpy()})
        return dict(zip(names, map(torch.from_numpy, made), strict=True))

    return run, {p.key: json.loads(p.value) for p in onnx.load(path).metadata_props}["polygan"]


def spoken(samples):
    """A voiced stretch, silence, and another pitch; each swells and fades, so that no frame is between two pitches that are equally good."""
    third = samples // 3
    one, two = voice(180.0, third), voice(140.0, samples - 2 * third, 1)
    one, two = (
        x * torch.hann_window(len(x)) + 0.002 * torch.randn(len(x), generator=_DRAW.manual_seed(0)) for x in (one, two)
    )
    return torch.cat([one, torch.zeros(third), two])[None]


@pytest.mark.parametrize("name", ["hifigan", "speecht5", "vocos_48k"])
def test_the_pitch_is_that_of_torch(name):
    """In float64 by matrices, within a ten thousandth; voiced and unvoiced frames are the same."""
    spec = PRESETS[name]
    time = torch.arange(60 * spec.hop_length) / spec.sample_rate
    phase = 2 * torch.pi * (120 * time + 30 * time.square())
    sound = torch.stack([(n * phase).sin() / n for n in range(1, 8)]).sum(0) * (time > 0.2) * 0.2
    sound = (sound + 0.005 * torch.randn(len(time), generator=torch.Generator().manual_seed(0)))[None]
    expected = pitch_of(sound, spec, torch.arange(60)[None])
    found = recordings.Pitch(spec)(sound)
    assert torch.equal(expected > 0, found > 0)
    assert 0.3 < (expected > 0).float().mean() < 0.95
    assert ((found - expected).abs() <= 1e-4 * expected).all()


@pytest.mark.parametrize(("speaker", "source"), [(1, -1), (0, 1)])
def test_a_recording_becomes_what_python_converts_it_to(tmp_path, networks, speaker, source):
    recipe, networks, vocoder = networks
    run, facts = written(tmp_path, recipe, networks)
    generator = networks["generator"].eval()
    given = spoken(5000)
    whole = torch.nn.functional.pad(given, (0, -5000 % 64))
    known = (0.0, 0.0) if source < 0 else (FACTS["bob"]["pitch_mean"], FACTS["bob"]["pitch_deviation"])
    found = run(given, speaker, known)
    mel = torch.cat([*Converter(generator, source, speaker).stream([whole[0].double()])], 1)[None]
    assert found["mel"].shape == mel.shape
    assert (found["mel"] - mel).abs().max() < 1e-4
    with torch.no_grad():
        expected = vocoder(mel).clamp(-1, 1)[:, :5000]
    assert found["waveform"].shape == given.shape
    assert (found["waveform"] - expected).abs().max() < 1e-4
    assert expected.std() > 1e-3
    assert torch.equal(found["pitch"] > 0, pitch_of(whole, recipe.mel, torch.arange(whole.shape[1] // 64)[None]) > 0)
    voiced = found["pitch"][found["pitch"] > 0]
    heard = (float(voiced.log().mean()), 0.2) if source < 0 else known
    assert found["taken"].tolist() == pytest.approx(heard, abs=1e-4)
    other = run(given, 1 - speaker, known)
    assert (other["waveform"] - found["waveform"]).std() > 0.1 * expected.std()
    assert (facts["kind"], facts["vocoder"], facts["speakers"], facts["sample_rate"]) == (
        "converted",
        "small",
        ["ann", "bob"],
        RATE,
    )


def test_pieces_that_see_their_context_are_the_whole(tmp_path, networks):
    recipe, networks, _ = networks
    run, facts = written(tmp_path, recipe, networks)
    hop, context, given = facts["hop_length"], facts["context"], spoken(150 * 64 + 7)
    whole, parts = run(given, 0, (4.9, 0.2)), []
    for begin, end in ((0, 50), (50, 100), (100, 151)):
        first = max(0, begin - context)
        found = run(given[:, first * hop : (end + context) * hop], 0, (4.9, 0.2))
        parts.append(found["waveform"][:, (begin - first) * hop : (end - first) * hop])
    assert context < 50
    assert (torch.cat(parts, 1) - whole["waveform"]).abs().max() < 1e-4


def test_silence_stays_silent_and_tells_nothing_of_the_voice(tmp_path, networks):
    recipe, networks, _ = networks
    run, _ = written(tmp_path, recipe, networks)
    for samples in (1, 700):
        found = run(torch.zeros(1, samples), 0)
        assert all(made.isfinite().all() for made in found.values())
        assert found["waveform"].shape == (1, samples)
        assert not found["pitch"].any()
        assert found["taken"].tolist() == [0, 0]


def test_without_a_vocoder_the_file_takes_mels(tmp_path, networks):
    recipe, networks, _ = networks
    (path,) = recordings.export(recipe, networks, tmp_path / "voices", Exported())
    assert [port.name for port in runtime.InferenceSession(path).get_inputs()] == ["mel", "label", "pitch"]


def test_what_cannot_be_is_one_line(tmp_path, networks, monkeypatch):
    recipe, networks, _ = networks
    with pytest.raises(ConfigError, match="vocoder = 'nowhere' is neither a run nor an exported file"):
        written(tmp_path, recipe, networks, "nowhere")
    with pytest.raises(ConfigError, match="takes a generator of voices; this is a Linear"):
        written(tmp_path, recipe, {"generator": torch.nn.Linear(1, 1)})
    monkeypatch.setattr(recordings.Pitch, "forward", lambda self, x, own=recordings.Pitch.forward: own(self, x) * 2)
    with pytest.raises(CheckpointError, match="makes something else than its source: pitches differ by"):
        written(tmp_path, recipe, networks)
