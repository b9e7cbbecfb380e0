"""Words of transcripts, edits, and a recogniser."""

from __future__ import annotations

import pytest
import torch

from polygan_audio.scores import word_errors

RATE = 16_000


def noisy(clip, level, seed=0):
    return clip + level * torch.randn(len(clip), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry,  but... 'WAIT'!", "i'm sorry but wait"),
        ("Call-Forward (IAX)", "call forward iax"),
        ("Press 1 or #; 42 & 7%", "press one or pound forty two and seven percent"),
        ("1,250 users, 300, 17, 90", "one thousand two hundred fifty users three hundred seventeen ninety"),
        ("007 and 1234567", "zero zero seven and one two three four five six seven"),
        ("party’s 2nd", "party's two nd"),
        ("100000", "one hundred thousand"),
        ("\u0663 ...", ""),
    ],
)
def test_words_are_what_a_recogniser_would_write(text, expected):
    assert " ".join(word_errors.words(text)) == expected


def test_edits_worked_out_by_hand():
    assert word_errors.edits(list("abcd"), list("axc")) == 2  # one substituted, one left out
    assert word_errors.edits([], ["a", "b"]) == 2
    assert word_errors.edits("kitten", "sitting") == 3
    assert word_errors.error_rate(["one two three", "four"], ["1 three", "four five six"]) == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match="no words"):
        word_errors.error_rate(["..."], ["what"])


@pytest.mark.slow
def test_a_recogniser_hears_real_speech_and_not_noise(speech):
    pytest.importorskip("pocketsphinx")
    clips, texts = speech("conf-hasleft")
    heard = word_errors.recognise([*clips, noisy(0.3 * clips[0], 0.1)[:12_000]], RATE)
    assert word_errors.error_rate(texts, heard[:1]) == 0
    assert word_errors.error_rate(texts, heard[1:]) > 0.5
