"""Players of speech: with their alignments, and in pairs with their recordings."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from polygan import Samples
from polygan_audio.data import drawing
from polygan_audio.data.domain import AudioDomain

DOMAIN = AudioDomain()


def sounds(*lengths, **extra):
    return Samples([0.1 * torch.ones(n) for n in lengths], DOMAIN, extra={"sample_rate": 8000, **extra})


@pytest.fixture
def drawn(monkeypatch):
    """The alignments that were to be drawn."""
    found = []
    monkeypatch.setattr(
        drawing, "picture", lambda waveform, rate, alignment=None: found.append(alignment) or b"picture"
    )
    return found


def test_speech_is_shown_with_its_alignment():
    alignment = [torch.eye(4), torch.zeros(2, 2)]
    with_one, without = DOMAIN.render(sounds(4000, 4000, alignment=alignment))[0], DOMAIN.render(sounds(4000))[0]
    tall, low = (Image.open(io.BytesIO(piece.png)).size for piece in (with_one, without))
    assert tall[0] == low[0]
    assert tall[1] > 1.4 * low[1]


def test_only_the_part_of_an_alignment_that_is_played_is_drawn(drawn):
    DOMAIN.render(sounds(160_000, 8000, alignment=[torch.rand(100, 5), torch.rand(7, 3)]))
    assert [a.shape for a in drawn] == [(50, 5), (7, 3)]  # 10 of 20 seconds


def test_made_speech_stands_in_pairs_with_its_recordings_and_their_transcripts(drawn):
    given = sounds(4000, 8000, text=["One.", "Two."])
    made = sounds(5000, 7000)
    pieces = DOMAIN.beside(given, made, given, {})
    assert [p.caption for p in pieces] == [
        "made – 0.6 s",
        "recorded – 0.5 s – One.",
        "made – 0.9 s",
        "recorded – 1.0 s – Two.",
    ]


def test_another_voice_stands_in_pairs_with_what_was_given(drawn):
    given = sounds(4000, 8000, text=["One.", "Two."])
    pieces = DOMAIN.beside(given, sounds(4000, 8000), None, {})
    assert [p.caption.split(" – ")[0] for p in pieces] == ["made", "given"] * 2


def test_a_view_has_ten_pairs_and_a_re_synthesis_has_none(drawn):
    given = sounds(*range(1, 14))
    assert len(DOMAIN.beside(given, sounds(*range(2, 15)), given, {})) == 20
    assert DOMAIN.beside(given, sounds(*range(1, 14)), given, {}) == []
