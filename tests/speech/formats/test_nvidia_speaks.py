"""audio/tacotron2 with attention: published weights speak, learn on, and are exported."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import polygan
from polygan_speech.attention import SMALL, Tacotron2

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "attention")]
from small_speech import TEXTS, batch_of, speech, trainer
from small_tacotron2 import TINY, nvidias, settled


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """A small network with NVIDIA's symbols and bands, as published, imported."""
    folder = tmp_path_factory.mktemp("voice")
    torch.manual_seed(0)
    network = settled(Tacotron2(148, 80, TINY))
    with torch.no_grad():
        network.decoder.gate_layer.bias.fill_(-50)
    torch.save({"state_dict": nvidias(network)}, folder / "tacotron2.pt")
    files = polygan.import_weights("audio/tacotron2", folder / "tacotron2.pt", folder / "imported")
    return network, files


def test_published_weights_speak_and_the_same_seed_says_the_same(voice):
    network, files = voice
    assert [f.name for f in files] == ["imported.safetensors", "imported.json"]
    run = polygan.load(files[0], device="cpu")
    a, b, other = (run.generate(given=["Hi."], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(a.data[0], b.data[0])
    assert not torch.equal(a.extra["mel"][0], other.extra["mel"][0])
    assert a.extra["mel"][0].shape[0] == 80
    frames, symbols = a.extra["alignment"][0].shape
    assert symbols == 3  # "hi." and no pad around it
    assert frames <= 160  # the cap from the text's length
    inner = run.networks["generator"].network
    assert torch.equal(inner.embedding.weight, network.embedding.weight)


def test_text_is_read_as_nvidia_reads(voice):
    spelling = polygan.load(voice[1][0], device="cpu").recipe.spelling
    assert len(spelling.alphabet) == 148
    assert spelling.encode(spelling.written("Hi, {HH AH0}!")) == [45, 46, 6, 11, 106, 73, 2]


def test_attention_learns_with_the_aligner_and_through_the_game():
    recipe = speech(decoder="attention", pretrain_steps=1)
    assert recipe.networks()["generator"].network.shape == SMALL
    training = trainer(recipe, batch_of(TEXTS[:2]))
    network = training.networks()["generator"].network
    before = {name: value.clone() for name, value in network.named_parameters()}
    for _ in range(2):  # spectra, then the game
        training.iterate()
    for name, value in network.named_parameters():
        assert value.isfinite().all(), name
        assert not torch.equal(value, before[name]), name


def test_attention_is_exported_in_three_files(voice, tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    files = polygan.load(voice[1][0], device="cpu").export(tmp_path / "voice.onnx")
    assert sorted(f.name for f in files) == ["voice-encoder.onnx", "voice-postnet.onnx", "voice-step.onnx"]
    session = runtime.InferenceSession(tmp_path / "voice-encoder.onnx")
    facts = json.loads(session.get_modelmeta().custom_metadata_map["polygan"])
    assert (facts["mel"]["sample_rate"], facts["symbols"][37]) == (22_050, "a")
    ids = np.array([[45, 46, 7]])
    memory, _ = session.run(None, {"ids": ids})
    with torch.no_grad():
        wanted = voice[0].encode(torch.tensor(ids), torch.tensor([3]))
    assert np.abs(memory - wanted.numpy()).max() < 1e-5
