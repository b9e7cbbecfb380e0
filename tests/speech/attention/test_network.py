"""Tacotron 2: padding, gradients, reduction, speakers, and the rules by which a sentence ends."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_tacotron2 import STILL, TINY, batch, tiny

from polygan import ConfigError
from polygan_speech.attention import ORIGINAL, SMALL, Shape, Stop, Tacotron2

NEVER = Stop(gate=1, patience=0)


def one(row, ids, lengths, mel, frames):
    return (
        ids[row : row + 1, : lengths[row]],
        lengths[row : row + 1],
        mel[row : row + 1, :, : frames[row]],
        frames[row : row + 1],
    )


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"reduction": 2}, {"reduction": 3}])
def test_a_padded_batch_is_as_each_alone(changes):
    network, everything = tiny(**{**STILL, **changes}), batch()
    together = network(*everything)
    for row in range(3):
        alone = network(*one(row, *everything))
        s, f = everything[1][row], everything[3][row]
        for name in ("mel", "post"):
            found = getattr(together, name)[row]
            assert (found[:, :f] - getattr(alone, name)[0]).abs().max() < 1e-6, name
            assert not found[:, f:].any()
        assert (together.stop_logits[row, :f] - alone.stop_logits[0]).abs().max() < 1e-6
        assert (together.stop_logits[row, f:] == 1000).all()
        assert (together.alignment[row, :f, :s] - alone.alignment[0]).abs().max() < 1e-6
        assert not together.alignment[row, :, s:].any()


@torch.no_grad()
def test_what_stands_behind_a_clip_changes_nothing():
    network = tiny(**STILL)
    ids, lengths, mel, frames = batch()
    ids_2, mel_2 = ids.clone(), mel.clone()
    for row in range(3):
        ids_2[row, lengths[row] :] = 9
        mel_2[row, :, frames[row] :] = 7
    for a, b in zip(network(ids, lengths, mel, frames)[:3], network(ids_2, lengths, mel_2, frames)[:3], strict=True):
        assert torch.equal(a, b)


@torch.no_grad()
def test_unmasked_convolutions_see_the_padding():
    network, everything = tiny(**STILL), batch()
    masked = network(*everything).post[2]
    network.masked = False
    assert (network(*everything).post[2] - masked).abs().max() > 1e-4


@pytest.mark.parametrize("changes", [{}, STILL, {"reduction": 2, "speaker": "add"}])
def test_gradients_reach_every_tensor_and_are_finite_with_lengths_in_no_order(changes):
    network = tiny(speakers=3, **changes).train()
    mel = batch()[2].requires_grad_()
    ids, lengths, _, frames = batch()
    made = network(ids, lengths, mel, frames, torch.tensor([0, 1, 2]))
    inside = torch.arange(12) < frames[:, None]
    loss = made.post.square().mean() + made.mel.abs().mean() + made.stop_logits[inside].sigmoid().mean()
    (loss + made.alignment.square().mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all(), name
        if not name.endswith(".0.bias"):  # the norm behind a convolution takes its bias away
            assert parameter.grad.abs().max() > 1e-9, name
    assert mel.grad.isfinite().all()
    assert mel.grad.abs().max() > 0
    assert torch.equal(mel.detach(), batch()[2])


def test_gradients_are_those_of_finite_differences():
    network = tiny(**STILL, reduction=2).double()
    everything = batch()
    mel = everything[2].double()

    def loss():
        return network(everything[0], everything[1], mel, everything[3]).post.square().sum()

    loss().backward()
    draw = torch.Generator().manual_seed(1)
    for name, parameter in network.named_parameters():
        if name.startswith(("decoder.gate", "speakers")):
            continue
        direction = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
        with torch.no_grad():
            ends = []
            for sign in (1e-6, -1e-6):
                parameter += sign * direction
                ends.append(loss())
                parameter -= sign * direction
        slope = (parameter.grad * direction).sum()
        assert abs(float((ends[0] - ends[1]) / 2e-6 - slope)) < 1e-5 * max(1.0, abs(float(slope))), name


@torch.no_grad()
def test_a_step_of_two_frames_sees_only_frames_before_it():
    network = tiny(**STILL, reduction=2)
    ids, lengths, mel, frames = batch(frames=(8, 8, 8))
    before = network(ids, lengths, mel, frames).mel
    mel[:, :, 4:6] += 1
    after = network(ids, lengths, mel, frames).mel
    changed = (after - before).abs().amax((0, 1)) > 1e-6
    assert changed.tolist() == [False] * 6 + [True] * 2


@torch.no_grad()
def test_synthesis_goes_on_as_training_does_from_the_same_frames():
    network = tiny(**STILL, reduction=2)
    ids = batch()[0][1:2]
    post, alignment = network.infer(ids, max_frames=8, stop=NEVER)
    rough = network.decoder.infer(network.encode(ids, torch.tensor([7])), None, NEVER, 8).mel
    again = network(ids, torch.tensor([7]), rough, torch.tensor([8]))
    assert (post.shape, alignment.shape) == ((6, 8), (8, 7))
    assert (again.post[0] - post).abs().max() < 1e-5
    assert (again.alignment[0] - alignment).abs().max() < 1e-6


def test_the_same_seed_gives_the_same_speech_and_another_seed_another():
    network, ids = tiny(), batch()[0][1:2]
    made = [network.infer(ids, torch.Generator().manual_seed(s), max_frames=6, stop=NEVER)[0] for s in (1, 1, 2)]
    torch.manual_seed(5)  # the global generator has no part in it
    assert torch.equal(made[0], made[1])
    assert torch.equal(network.infer(ids, torch.Generator().manual_seed(1), max_frames=6, stop=NEVER)[0], made[0])
    assert (made[0] - made[2]).abs().max() > 1e-3


def test_the_prenet_drops_in_evaluation_too_and_an_option_ends_that():
    network, everything = tiny(), batch()
    torch.manual_seed(0)
    first = network(*everything).mel
    torch.manual_seed(0)
    assert torch.equal(network(*everything).mel, first)
    assert (network(*everything).mel - first).abs().max() > 1e-3
    still = tiny(prenet_dropout=0.0)
    assert torch.equal(still(*everything).mel, still(*everything).mel)


@torch.no_grad()
def test_the_gate_ends_a_sentence():
    network, ids = tiny(**STILL, reduction=2), batch()[0][1:2]
    network.decoder.gate_layer.bias.fill_(50)
    assert network.infer(ids)[0].shape == (6, 2)
    network.decoder.gate_layer.bias.fill_(-50)
    assert network.infer(ids, max_frames=9, stop=Stop(patience=0))[0].shape == (6, 10)  # in whole steps


@torch.no_grad()
def test_the_last_symbol_attended_for_long_ends_a_sentence():
    network = tiny(**STILL)
    network.decoder.gate_layer.bias.fill_(-50)
    only = torch.tensor([[3]])  # the only symbol is the last one, and always attended
    assert network.infer(only, stop=Stop(patience=5))[0].shape == (6, 5)
    assert network.infer(only, stop=Stop(patience=0, slack=7, frames_per_symbol=2))[0].shape == (6, 9)
    pair = torch.tensor([[3, 4]])
    network.decoder.attention_layer.v.weight.zero_()  # both symbols alike: the first is found first
    assert network.infer(pair, stop=Stop(patience=5, slack=8, frames_per_symbol=0))[0].shape == (6, 8)


@torch.no_grad()
@pytest.mark.parametrize("speaker", ["concat", "add"])
def test_speakers_differ(speaker):
    network = tiny(speakers=2, speaker=speaker, **STILL)
    everything = batch()
    a, b = (network(*everything, torch.full((3,), i)).mel for i in (0, 1))
    assert (a - b).abs().max() > 1e-3
    memory = network.encode(*everything[:2], torch.zeros(3, dtype=torch.int64))
    assert memory.shape == (3, 7, TINY.width + TINY.speaker_width * (speaker == "concat"))
    assert not memory[0, 4:].any()
    with pytest.raises(ConfigError, match=r"knows 2 speakers; name one"):
        network(*everything)


@torch.no_grad()
def test_languages_differ():
    network, everything, speaker = tiny(speakers=2, languages=2, **STILL), batch(), torch.zeros(3, dtype=torch.int64)
    a, b = (network(*everything, speaker, torch.full((3,), i)).mel for i in (0, 1))
    assert (a - b).abs().max() > 1e-3
    alone = network.encode(everything[0][:1, :4], everything[1][:1], speaker[:1], speaker[:1])
    assert (network.encode(*everything[:2], speaker, speaker)[0, :4] - alone[0]).abs().max() < 1e-5
    with pytest.raises(ConfigError, match=r"knows 2 languages; name one"):
        network(*everything, speaker)


@pytest.mark.parametrize("shape", [TINY, replace(TINY, **STILL), replace(TINY, reduction=2)])
def test_no_value_is_read_so_the_meta_device_plays_a_turn(shape):
    with torch.device("meta"):
        network = Tacotron2(11, 6, shape, 2).train()
        ids, mel = torch.zeros(3, 7, dtype=torch.int64), torch.zeros(3, 6, 9)
        lengths = torch.zeros(3, dtype=torch.int64)
        made = network(ids, lengths, mel, lengths, lengths)
        (made.post.mean() + made.stop_logits.mean() + made.alignment.mean()).backward()
    assert [x.shape for x in made] == [(3, 6, 9), (3, 6, 9), (3, 9), (3, 9, 7)]


def test_low_precision_keeps_the_attention_in_float32():
    network, everything = tiny(**STILL), batch()
    exact = network(*everything)
    with torch.autocast("cpu", torch.bfloat16):
        made = network(*everything)
    assert made.alignment.dtype == torch.float32
    assert (made.alignment.sum(2) - 1).abs().max() < 1e-5
    assert (made.post - exact.post).abs().max() < 0.2


def test_the_presets_have_the_sizes_that_they_say():
    with torch.device("meta"):
        count = sum(p.numel() for p in Tacotron2(148, 80, ORIGINAL).parameters())
    assert count == 28_193_153  # NVIDIA's network
    assert (SMALL.width, SMALL.attention_units, SMALL.decoder_units, SMALL.reduction) == (256, 256, 256, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"location_kernel": 4}, "location_kernel = 4 is not odd"),
        ({"width": 9}, "width = 9 is not even"),
        ({"prenet": 0}, "prenet = 0 is too small"),
        ({"postnet_layers": 1}, "postnet_layers = 1 at least 2"),
        ({"reduction": 0}, "reduction = 0"),
        ({"prenet_dropout": 1.0}, r"prenet_dropout = 1.0 is not in \[0, 1\)"),
    ],
)
def test_sizes_that_cannot_be_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        Shape(**changes)


def test_rules_and_sentences_that_cannot_be_are_named():
    for changes in ({"gate": 0}, {"gate": 1.5}, {"patience": -1}, {"slack": 0}, {"frames_per_symbol": -1}):
        with pytest.raises(ConfigError, match=f"{next(iter(changes))} = "):
            Stop(**changes)
    for size in ((2, 3), (1, 0)):
        with pytest.raises(ConfigError, match="one sentence at a time"):
            tiny().infer(torch.zeros(size, dtype=torch.int64))
