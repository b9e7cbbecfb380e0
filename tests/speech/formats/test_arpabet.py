"""NVIDIA's table of symbols."""

from __future__ import annotations

import pytest

from polygan_speech.formats import arpabet
from polygan_speech.formats.arpabet import ARPABET, NVIDIA, TORCHAUDIO, with_arpabet
from polygan_speech.text.symbols import Alphabet


def test_the_tables_are_those_of_nvidia_and_torchaudio():
    utils = pytest.importorskip("torchaudio.pipelines._tts.utils")
    assert ("_", *TORCHAUDIO) == utils._get_chars()
    assert ("_", *arpabet._SIGNS, *ARPABET) == utils._get_phones()
    assert (len(NVIDIA), len(set(NVIDIA)), len(ARPABET)) == (147, 147, 84)


def test_ids_are_nvidias_and_capitals_are_small_letters():
    alphabet = Alphabet(NVIDIA)
    assert len(alphabet) == 148
    assert alphabet.encode("-! azAZ") == [1, 2, 11, 38, 63, 38, 63]
    assert alphabet.encode(with_arpabet("{AA ZH}")) == [64, 147]


def test_arpabet_in_braces_becomes_one_character_a_sound():
    found = with_arpabet("say {HH AH0 L OW1}, {b} and {HH x} {}.")
    sounds = found.removeprefix("say ").removesuffix(", {b} and {HH x} {}.")
    assert [ARPABET[ord(c) - 0xE000] for c in sounds] == ["HH", "AH0", "L", "OW1"]
    assert with_arpabet(found) == found
