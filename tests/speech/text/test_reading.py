"""What a program without Python reads texts with: tables of numbers and words, and pronunciations."""

from __future__ import annotations

import json

import pytest

from polygan import ConfigError
from polygan_speech.text.languages import Languages
from polygan_speech.text.normalising import spoken, tables
from polygan_speech.text.reading import pronunciations, reading_facts, words_of
from polygan_speech.text.spelling import Spelling, spelling_facts


@pytest.mark.parametrize("language", ["en", "it"])
def test_the_tables_say_numbers_and_signs_as_texts_are_read(language):
    known = tables(language)
    for number in (0, 7, 21, 100, 1984, 2026, 9999):
        assert spoken(f"x {number} %", language) == f"x {known['numbers'][number]} {known['signs']['%']}"
    assert spoken("-5", language) == f"{known['minus']} {known['numbers'][5]}"
    for short, words in known["abbreviations"].items():
        assert spoken(f"{short} 5", language).startswith(words)
    assert json.loads(json.dumps(known)) == known
    if language == "en":
        assert spoken("in 1984", "en") == f"in {known['years'][884]}"
        assert spoken("the 21st", "en") == f"the {known['ordinals'][21]}"
        assert spoken("3.14", "en") == "three " + known["decimal"] + " one four"


def test_without_a_language_the_tables_are_empty():
    assert not any(value for name, value in tables("").items() if name != "point")


@pytest.mark.parametrize("text", ["٣", "a٣b", "٣٤ 5"])
def test_digits_of_other_scripts_stay_as_they_are(text):
    assert text[0] in spoken(text, "en")


def test_characters_keep_their_numbers_and_need_no_pronunciations():
    spelling, languages = Spelling("characters", "en", {"symbols": "cab"}), Languages("en", ())
    facts = reading_facts(spelling, languages, {"symbols": "cab", "spoken": {}}, None)
    assert (facts["symbols"], facts["ids"]) == ("cab", [1, 2, 3])
    (language,) = facts["languages"]
    assert language["name"] == "en"
    assert "pronunciations" not in language


@pytest.fixture
def voice():
    """Phonemes of a few English transcripts."""
    pytest.importorskip("phonemizer")
    pytest.importorskip("espeakng_loader")
    texts = ["The cat saw a bird.", "A well-known dog, isn't it?", "The end of the day"]
    return spelling_facts("phonemes", {"en": texts}), texts


def test_words_have_the_pronunciations_of_the_transcripts(voice):
    info, texts = voice
    found = pronunciations("en", info["spoken"], ["17 ravens"])
    assert {"cat", "saw", "bird", "a", "dog", "isn't", "end", "well-known", "seventeen", "ravens"} <= found.keys()
    assert found["the"] != pronunciations("en", {}, ["thee"])["thee"]  # as within a sentence, not alone
    said = info["spoken"][texts[0]]
    assert " ".join(found[word] for word in ["the", "cat", "saw", "a", "bird"]) + "." == said


def test_words_of_a_file_are_said_too(voice, tmp_path):
    info, _ = voice
    (tmp_path / "words.txt").write_text("zebra\n\nnaïve\n")
    spelling, languages = Spelling("phonemes", "en", info), Languages("en", ())
    without, with_words = (
        reading_facts(spelling, languages, info, place)["languages"][0]["pronunciations"]
        for place in (None, tmp_path / "words.txt")
    )
    assert with_words.keys() - without.keys() == {"zebra", "naïve"}
    assert "percent" in without
    assert "nine" in without
    assert reading_facts(spelling, languages, info, None)["marks"]


def test_files_of_words_that_cannot_be_read_are_one_line(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="name a file with a word a line"):
        words_of(tmp_path / "nowhere")
    (tmp_path / "many").write_text("a\n" * 9)
    monkeypatch.setattr("polygan_speech.text.reading._MOST_WORDS", 8)
    with pytest.raises(ConfigError, match="has 9 lines, and 8 are taken at most"):
        words_of(tmp_path / "many")
