"""NVIDIA's network and torchaudio's: the same weights give the same speech."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_tacotron2 import STILL, golden, golden_state, settled

from polygan_speech.attention import Stop
from polygan_speech.formats.tacotron2 import convert

NEVER = Stop(gate=1, patience=0)
SIZES = {
    "n_mels": 6,
    "n_symbol": 11,
    "symbol_embedding_dim": 16,
    "encoder_embedding_dim": 16,
    "decoder_rnn_dim": 24,
    "attention_rnn_dim": 20,
    "attention_hidden_dim": 8,
    "attention_location_n_filter": 4,
    "attention_location_kernel_size": 7,
    "prenet_dim": 12,
    "postnet_embedding_dim": 10,
    "postnet_n_convolution": 3,
}


def off(made, wanted):
    assert made.shape == wanted.shape
    assert wanted.std() > 0
    return float((made - wanted).abs().max())


@torch.no_grad()
def test_frames_from_true_frames_are_nvidias():
    found = golden()
    network = convert(golden_state()).network(**STILL)
    network.masked = False  # NVIDIA's convolutions see the padding of the second text
    made = network(found["text"], found["text_lengths"], found["mel"], found["mel_lengths"])
    assert off(made.mel, found["mel_out"]) < 1e-5
    assert off(made.post, found["mel_postnet"]) < 1e-5
    assert (made.stop_logits - found["gate"]).abs().max() < 1e-5
    assert off(made.alignment, found["alignments"]) < 1e-5


@torch.no_grad()
def test_the_text_without_padding_is_nvidias_with_masks_too():
    found = golden()
    network = convert(golden_state()).network(**STILL)
    made = network(found["text"], found["text_lengths"], found["mel"], found["mel_lengths"])
    assert off(made.post[:1], found["mel_postnet"][:1]) < 1e-5
    assert off(made.alignment[:1], found["alignments"][:1]) < 1e-5
    assert (made.post[1] - found["mel_postnet"][1]).abs().max() > 1e-4


def test_speech_without_true_frames_is_nvidias():
    found = golden()
    network = convert(golden_state()).network(**STILL)
    post, alignment = network.infer(found["text"][:1], max_frames=40, stop=NEVER)
    assert off(post, found["inference_mel_postnet"][0]) < 1e-5
    assert off(alignment, found["inference_alignments"][0]) < 1e-5
    gate = network.decoder.infer(network.encode(found["text"][:1], torch.tensor([12])), None, NEVER, 40).stop_logits
    assert off(gate[0].detach(), found["inference_gate"][0, :, 0]) < 1e-5


def theirs():
    models = pytest.importorskip("torchaudio.models")
    torch.manual_seed(0)
    return settled(models.Tacotron2(**SIZES, decoder_max_step=15))


@torch.no_grad()
def test_frames_from_true_frames_are_torchaudios_with_the_prenets_dropout():
    network = theirs()
    ours = convert(network.state_dict()).network()
    ids = torch.randint(0, 11, (2, 7), generator=torch.Generator().manual_seed(1))
    mel, lengths, frames = torch.randn(2, 6, 9), torch.tensor([7, 7]), torch.tensor([9, 9])
    torch.manual_seed(4)
    mel_1, post_1, gate_1, alignment_1 = network(ids, lengths, mel, frames)
    torch.manual_seed(4)
    made = ours(ids, lengths, mel, frames)
    for mine, other in zip(made, (mel_1, post_1, gate_1, alignment_1), strict=True):
        assert off(mine, other) < 1e-5
    assert (ours(ids, lengths, mel, frames).mel - made.mel).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:Reached max decoder steps")
def test_speech_without_true_frames_is_torchaudios_by_the_same_seed():
    network = theirs()
    ours = convert(network.state_dict()).network()
    ids = torch.randint(0, 11, (1, 7), generator=torch.Generator().manual_seed(1))
    for bias in (-50.0, 0.0):
        network.decoder.gate_layer.bias.fill_(bias)
        ours.decoder.gate_layer.bias.fill_(bias)
        torch.manual_seed(4)
        post, frames, alignment = network.infer(ids)
        made, looked = ours.infer(ids, torch.Generator().manual_seed(4), max_frames=15, stop=Stop(patience=0))
        assert made.shape[1] == int(frames)
        assert off(made, post[0]) < 1e-5
        assert off(looked, alignment[0]) < 1e-5
    assert int(frames) < 15
