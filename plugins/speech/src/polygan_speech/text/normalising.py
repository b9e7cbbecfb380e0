"""Texts as they are spoken: numbers and common abbreviations in words, one kind of quotes and blanks."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from polygan import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_POINT = ("en", "ja", "ko", "th", "he", "zh", "kn", "te", "am")  # languages that write 1,234.5; others write 1.234,5
_TABLED, _ORDINALS = 10_000, 1_000  # numbers that `tables` says
_LONGEST = 15  # digits of a number that is said as one; longer ones are said digit by digit
_YEARS = range(1100, 2000)  # four digits alone that English says in pairs
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-−](?=\d))?(?P<before>[$€£]\s?)?(?P<digits>\d[\d.,]*\d|\d)(?P<after>\s?[%$€£]|st\b|nd\b|rd\b|th\b|[º°ª](?!\w))?(?!\w)"
)
_RUN = re.compile(r"[0-9]+")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})
_DASHES = str.maketrans({"–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-"})
_SIGNS: Mapping[str, Mapping[str, str]] = {
    "en": {"%": "percent", "$": "dollars", "€": "euros", "£": "pounds", "&": "and", "@": "at", "+": "plus", "=": "equals"},
    "it": {"%": "per cento", "$": "dollari", "€": "euro", "£": "sterline", "&": "e", "@": "chiocciola", "+": "più", "=": "uguale"},
    "de": {"%": "Prozent", "$": "Dollar", "€": "Euro", "£": "Pfund", "&": "und", "@": "at", "+": "plus", "=": "gleich"},
    "fr": {"%": "pour cent", "$": "dollars", "€": "euros", "£": "livres", "&": "et", "@": "arobase", "+": "plus", "=": "égale"},
    "es": {"%": "por ciento", "$": "dólares", "€": "euros", "£": "libras", "&": "y", "@": "arroba", "+": "más", "=": "igual a"},
}  # fmt: skip
_ABBREVIATIONS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "mr.": "mister",
        "mrs.": "missis",
        "ms.": "miz",
        "dr.": "doctor",
        "prof.": "professor",
        "st.": "saint",
        "jr.": "junior",
        "sr.": "senior",
        "co.": "company",
        "ltd.": "limited",
        "vs.": "versus",
        "etc.": "et cetera",
        "e.g.": "for example",
        "i.e.": "that is",
        "no.": "number",
    },
    "it": {
        "sig.": "signor",
        "sig.ra": "signora",
        "dott.": "dottor",
        "dott.ssa": "dottoressa",
        "prof.": "professor",
        "prof.ssa": "professoressa",
        "ing.": "ingegner",
        "avv.": "avvocato",
        "ecc.": "eccetera",
        "es.": "esempio",
        "pag.": "pagina",
        "n.": "numero",
    },
    "de": {"z.b.": "zum Beispiel", "d.h.": "das heißt", "usw.": "und so weiter", "dr.": "Doktor", "nr.": "Nummer"},
    "fr": {"m.": "monsieur", "mme": "madame", "dr.": "docteur", "etc.": "et cetera"},
    "es": {"sr.": "señor", "sra.": "señora", "dr.": "doctor", "etc.": "etcétera"},
}
_BEFORE_DIGITS = {("en", "no."), ("it", "n.")}  # said in full only where a number follows


def check_language(language: str) -> None:
    """ConfigError for a language in which numbers cannot be said. The empty language is allowed: nothing is spelled out."""
    known = _languages()
    if language and language not in known:
        raise ConfigError(
            f"model.language = {language!r}: no numbers are known in this language{did_you_mean(language, known)}; known are "
            f"{', '.join(known)}. Use --model.language= (empty) where texts hold no digits"
        )


def spoken(text: str, language: str) -> str:
    """A text in small letters as it is said in a language of num2words; the empty language only tidies quotes and blanks.

    Canonical composition (NFC), straight quotes, plain dashes, single blanks, no control characters. Then abbreviations,
    currencies, percents, ordinals, years and numbers are words.
    """
    text = unicodedata.normalize("NFC", text).translate(_QUOTES).translate(_DASHES).replace("…", "...")
    text = "".join(unicodedata.normalize("NFKC", c) if "\uff01" <= c <= "\uff5e" else c for c in text)
    text = "".join(" " if c.isspace() or unicodedata.category(c) == "Cc" else c for c in text)
    text = text.lower()
    if language:
        text = _abbreviated(text, language)
        text = _NUMBER.sub(lambda found: _said(found, language), text)
        text = _RUN.sub(lambda found: f" {_words(found[0], language)} ", text)  # digits within words: b2b, 3d
        for sign, word in _SIGNS.get(language[:2], {}).items():
            text = text.replace(sign, f" {word} ")
    text = re.sub(r" +([,.;:!?])", r"\1", " ".join(text.split()))
    return text.lower()


def _abbreviated(text: str, language: str) -> str:
    found = _ABBREVIATIONS.get(language[:2], {})
    for short in sorted(found, key=len, reverse=True):
        follows = r"(?=\s*\d)" if (language[:2], short) in _BEFORE_DIGITS else r"(?!\w)"
        text = re.sub(rf"(?<![\w.]){re.escape(short)}{follows}", found[short], text)
    return text


def _said(found: re.Match[str], language: str) -> str:
    """A number with its sign, currency, percent or ordinal mark."""
    digits, mark = found["digits"], (found["before"] or found["after"] or "").strip()
    said = _words(digits, language, ordinal=mark in ("st", "nd", "rd", "th", "º", "ª"), alone=not mark)
    word = _SIGNS.get(language[:2], {}).get(mark, "")
    minus = f"{_minus(language)} " if found["sign"] else ""
    return f"{minus}{said} {word}".rstrip() if word else f"{minus}{said}"


def _minus(language: str) -> str:
    return {"it": "meno", "fr": "moins", "es": "menos"}.get(language[:2], "minus")


def tables(language: str) -> dict[str, Any]:
    """The words of `spoken` as JSON, for programs without num2words; empty tables for the empty language.

    ``numbers``: those from 0 to 9,999. ``years``: from 1,100 to 1,999 where the language says them otherwise. ``ordinals``: from 0 to 999.
    ``signs`` and ``abbreviations``: words for them; ``before_digits``: abbreviations that stand only before a number. ``minus``: the
    word. ``decimal``: the word between a number and its decimals; ``drops_zero``: 1.0 is said as 1. ``point``: their mark. `spoken` puts its result in small letters, and so are these.
    """
    if not language:
        empty: dict[str, Any] = {"numbers": [], "years": [], "ordinals": [], "signs": {}, "abbreviations": {}}
        return {**empty, "before_digits": [], "minus": "", "decimal": "", "drops_zero": False, "point": "."}
    say, short = _speaker(language), language[:2]
    years = [say(str(n), "year").lower() for n in _YEARS] if short == "en" else []
    return {
        "numbers": [say(str(n), "cardinal").lower() for n in range(_TABLED)],
        "years": years,
        "ordinals": [say(str(n), "ordinal").lower() for n in range(_ORDINALS)],
        "signs": {sign: word.lower() for sign, word in _SIGNS.get(short, {}).items()},
        "abbreviations": {text: word.lower() for text, word in _ABBREVIATIONS.get(short, {}).items()},
        "before_digits": sorted(text for name, text in _BEFORE_DIGITS if name == short),
        "minus": _minus(language),
        "decimal": _decimal(say),
        "drops_zero": say("1.0", "cardinal") == say("1", "cardinal"),
        "point": "." if short in _POINT else ",",
    }


def _words(digits: str, language: str, *, ordinal: bool = False, alone: bool = False) -> str:
    """``1,234.5`` in words: as one number, as a year, or digit by digit where it is very long or begins with a zero."""
    point, comma = (".", ",") if language[:2] in _POINT else (",", ".")
    if re.fullmatch(rf"\d{{1,3}}(?:{re.escape(comma)}\d{{3}})+(?:{re.escape(point)}\d+)?", digits):
        digits = digits.replace(comma, "")
    say = _speaker(language)
    if re.fullmatch(rf"\d+{re.escape(point)}\d+", digits) and len(digits) <= _LONGEST:
        return say(digits.replace(point, "."), "cardinal")
    if not digits.isascii() or not digits.isdigit():  # 10.30, 1.2.3: parts, with the marks between them
        return _RUN.sub(lambda part: _words(part[0], language), digits)
    if len(digits) > _LONGEST or (digits[0] == "0" and len(digits) > 1):
        return " ".join(say(digit, "cardinal") for digit in digits)
    if ordinal:
        return say(digits, "ordinal")
    year = alone and language[:2] == "en" and len(digits) == 4 and int(digits) in _YEARS
    return say(digits, "year" if year else "cardinal")


def _decimal(say: Callable[[str, str], str]) -> str:
    """The word between a number and its decimals; empty where decimals are not said digit by digit behind a word."""
    zero, one, five = (say(digit, "cardinal") for digit in "015")
    found = re.fullmatch(rf"{re.escape(zero)} (\S+) {re.escape(one)} {re.escape(five)}", say("0.15", "cardinal"))
    return found[1].lower() if found else ""


@lru_cache(maxsize=8)
def _speaker(language: str) -> Callable[[str, str], str]:
    """A function from digits and a kind of number to words, without the commas and hyphens that num2words writes."""
    from num2words import num2words

    def say(digits: str, kind: str) -> str:
        number = float(digits) if "." in digits else int(digits)
        try:
            words = num2words(number, lang=language, to=kind)
        except (NotImplementedError, OverflowError, TypeError, ValueError, LookupError):
            if kind == "cardinal":
                return " ".join(digits)
            return say(digits, "cardinal")
        return str(words).replace(",", "").replace("-", " ")

    return say


@lru_cache(maxsize=1)
def _languages() -> tuple[str, ...]:
    from num2words import CONVERTER_CLASSES

    return tuple(sorted(CONVERTER_CLASSES))
