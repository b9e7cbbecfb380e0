"""Transcripts as numbers: those that are read character by character, and those that the facts of the run spell out."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from polygan import ConfigError
from polygan_speech.text.phonemes import PARTS, PhonemeAlphabet
from polygan_speech.text.spelling import Spelling, Transcripts, spelling_facts, tables_of

TEXTS = ["Press 1 now.", "plain words", "It’s  fine", "", "Room 22", "é"]
needs_espeak = pytest.mark.skipif(
    not find_spec("phonemizer") or not find_spec("espeakng_loader"), reason="no espeak-ng"
)


def packed(texts):
    raw = [text.encode() for text in texts]
    most = max(map(len, raw))
    text = torch.tensor([[*r, *[0] * (most - len(r))] for r in raw], dtype=torch.uint8)
    return text, torch.tensor([len(r) for r in raw])


def numbers(kind, texts, facts):
    spelling = Spelling(kind, "en", facts)
    ids, lengths = Transcripts(spelling.alphabet, [facts["spoken"]])(*packed(texts))
    return spelling, [row[:n] for row, n in zip(ids.tolist(), lengths.tolist(), strict=True)], ids


def test_batches_of_transcripts_have_the_numbers_of_their_spoken_texts():
    facts = spelling_facts("characters", {"en": TEXTS})
    assert facts["spoken"].keys() == {"Press 1 now.", "It’s  fine", "Room 22"}
    spelling, found, ids = numbers("characters", TEXTS, facts)
    assert found == [spelling.encode(spelling.written(text)) for text in TEXTS]
    assert not ids[3].any()
    assert facts["symbols"].islower()


def test_transcripts_play_on_the_meta_device():
    facts = spelling_facts("characters", {"en": TEXTS})
    module = Transcripts(Spelling("characters", "en", facts).alphabet, [facts["spoken"]]).to("meta")
    ids, lengths = module(torch.zeros(2, 9, dtype=torch.uint8, device="meta"), torch.zeros(2, device="meta"))
    assert ids.shape == (2, 9 + module.longer)
    assert lengths.shape == (2,)


@pytest.mark.parametrize("kind", ["characters", pytest.param("phonemes", marks=needs_espeak)])
def test_a_transcript_is_read_in_the_language_of_its_speaker(kind):
    texts = {"en": ["Press 1.", "OK"], "it": ["Press 1.", "OK"]}
    facts = spelling_facts(kind, texts)
    assert facts.keys() == {"symbols", "spoken_in"}
    spelling = Spelling(kind, "en", facts)
    module = Transcripts(spelling.alphabet, tables_of(facts, ("en", "it")), (1, 0, 1))
    language = module.language(torch.tensor([0, 1, 2, 1]))
    assert language.tolist() == [1, 0, 1, 0]
    ids, lengths = module(*packed(["Press 1."] * 2 + ["OK"] * 2), language)
    found = [row[:n] for row, n in zip(ids.tolist(), lengths.tolist(), strict=True)]
    italian = spelling.of("it")
    assert found[0] == italian.encode(italian.written("Press 1."))
    assert found[1] == spelling.encode(spelling.written("Press 1."))
    assert found[0] != found[1]
    assert (found[2] == found[3]) == (kind == "characters")
    assert module.to("meta").language(torch.zeros(4, dtype=torch.int64, device="meta")).shape == (4,)


def test_nothing_of_transcripts_is_saved():
    assert not Transcripts(Spelling("characters", "en", {"symbols": "ab"}).alphabet, [{"1": "ab"}]).state_dict()


def test_characters_outside_are_said_once(capsys):
    spelling = Spelling("characters", "en", {"symbols": "ab "})
    assert spelling.encode("a😀b😀x") == spelling.encode("ab")
    assert spelling.encode("😀") == []
    said = capsys.readouterr().err
    assert said.count("left out") == 1
    assert "3 characters that the model does not know: '😀' (2), 'x' (1)" in said
    assert "'ab'" in str(spelling.refuse("漢字"))


def test_phonemes_have_a_base_a_stress_and_a_length():
    alphabet = PhonemeAlphabet("abk")
    assert alphabet.encode("kˈaːbˌa?") == [3 * PARTS, PARTS + 3 + 1, 2 * PARTS, PARTS + 6]
    assert alphabet.outside("aˈ? ːx") == {"?": 1, "x": 1}
    assert len(alphabet) == 4 * PARTS


@needs_espeak
def test_transcripts_become_phonemes():
    facts = spelling_facts("phonemes", {"en": ["Hello, world.", "Press 1."]})
    assert facts["spoken"]["Hello, world."].startswith("həlˈoʊ, wˈɜːld")
    assert "w" in facts["spoken"]["Press 1."]  # one
    assert not set("ˈˌː") & set(facts["symbols"])
    spelling, found, _ = numbers("phonemes", ["Hello, world.", "Press 1."], facts)
    assert found == [spelling.encode(spelling.written(text)) for text in ("Hello, world.", "Press 1.")]


@needs_espeak
def test_a_language_without_a_voice_is_refused():
    with pytest.raises(ConfigError, match="espeak-ng has no voice"):
        spelling_facts("phonemes", {"tet": ["a"]})
