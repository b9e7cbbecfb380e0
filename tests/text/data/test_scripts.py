"""Scripts without spaces, breaks, and characters that join others."""

from __future__ import annotations

import pytest

from polygan_text.data.scripts import survey, without_spaces


@pytest.mark.parametrize(
    "text",
    [
        "春眠不觉晓，处处闻啼鸟。",
        "吾輩は猫である。名前はまだ無い。",
        "สวัสดีครับผมชื่อสมชาย",
        "ພາສາລາວ",
        "ភាសាខ្មែរ",
        "မြန်မာဘာသာ",
        "བོད་སྐད་",
        "acgtacgtacgtacgtacgtacgt",
    ],
)
def test_words_without_spaces_are_known(text):
    assert without_spaces([text])


@pytest.mark.parametrize(
    "text",
    [
        "a man rides a horse",
        "한국어는 띄어쓰기를 합니다",
        "Donaudampfschifffahrt ist ein langes Wort",
        "हिन्दी में शब्दों के बीच जगह होती है",
        "الكلمات بينها مسافات",
        "a tattoo that says 龍 on the arm",
        "3.14159265358979 2.71828182845904",
        "",
    ],
)
def test_words_with_spaces_are_known(text):
    assert without_spaces([text]) == ""


@pytest.mark.parametrize(
    ("text", "clusters"),
    [
        ("plain", False),
        ("naïve 春 🙂 “quoted”", False),
        ("e\u0301", True),
        ("👩\u200d👧", True),
        ("🇩🇪", True),
        ("👍🏽", True),
        ("नमस्ते", True),
        ("\u1112\u1161\u11ab", True),
    ],
)
def test_joined_characters_are_seen(text, clusters):
    assert survey(["x", text]) == (False, clusters, "▁")
    assert survey([text + "\ny"]).breaks


def test_a_space_is_marked_by_a_character_that_no_text_has():
    assert survey(["a▁b"]).space == "␣"
    assert survey(["a▁b", "␣"]).space not in "a▁b␣"
