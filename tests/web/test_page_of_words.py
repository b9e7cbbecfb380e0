"""Texts and speech in Chromium: what the page writes and says is what onnxruntime and Python make of the same words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from acting import drawn, pixels, slide
from little_graphs import speech, step
from reading import SYMBOLS, characters
from small_texts import seq2seq

pytestmark = pytest.mark.slow


# Texts


def texts(tmp_path, table, **more):
    """A policy of five words, whose pieces the page must join."""
    tokenizers = pytest.importorskip("tokenizers")
    words = ["<s>", "</s>", "<unk>", "▁the", "▁<b>cat</b>", "."]
    own = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    own.decoder = tokenizers.decoders.Metaspace()
    facts = {"tokenizer": own.to_str(), "words": words, "shift": 0, "unknown": 2, "length": 40, **more.pop("facts", {})}
    return step(tmp_path / "policy.onnx", table, facts, **more)


def written(page, act=None):
    """The tokens of the texts, after doing something."""
    if act:
        drawn(page, act, "#page")
    return page.evaluate("polygan.state.tokens")


def test_each_token_follows_from_the_token_before(opened, tmp_path):
    table = np.zeros((6, 6))
    for before, after in ((0, 3), (3, 4), (4, 5), (5, 1)):
        table[before, after] = 50
    page = opened(texts(tmp_path, table))
    assert written(page) == [[3, 4, 5, 1]] * 6
    assert page.locator("article p").all_inner_texts() == ["the <b>cat</b>."] * 6
    assert page.locator("article b").count() == 0
    with page.expect_download() as download:
        page.click("#save")
    assert Path(download.value.path()).read_text(encoding="utf-8") == "the <b>cat</b>.\n" * 6


def test_tokens_are_drawn_by_probability_temperature_and_share(opened, tmp_path):
    table = np.full((6, 6), -50.0)
    table[:, 2] = 60  # the unknown word is never written
    table[:, 3], table[:, 4], table[:, 5] = np.log([0.6, 0.3, 0.1])
    page = opened(texts(tmp_path, table, facts={"length": 150}))

    def shares(tokens):
        assert all(len(row) == 150 for row in tokens)
        return np.bincount(np.concatenate(tokens), minlength=6)[3:] / 900

    first = written(page)
    np.testing.assert_allclose(shares(first), [0.6, 0.3, 0.1], atol=0.06)
    assert len({tuple(row) for row in first}) == 6
    sharp = np.array([0.6, 0.3, 0.1]) ** 2
    np.testing.assert_allclose(
        shares(written(page, lambda: slide(page, "temperature", 0.5))), sharp / sharp.sum(), atol=0.06
    )
    written(page, lambda: slide(page, "temperature", 1))  # to its end: it would count as the next one
    kept = shares(written(page, lambda: slide(page, "likeliest share", 0.8)))
    np.testing.assert_allclose(kept, [2 / 3, 1 / 3, 0], atol=0.06)
    page.fill("#seed", "1")
    drawn(page, lambda: slide(page, "likeliest share", 1), "#page")
    assert written(page) == first
    assert written(page, lambda: page.click("#new")) != first


def test_a_class_goes_into_every_step(opened, tmp_path):
    table = np.zeros((6, 6))
    page = opened(texts(tmp_path, table, classes=["<s>", "end", "x", "the", "cat"], facts={"length": 3, "unknown": 5}))
    assert written(page) == [[0] * 3, [1], [2] * 3, [3] * 3, [4] * 3, [0] * 3]
    assert written(page, lambda: page.click("text='cat'")) == [[4] * 3] * 6


# Speech


def spoken(page):
    """Speak what stands in the box, and return the sound of each sentence."""
    drawn(page, lambda: page.click("#speak"))
    return [np.array(part, np.float32) for part in page.evaluate("polygan.state.parts.map(({ sound }) => [...sound])")]


def test_a_text_is_spoken_sentence_by_sentence_as_onnxruntime_speaks_it(opened, tmp_path):
    reading, spelling = characters("en,it")
    facts = {
        "reading": reading,
        "speakers": ["<b>ann</b>", "bob"],
        "language_of_speakers": [0, 1],
        "recipe": "audio/tacotron2",
    }
    file = speech(tmp_path / "s.onnx", facts)
    session = onnxruntime.InferenceSession(file)
    page = opened(file)
    assert page.locator("#speaker option").all_inner_texts() == ["<b>ann</b>", "bob"]
    page.fill("#text", "Hello, world! I paid 5 pounds on the 3rd.\nNaïve 😀 café")
    page.wait_for_selector(".left-out")
    assert page.inner_text("#left-out") == "Characters that the voice does not know are left out: 😀"

    def wanted(speaker, language, pace, semitones):
        """What onnxruntime makes of the first sentence."""
        given = {
            "ids": np.array([[7, *spelling.alphabet.encode("hello, world!"), 7]]),
            "pace": np.array([pace], np.float32),
            "pitch": np.array([semitones * (0.1, 0.2)[speaker]], np.float32),
            "speaker": np.array([speaker]),
            "language": np.array([language]),
            "noise": np.array([page.evaluate("[...polygan.parts.normals(1, 0, 800)]")], np.float32),
        }
        return session.run(["waveform"], given)[0][0]

    first = spoken(page)
    assert len(first) == 3
    np.testing.assert_allclose(first[0], wanted(0, 0, 1, 0), atol=1e-5)
    slide(page, "pace", 1.5)
    slide(page, "semitones", -3)
    page.select_option("#speaker", "1")
    np.testing.assert_allclose(spoken(page)[0], wanted(1, 1, 1.5, -3), atol=1e-5)
    page.select_option("#language", "0")
    np.testing.assert_allclose(spoken(page)[0], wanted(1, 0, 1.5, -3), atol=1e-5)
    page.fill("#seed", "2")
    page.dispatch_event("#seed", "change")
    assert not np.allclose(spoken(page)[0], wanted(1, 0, 1.5, -3))


def test_speech_is_saved_with_pauses_and_the_first_sentence_plays_at_once(opened, tmp_path):
    import wave

    reading, _spelling = characters()
    facts = {"reading": reading, "pause": 0.02}
    page = opened(speech(tmp_path / "s.onnx", facts, inputs=("ids", "pace", "pitch")))
    assert page.locator("#speaker, #language, #seed").count() == 0
    page.fill("#text", "One. Two. " * 10)
    parts = spoken(page)
    assert len(parts) == 20
    log = page.evaluate("polygan.state.log")
    assert log[0]["playing"] <= log[1]["playing"]
    assert log[0]["made"] < log[-1]["made"]
    for before, after, sound in zip(log, log[1:], parts, strict=False):
        assert after["playing"] >= before["playing"] + len(sound) / 8000 + 0.02 - 1e-6
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "audio-tacotron2-speech.wav"
    with wave.open(str(download.value.path())) as file:
        assert file.getframerate() == 8000
        samples = np.frombuffer(file.readframes(10**6), np.int16) / 32767
    gap = np.zeros(160, np.float32)
    joined = np.concatenate([x for part in parts for x in (part, gap)][:-1])
    np.testing.assert_allclose(samples, joined.clip(-1, 1), atol=1e-4)
    assert pixels(page)[..., 3].any()
    assert pixels(page, "#mel").shape[:2] == (5, sum(len(part) for part in parts) // 16)
    page.click("#play")
    page.click("#stop")
    assert page.inner_text("#status") == "Stopped."


def test_hostile_empty_and_long_texts_are_no_fault(opened, tmp_path):
    reading, _ = characters()
    page = opened(speech(tmp_path / "s.onnx", {"reading": reading}, inputs=("ids", "pace", "pitch")))
    assert page.input_value("#text") == "Good morning. This voice speaks in your browser."
    for text, line in (
        ("", "Type a text to speak."),
        ("  ", "Type a text to speak."),
        ("😀日", "Nothing of this text can be spoken: see below the text."),
    ):
        page.fill("#text", text)
        page.click("#speak")
        page.wait_for_selector("#status.fault")
        assert page.inner_text("#status") == line
    page.fill("#text", "<img src=x onerror=alert(1)> <script>alert(1)</script>")
    assert len(spoken(page)) >= 1
    assert page.locator("#status.fault").count() == 0
    assert page.locator("#page img, #page script").count() == 0
    page.fill("#text", "All work and no play makes Jack a dull boy. " * 113)
    assert len(spoken(page)) == 226
    page.fill("#text", "".join(chr(0x4E00 + i) for i in range(300)) + " a")
    page.wait_for_function("() => document.querySelector('#left-out').textContent.includes('and 2')")
    assert SYMBOLS[-1] not in page.inner_text("#left-out")


# Texts from texts


@pytest.fixture(scope="module")
def rewriter(tmp_path_factory):
    """A small run of text/seq2seq."""
    pytest.importorskip("tokenizers")
    return seq2seq(tmp_path_factory.mktemp("seq2seq"))


def test_a_text_is_rewritten_as_in_python(opened, tmp_path, rewriter):
    rewriter.export(tmp_path / "page", "web")
    page = opened(None)

    def rewritten(text, how):
        page.fill("#text", text)
        page.select_option("#how", how)
        drawn(page, lambda: page.click("#write"), "#sheet")
        return page.inner_text("#written")

    texts = ["the cat sat on the mat", "a dog ran to Rome, then home", "Zebra <b>sang</b> (in London) 😀 " * 40]
    for text in texts:
        for how, beams in (("search", 4), ("likeliest", 1)):
            (wanted,) = rewriter.convert_lines([text.strip()], beams=beams)
            assert rewritten(text.strip(), how) == wanted.data[0]
    page.wait_for_selector(".left-out")
    assert "Unknown words, which can only be copied: Zebra < b >" in page.inner_text("#left-out")
    assert "tokens are read." in page.inner_text("#left-out")
    first = rewritten(texts[0], "drawn")
    assert rewritten(texts[0], "drawn") == first
    with page.expect_download() as download:
        page.click("#save")
    assert Path(download.value.path()).read_text(encoding="utf-8") == f"{first}\n"
    for text in ("", "   "):
        page.fill("#text", text)
        page.click("#write")
        assert page.inner_text("#status") == "Type a text to rewrite."
    assert page.locator("#page b").count() == 0
