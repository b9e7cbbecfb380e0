"""NVIDIA's table of symbols."""

from __future__ import annotations

import pytest

from polygan_speech.formats import arpabet
from polygan_speech.formats.arpabet import ARPABET, NVIDIA, NVIDIA_COUNT, NVIDIA_IDS, TORCHAUDIO, with_arpabet


def test_the_tables_are_those_of_nvidia_and_torchaudio():
    utils = pytest.importorskip("torchaudio.pipelines._tts.utils")
    assert ("_", *TORCHAUDIO) == utils._get_chars()
    assert ("_", *arpabet._SIGNS, *ARPABET) == utils._get_phones()
    assert (NVIDIA_COUNT, len(ARPABET)) == (148, 84)
    ids = dict(zip(NVIDIA, NVIDIA_IDS, strict=True))
    assert (ids["-"], ids[" "], ids["a"], ids["z"], max(NVIDIA_IDS)) == (1, 11, 38, 63, 147)
    assert ids[with_arpabet("{AA}")] == 64


def test_arpabet_in_braces_becomes_one_character_a_sound():
    found = with_arpabet("say {HH AH0 L OW1}, {b} and {HH x} {}.")
    sounds = found.removeprefix("say ").removesuffix(", {b} and {HH x} {}.")
    assert [ARPABET[ord(c) - 0xE000] for c in sounds] == ["HH", "AH0", "L", "OW1"]
    assert with_arpabet(found) == found
