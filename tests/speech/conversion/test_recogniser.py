"""The recogniser and its loss: padding, clips without text, brute force."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import batch, conversion

from polygan_speech.conversion.frames import frame_counts, log_mels
from polygan_speech.conversion.losses import content_distance, ctc
from polygan_speech.conversion.recogniser import Recogniser
from polygan_speech.conversion.transcripts import heard


def test_ctc_is_minus_the_log_of_the_sum_over_all_paths():
    logits = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    probability = logits.softmax(2)[0]
    for word in ([1], [1, 2], [2, 2], [1, 2, 1]):
        total = sum(
            torch.stack([probability[t, s] for t, s in enumerate(path)]).prod()
            for path in itertools.product(range(3), repeat=4)
            if [s for s, _ in itertools.groupby(path) if s] == word
        )
        found = ctc(logits, torch.tensor([4]), torch.tensor([word]), torch.tensor([len(word)]))
        assert float(found) == pytest.approx(-float(total.log()) / len(word), abs=1e-12)


def test_samples_without_text_or_with_too_much_count_nothing_and_have_no_gradient():
    logits = torch.randn(3, 4, 3, dtype=torch.float64, requires_grad=True)
    symbols, steps = torch.tensor([[1, 2, 0], [0, 0, 0], [1, 1, 1]]), torch.tensor([4, 4, 4])
    loss = ctc(logits, steps, symbols, torch.tensor([2, 0, 3]))
    loss.backward()
    alone = ctc(logits[:1], steps[:1], symbols[:1], torch.tensor([2]))
    assert loss.item() == pytest.approx(alone.item() / 3)
    assert logits.grad is not None
    assert (logits.grad[0] != 0).any()
    assert (logits.grad[1:] == 0).all()


def test_a_padded_clip_is_heard_as_it_is_alone():
    recipe = conversion()
    network = recipe.networks()["content"].double()
    torch.nn.init.normal_(network.embed.weight)
    given = batch(dtype=torch.float64, room=700)
    symbols, counts = recipe.alphabet.of_bytes(given["text"], given["text_length"])

    def loss(rows, samples):
        part = {k: v[rows] for k, v in given.items()}
        frames = frame_counts(recipe.mel, part["waveform_length"])
        features, logits = network(log_mels(recipe.mel, part["waveform"][:, :samples]), frames)
        return features, ctc(logits, Recogniser.steps(frames), symbols[rows], counts[rows])

    features, together = loss(slice(0, 4), None)
    losses = []
    for i, length in enumerate(given["waveform_length"].tolist()):
        own, alone = loss(slice(i, i + 1), length)
        steps = (length // recipe.mel.hop_length + 1) // 2
        assert torch.allclose(features[i, :steps], own[0, :steps], atol=1e-9), i
        losses.append(alone)
    assert together.item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-9)
    assert losses[0].item() > 0
    assert losses[1].item() == 0, "the second clip has no transcript"


def test_two_languages_share_an_alphabet_of_small_letters():
    alphabet = heard("AaBbé ,.!'1")
    assert alphabet.symbols == " '1abé"
    text = torch.tensor([[*"Bé, A!".encode()]], dtype=torch.uint8)
    numbers, counts = alphabet.of_bytes(text, torch.tensor([text.shape[1]]))
    assert [alphabet.symbols[n - 1] for n in numbers[0, : int(counts[0])]] == ["b", "é", " ", "a"]


def test_content_is_compared_without_what_is_constant():
    given = torch.randn(2, 9, 4)
    made = (given + torch.randn(2, 1, 4)).requires_grad_()
    assert content_distance(given, made) < 1e-6
    moved = content_distance(given, given.flip(1))
    assert moved > 0.1
