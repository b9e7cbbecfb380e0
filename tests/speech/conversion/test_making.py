"""Conversion in pieces: equal to the whole, and joined without seams."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_voices import conversion, voice

from polygan_speech.conversion import making
from polygan_speech.conversion.making import Converter, sound_of


@pytest.fixture
def generator():
    torch.manual_seed(0)
    found = conversion().networks()["generator"].eval()
    for p in found.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return found


def sound(frames, hop):
    """Two voices one after the other, with a pause between."""
    part = frames * hop // 3
    return torch.cat([voice(200.0, part), torch.zeros(part), voice(120.0, frames * hop - 2 * part)])


@pytest.mark.parametrize("source", [0, -1])
def test_pieces_are_what_the_whole_gives(generator, source, monkeypatch):
    monkeypatch.setattr(making, "PIECE", 40)
    whole = sound(300, 64)
    blocks = whole.split(777)
    if source < 0:  # the first piece tells the pitch of somebody unknown
        monkeypatch.setattr(making, "PIECE", 10_000)
        expected = torch.cat([*Converter(generator, 0, 1).stream([whole])], 1)
        unknown = torch.cat([*Converter(generator, -1, 1).stream(blocks)], 1)
        assert unknown.shape == expected.shape
        assert not torch.equal(unknown, expected)
        return
    pieces = [*Converter(generator, source, 1).stream(blocks)]
    monkeypatch.setattr(making, "PIECE", 10_000)
    expected = torch.cat([*Converter(generator, source, 1).stream([whole])], 1)
    assert len(pieces) > 3
    assert expected.shape == (20, 300)
    assert (torch.cat(pieces, 1) - expected).abs().max() < 1e-4


def test_the_context_is_what_a_frame_depends_on(generator):
    mel = torch.randn(1, 20, 61, requires_grad=True)
    pitch = torch.full((1, 61), 120.0)
    made = generator(mel, torch.tensor([1]), pitch)
    (gradient,) = torch.autograd.grad(made[0, :, 30].sum(), mel)
    reached = gradient[0].abs().sum(0).nonzero().flatten()
    assert [int(reached[0]), int(reached[-1])] == [30 - generator.context(), 30 + generator.context()]


def test_sound_in_pieces_has_no_seam_and_every_sample(monkeypatch):
    """A decoder that looks at its neighbours only gives the same sound in pieces as at once."""
    monkeypatch.setattr(making, "SOUND", 60)
    mel = torch.randn(5, 400, generator=torch.Generator().manual_seed(1))
    seen = []

    def decode(part):
        seen.append(part.shape[1])
        level = torch.nn.functional.avg_pool1d(part.mean(0)[None, None], 3, 1, 1, count_include_pad=False)[0, 0]
        return level.repeat_interleave(8)

    whole = decode(mel)
    pieces = [*sound_of(mel.split(37, 1), decode, 8)]
    assert len(pieces) > 5
    assert max(seen[1:]) <= 60 + 2 * 24
    assert torch.allclose(torch.cat(pieces), whole, atol=1e-6)


def test_pieces_of_sound_meet_where_it_is_quietest():
    mel = torch.zeros(5, 1500)
    mel[:, 500] = -9
    lengths = [len(piece) // 4 for piece in sound_of([mel], lambda part: part.mean(0).repeat_interleave(4), 4)]
    assert lengths[0] == 500
    assert sum(lengths) == 1500
