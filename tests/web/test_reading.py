"""The page's script reads texts as polygan_speech does in Python; run by Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reading import characters, phonemes

import polygan_web
from polygan_speech.text.sentences import sentences

SCRIPT = Path(polygan_web.__file__).parent / "page" / "reading.js"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node.js")
RUN = """
globalThis.polygan = {};
require(process.argv[1]);
const { facts, texts, most } = JSON.parse(require("fs").readFileSync(0));
const reader = polygan.reader(facts);
console.log(JSON.stringify(texts.map((text) => ({ spoken: reader.spoken(text, 0), ...reader.read(text, 0, most) }))));
"""
TEXTS = [
    "Hello, World!",
    "Dr. Smith paid $1,234.50 on 3rd May 1984; Mr. and Mrs. Roe too.",
    "In 2026 it was -5 degrees; 50% off! 1st 2nd 3rd 4th 21st 101st 999th",
    "3.14 0.05 1.10 3.0 007 b2b 3d 1,000 9,999 12:30 3-4 5,6,7 8. 1/2",
    "e.g. No. 5, No. x, vs. “quotes” — dash… ﬁ ＡＢ it’s",
    "naïve café Straße ÀÉÎ ΟΔΟΣ ς",
    "日本。中国！ x 😀 y (z)) \"q\" next.",
    "a\tb\nc\u00a0d\u2028e \x07",
    "£5 5 € 5€ $ 5 1.2.3 10.30 1900 1100 1999 2000 1099 0",
    "x" * 90 + " " + "y, " * 50,
    "word " * 40 + "and, so, on: until; the-end",
    "constructor __proto__ toString hasOwnProperty $& $1",
    "<b>a</b> & @ + =",
    "sig. Rossi, dott.ssa n. 5; 1.234,5 1,5 3,14 z.B. d.h. Mme Le Sr. etc.",
    "²³ ½ Ⅷ ٣a -3 –4 −7",
    "",
    "   \n ",
]  # fmt: skip


def read(facts, texts=TEXTS, most=60):
    given = json.dumps({"facts": facts, "texts": texts, "most": most})
    ran = subprocess.run([str(NODE), "-e", RUN, str(SCRIPT)], input=given, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("language", ["en", "it", "de", "fr", ""])
def test_characters_are_those_of_python(language):
    facts, spelling = characters(language)
    for text, found in zip(TEXTS, read(facts), strict=True):
        written = spelling.written(text)
        assert found["spoken"] == written, text
        wanted = [ids for ids in map(spelling.alphabet.encode, sentences(written, 60)) if any(ids)]
        assert [sentence["ids"] for sentence in found["sentences"]] == wanted, text
        assert set(found["left"]) == set(spelling.alphabet.outside(written)), text
        assert found["plain"] == []


def test_numbers_beyond_the_tables_are_said_digit_by_digit_and_named():
    facts, _ = characters()
    (found,) = read(facts, ["12345 and 1,000,000, the 1000th"])
    assert found["spoken"].startswith("one two three four five and one zero zero zero zero zero zero, the one zero")
    assert found["plain"] == ["12345", "1000000", "1000"]


PRONOUNCED = {"hello": "həlˈoʊ", "the": "ðə", "cat": "kˈæt", "isn't": "ˈɪzənt", "well": "wˈɛl", "known": "nˈoʊn", "new": "nˈuː", "five": "fˈaɪv"}  # fmt: skip


def test_words_are_said_by_their_pronunciations_and_others_are_named():
    facts, spelling = phonemes(PRONOUNCED, "".join(sorted({*"həloʊðəkætɪzəntwɛlnuːfaɪv ,.!?'"} - {"ː"})))
    texts = ["Hello, the cat!", "the well-known cat isn't new. 5", "“the” (cat) zebra 😀 the constructor", "toString"]
    first, second, third, fourth = read(facts, texts)
    encode = spelling.alphabet.encode
    assert [s["ids"] for s in first["sentences"]] == [encode("həlˈoʊ, ðə kˈæt!")]
    assert [s["ids"] for s in second["sentences"]] == [encode("ðə wˈɛl nˈoʊn kˈæt ˈɪzənt nˈuː."), encode("fˈaɪv")]
    assert [s["ids"] for s in third["sentences"]] == [encode('"ðə" (kˈæt) ðə')]
    assert (third["unknown"], third["left"]) == (["zebra", "constructor"], ["😀"])
    assert (fourth["sentences"], fourth["unknown"]) == ([], ["tostring"])


def test_a_long_text_is_read_fast_in_short_sentences():
    facts, _ = characters()
    (found,) = read(facts, ["All work, no play. " * 280], 40)
    assert len(found["sentences"]) == 280
    assert max(len(sentence["text"]) for sentence in found["sentences"]) <= 40
