"""The parallel network: padding, places of frames, durations of speech."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from polygan_speech.aligning.paths import spread
from polygan_speech.parallel.discriminator import Patches, windows
from polygan_speech.parallel.embedding import PhonemeEmbedding
from polygan_speech.parallel.network import Parallel, Prosody, Size, places
from polygan_speech.text.phonemes import PARTS


def network(speakers=0, languages=0, letters=False):
    torch.manual_seed(0)
    size = Size(16, 32, 2, 2, 0.1)
    made = Parallel(partial(nn.Embedding, 9), 6, speakers, size, 6.0, languages, letters=letters).double().eval()
    for parameter in made.parameters():  # what starts at 0 would hide a fault
        nn.init.normal_(parameter, std=0.2)
    return made


def inputs():
    torch.manual_seed(1)
    ids, tokens, frames = torch.randint(1, 9, (2, 6)), torch.tensor([6, 4]), torch.tensor([12, 7])
    path = torch.stack([torch.arange(12) // 2, torch.tensor([0, 0, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3])])
    prosody = Prosody(*torch.randn(3, 2, 6, dtype=torch.float64))
    return ids, tokens, spread(path, frames, 6, torch.float64), frames, prosody


def test_a_padded_text_is_encoded_and_spoken_as_it_is_alone():
    model, (ids, tokens, said, frames, prosody) = network(), inputs()
    mel, found = model(ids, tokens, said, frames, prosody)
    short = Prosody(*(p[1:, :4] for p in prosody))
    alone, alone_found = model(ids[1:, :4], tokens[1:], said[1:, :7, :4], frames[1:], short)
    assert (mel[1, :, :7] - alone[0]).abs().max() < 1e-12
    assert not mel[1, :, 7:].any()
    for together, one in zip(found, alone_found, strict=True):
        assert (together[1, :4] - one[0]).abs().max() < 1e-12
    assert (model.encode(ids, tokens)[1, :4] - model.encode(ids[1:, :4], tokens[1:])[0]).abs().max() < 1e-12


def test_places_say_where_in_its_symbol_a_frame_lies():
    said = spread(torch.tensor([[0, 0, 0, 1]]), torch.tensor([4]), 2)
    found = places(said)[0]
    assert found[:, 0].tolist() == pytest.approx([1 / 6, 0.5, 5 / 6, 0.5])
    assert found[:, 1].expm1().tolist() == pytest.approx([0, 1, 2, 0])
    assert found[:, 2].expm1().tolist() == pytest.approx([3, 2, 1, 1])


def test_speech_is_as_long_as_its_durations_and_half_as_long_at_twice_the_pace():
    model, ids = network(), torch.randint(1, 9, (1, 40))
    mel, durations = model.speak(ids)
    assert mel.shape == (1, 6, int(durations.sum()))
    fast, _ = model.speak(ids, pace=2.0)
    assert abs(fast.shape[2] - mel.shape[2] / 2) <= 1
    assert (model.speak(ids, pitch=1.0)[0] - mel).abs().max() > 1e-3


def test_a_speaker_changes_the_mel():
    model, ids = network(2), torch.randint(1, 9, (1, 5))
    assert not torch.equal(*(model.encode(ids, torch.tensor([5]), torch.tensor([s])) for s in (0, 1)))


@pytest.mark.parametrize("letters", [False, True])
def test_a_language_changes_the_prosody_and_of_letters_also_the_sounds(letters):
    model, (ids, tokens, said, frames, prosody) = network(2, 2, letters), inputs()
    speaker, languages = torch.zeros(2, dtype=torch.int64), (torch.zeros(2, dtype=torch.int64), torch.ones(2).long())
    (one, found), (two, other) = (model(ids, tokens, said, frames, prosody, speaker, n) for n in languages)
    assert torch.equal(one, two) != letters
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(found, other, strict=True))
    spoken = [model.speak(ids[:1], speaker[:1], language=n[:1])[0] for n in languages]
    assert spoken[0].shape != spoken[1].shape or not torch.equal(*spoken)


def test_phonemes_are_the_sum_of_base_stress_and_length():
    embedding = PhonemeEmbedding(4, 5)
    one = embedding(torch.tensor([[2 * PARTS + 3 * 1 + 2]]))[0, 0]
    assert torch.equal(one, embedding.base.weight[2] + embedding.stress.weight[1] + embedding.length.weight[2])


def test_windows_are_frames_of_the_mel_and_zeros_behind_it():
    mel = torch.arange(10.0).expand(3, 2, 10) + 1
    frames = torch.tensor([10, 6, 3])
    for start, wanted in ((0.0, [1, 1, 1]), (0.99, [7, 3, 1])):
        found = windows(mel, frames, torch.full((3,), start), 4)
        assert found[:, 0, 0].tolist() == wanted
        assert found[2, 0].tolist() == [1, 2, 3, 0]
    assert windows(mel, frames, torch.zeros(3), 16).shape == (3, 2, 16)
    assert torch.equal(
        windows(mel, frames, torch.zeros(3), 16)[:, :, :10], windows(mel[..., :10], frames, torch.zeros(3), 10)
    )


def test_the_discriminator_gives_a_logit_a_patch():
    (maps,) = Patches(4)(torch.randn(2, 20, 16))
    assert maps[-1].shape[:2] == (2, 1)
    assert len(maps) == 5
