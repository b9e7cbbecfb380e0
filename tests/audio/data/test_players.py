"""Players of speech: with their alignments, and in pairs with their recordings."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from polygan import Samples
from polygan_audio.data import drawing, files
from polygan_audio.data.domain import AudioDomain
from polygan_audio.networks.griffinlim import griffin_lim
from polygan_audio.networks.melspec import MelSpec

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


def test_a_re_synthesis_stands_beside_its_recording_and_griffin_lim_from_the_same_mel(drawn):
    """Under one number; a clip too short for the front end has no mel."""
    spec = MelSpec(sample_rate=8000, n_fft=256, win_length=256, hop_length=64, n_mels=20)
    truth = sounds(4000, 60, text=["One.", "Two."])
    made = sounds(4000, 60, front_end=spec)
    pieces = DOMAIN.beside(truth, made, truth, {})
    assert [p.caption for p in pieces] == [
        "1 made – 0.5 s",
        "1 recorded – 0.5 s – One.",
        "1 Griffin-Lim from its mel, no training – 0.5 s",
        "2 made – 0.0 s",
        "2 recorded – 0.0 s – Two.",
    ]
    assert len({p.wav for p in pieces[:3]}) == 2  # made and recorded are the same here, Griffin-Lim is not
    again = griffin_lim(spec, spec(truth.data[0]), 4000)
    assert pieces[2].wav == files.wav_bytes(again, 8000)


def test_given_mels_are_those_that_griffin_lim_hears(drawn):
    spec = MelSpec(sample_rate=8000, n_fft=256, win_length=256, hop_length=64, n_mels=20)
    mel = torch.randn(20, 62)
    truth = sounds(4000, mel=[mel])
    piece = DOMAIN.beside(truth, sounds(4000, front_end=spec), truth, {})[2]
    assert piece.wav == files.wav_bytes(griffin_lim(spec, mel, 4000), 8000)


def test_a_view_has_ten_numbers(drawn):
    given = sounds(*range(1, 14))
    assert len(DOMAIN.beside(given, sounds(*range(2, 15)), given, {})) == 20
    assert len(DOMAIN.beside(given, sounds(*range(1, 14)), given, {})) == 20  # of another kind of recipe: no front end


def test_a_recording_is_named_by_its_file_wherever_it_is_played(drawn):
    spec = MelSpec(sample_rate=8000, n_fft=256, win_length=256, hop_length=64, n_mels=20)
    truth, made = sounds(4000, 4000), sounds(4000, 4000, front_end=spec)
    truth.origins = made.origins = ["wavs/0017.flac", "wavs/2.flac"]
    captions = [p.caption for p in DOMAIN.beside(truth, made, truth, {})]
    assert captions[:3] == [
        "1 made – wavs/0017.flac – 0.5 s",
        "1 recorded – wavs/0017.flac – 0.5 s",
        "1 Griffin-Lim from its mel, no training – wavs/0017.flac – 0.5 s",
    ]
    assert [c.split(" – ")[1] for c in captions[3:]] == ["wavs/2.flac"] * 3
    assert [p.caption for p in DOMAIN.render(truth[1:])] == ["wavs/2.flac – 0.5 s"]
    made.names = ["mine", "yours"]  # of a user's file
    assert DOMAIN.render(made)[0].caption == "mine – 0.5 s"
