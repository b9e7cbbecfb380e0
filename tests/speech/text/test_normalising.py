"""Numbers, abbreviations, quotes and blanks as they are spoken."""

from __future__ import annotations

import pytest

from polygan import ConfigError
from polygan_speech.text.normalising import check_language, spoken


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Press 1,  please.", "press one, please."),
        ("In 1492 and 2024", "in fourteen ninety two and two thousand and twenty four"),
        ("1,234.5 metres", "one thousand two hundred and thirty four point five metres"),
        ("the 21st and 3rd", "the twenty first and third"),
        ("$5 or 20%", "five dollars or twenty percent"),
        ("-7", "minus seven"),
        ("0042", "zero zero four two"),
        ("12345678901234567890", "one two three four five six seven eight nine zero one two three four five six seven eight nine zero"),
        ("3D audio", "three d audio"),
        ("Mr. Smith & Dr. Jones", "mister smith and doctor jones"),
        ("no. 5, no.", "number five, no."),
        ("“It’s” – ‘fine’…", "\"it's\" - 'fine'..."),
        ("10:30", "ten:thirty"),
        ("a\u00a0b\nc", "a b c"),
        ("５ ＡＢ", "five ab"),
    ],
)  # fmt: skip
def test_english(text, said):
    assert spoken(text, "en") == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.234,5 lire", "milleduecentotrentaquattro virgola cinque lire"),
        ("il 20% ecc.", "il venti per cento eccetera"),
    ],
)
def test_italian(text, said):
    assert spoken(text, "it") == said


def test_without_a_language_only_blanks_quotes_and_case_change():
    assert spoken("Press  “1”", "") == 'press "1"'


def test_what_is_spoken_stays_as_it_is():
    said = spoken("On the 5th of May 1821, $3,000 & 12.5%.", "en")
    assert spoken(said, "en") == said


def test_another_language_is_refused_with_those_that_are_known():
    with pytest.raises(ConfigError, match=r"model.language = 'xx'.*known are .*en.*it"):
        check_language("xx")
    check_language("it")
    check_language("")
