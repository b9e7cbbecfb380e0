"""The page in Chromium: what it draws and plays is what onnxruntime computes of the same latents, by http and from the disk."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from little_graphs import latents, negative, speech, step, weights
from reading import SYMBOLS, characters
from small_texts import seq2seq

from polygan import CheckpointError
from polygan_web import export as exporting
from polygan_web import runtime

pytestmark = pytest.mark.slow

NAMES = ["zero", "<b>one</b>", "two"]
SHOTS = os.environ.get("POLYGAN_WEB_SHOTS", "")  # a folder for pictures of the pages, to be looked at
_packed = functools.lru_cache(8)(exporting.packed)  # packing onnxruntime-web takes seconds
_LOCAL = ("http://127.0.0.1:", "file:", "blob:", "data:")


@pytest.fixture(scope="module", autouse=True)
def _own_cache_of_the_module(tmp_path_factory):
    """onnxruntime-web is brought at most once for the whole session."""
    before = os.environ.get("POLYGAN_CACHE")
    os.environ["POLYGAN_CACHE"] = str(tmp_path_factory.getbasetemp() / "web-cache")
    try:
        runtime.runtime_files()
    except CheckpointError as error:
        pytest.skip(f"needs the network, or onnxruntime-web in {runtime.PLACE}: {error}")
    yield
    if before is not None:
        os.environ["POLYGAN_CACHE"] = before


@pytest.fixture(autouse=True)
def _cache(_own_cache, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path_factory.getbasetemp() / "web-cache"))
    monkeypatch.setattr(exporting, "packed", _packed)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        pytest.skip("needs Chromium: e.g. apt install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=["http", "file"])
def opened(request, browser, tmp_path):
    """Opens the page of an ONNX file. Faults of the page and requests to other addresses fail the test."""
    folder, faults = tmp_path / "page", []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)

    def open_page(file, info=None):
        if file is not None:  # otherwise the page is there already
            exporting.export(SimpleNamespace(info=info or {}), [file], folder)
        page = context.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(_LOCAL) else faults.append(r.url))
        page.goto(
            f"http://127.0.0.1:{server.server_port}/" if request.param == "http" else (folder / "index.html").as_uri()
        )
        page.wait_for_selector("[data-drawn]", timeout=60_000)
        return page

    yield open_page
    for page in context.pages:
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{request.node.name}.png", full_page=True)
    context.close()
    server.shutdown()
    server.server_close()
    assert faults == []


def pixels(page, canvas="#stage"):
    """What a canvas shows: (H, W, 4) from 0 to 255."""
    size, data = page.evaluate(
        """(name) => { const c = document.querySelector(name);
        return [[c.height, c.width], [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]]; }""",
        canvas,
    )
    return np.array(data, np.float32).reshape(*size, 4)


def drawn(page, act, canvas="#stage"):
    """Do something, and wait until the canvas is drawn anew."""
    before = int(page.get_attribute(canvas, "data-drawn"))
    act()
    page.wait_for_function(
        "([name, before]) => Number(document.querySelector(name).dataset.drawn) > before",
        arg=[canvas, before],
        timeout=30_000,
    )


def state(page):
    return json.loads(
        page.evaluate(
            "JSON.stringify({...polygan.state, latents: [...polygan.state.latents], values: [...polygan.state.values]})"
        )
    )


def expected(file, page):
    """What onnxruntime computes of the latents, the class and the truncation that the page has."""
    session, now = onnxruntime.InferenceSession(file), state(page)
    taken = {port.name for port in session.get_inputs()}
    given = {"latents": np.array([now["latents"]], np.float32), "latent": np.array([now["latents"]], np.float32)}
    given |= {name: np.array([now["label"]]) for name in ("classes", "label")}
    given["truncation"] = np.array(now["truncation"], np.float32)
    return session.run(None, {name: given[name] for name in taken})[0][0]


def grey_levels(picture):
    return np.moveaxis((picture + 1) * 127.5, 0, -1)


def slide(page, name, value):
    """Move the slider of this name."""
    page.get_by_label(name, exact=False).first.evaluate(
        "(node, value) => { node.value = value; node.dispatchEvent(new Event('input')); node.dispatchEvent(new Event('change')); }",
        value,
    )


def test_pictures_are_those_of_onnxruntime_and_every_control_changes_them(opened, tmp_path):
    file = latents(
        tmp_path / "g.onnx",
        weights(6, 3 * 24 * 16) * 3,
        (3, 24, 16),
        NAMES,
        truncation=True,
        facts={"sampling": {"truncation": 0.8}},
    )
    page = opened(file)

    def same():
        np.testing.assert_allclose(pixels(page)[..., :3], grey_levels(expected(file, page)), atol=0.51)
        assert pixels(page)[..., 3].min() == 255
        return pixels(page)

    first = same()
    assert first.shape == (24, 16, 4)
    assert state(page)["truncation"] == 0.8
    drawn(page, lambda: page.click(".cell >> nth=5"))
    chosen = same()
    assert state(page)["label"] == 5 % 3
    assert np.abs(chosen - first).mean() > 1
    np.testing.assert_array_equal(pixels(page, ".cell:nth-of-type(6) canvas"), chosen)
    for name, value in (("direction 2", -2.5), ("truncation", 0.3), ("from one to the next", 7.4)):
        before = pixels(page)
        drawn(page, lambda name=name, value=value: slide(page, name, value))
        assert np.abs(same() - before).mean() > 1, name
    drawn(page, lambda: page.click("text='<b>one</b>'"))
    assert state(page)["label"] == 1
    same()
    drawn(page, lambda: page.click("#new"))
    assert state(page)["seed"] != 1
    assert np.abs(same() - first).mean() > 1


def test_a_slider_moves_latents_along_its_direction_alone(opened, tmp_path):
    file = latents(tmp_path / "g.onnx", weights(6, 16), (1, 4, 4))
    page = opened(file)
    directions = np.array(page.evaluate("polygan.model.facts.directions"))
    before = np.array(state(page)["latents"])
    drawn(page, lambda: slide(page, "direction 3", 1.5))
    after = np.array(state(page)["latents"])
    moved = directions @ (after - before)
    assert directions[2] @ after == pytest.approx(1.5, abs=1e-3)
    assert np.abs(np.delete(moved, 2)).max() < 1e-3
    drawn(page, lambda: page.click("#reset"))
    np.testing.assert_allclose(state(page)["latents"], before)


def test_latents_are_normal_and_a_walk_ends_where_the_next_picture_is(opened, tmp_path):
    page = opened(latents(tmp_path / "g.onnx", weights(200, 16), (1, 4, 4)))
    rows = np.array(page.evaluate("[...Array(50).keys()].map((i) => [...polygan.parts.normals(3, i, 200)])"))
    assert abs(rows.mean()) < 0.03
    assert abs(rows.std() - 1) < 0.03
    assert abs(np.corrcoef(rows)[np.triu_indices(50, 1)]).max() < 0.35
    assert np.unique(rows.round(6)).size > 9_900
    drawn(page, lambda: slide(page, "from one to the next", 2))
    walked = state(page)["latents"]
    drawn(page, lambda: page.click(".cell >> nth=2"))
    np.testing.assert_allclose(walked, state(page)["latents"], atol=1e-6)


def test_a_picture_is_saved_as_png(opened, tmp_path):
    from PIL import Image

    page = opened(latents(tmp_path / "g.onnx", weights(6, 4 * 9 * 7) * 2, (4, 9, 7)))
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "image-dcgan-1-0.png"
    saved = np.asarray(Image.open(download.value.path()).convert("RGBA"), np.float32)
    now = pixels(page)
    opaque = now[..., 3] > 100  # a canvas keeps colours multiplied by alpha
    assert saved.shape == (9, 7, 4)
    assert np.abs(saved - now)[opaque].max() <= 2


def test_of_many_classes_a_search_finds_the_one(opened, tmp_path):
    names = [f"class {i}" for i in range(120)]
    page = opened(latents(tmp_path / "g.onnx", weights(6, 16), (1, 4, 4), names))
    assert page.locator(".chip").count() == 51
    page.fill("input[type=search]", "S 117")
    assert page.locator(".chip").all_inner_texts() == ["all in turn", "class 117"]
    drawn(page, lambda: page.click("text='class 117'"))
    assert state(page)["label"] == 117
    page.fill("input[type=search]", "nothing")
    assert page.inner_text(".chooser .note") == "no such class"


def test_sounds_are_those_of_onnxruntime_and_are_saved_as_wav(opened, tmp_path):
    names, facts = ("latent", "label", "waveform"), {"sample_rate": 8000, "recipe": "audio/wavegan"}
    file = latents(tmp_path / "s.onnx", weights(6, 2048), (2048,), ["A3", "C4"], names=names, facts=facts)
    page = opened(file)
    np.testing.assert_allclose(state(page)["values"], expected(file, page), atol=1e-5)
    assert pixels(page)[..., 3].any()
    before = pixels(page)
    drawn(page, lambda: page.click(".cell >> nth=3"))
    assert state(page)["label"] == 1
    assert np.abs(pixels(page) - before).mean() > 1
    page.click("#play")
    with page.expect_download() as download:
        page.click("#save")
    import wave

    with wave.open(str(download.value.path())) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        samples = np.frombuffer(sound.readframes(2048), np.int16)
    np.testing.assert_allclose(samples / 32767, expected(file, page), atol=1e-4)


@pytest.mark.parametrize(("given", "made"), [(3, 3), (1, 3), (3, 1)])
def test_a_given_picture_becomes_what_onnxruntime_makes_of_it(opened, tmp_path, given, made):
    from PIL import Image

    photo = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    page = opened(negative(tmp_path / "t.onnx", given, made), {"height": 64, "width": 64})
    assert pixels(page, "#made").shape == (64, 64, 4)  # the example
    drawn(page, lambda: page.set_input_files("#file", tmp_path / "photo.png"), "#made")
    levels = photo.astype(np.float32)
    if given == 1:
        levels = np.asarray(Image.fromarray(photo).convert("L"), np.float32)[..., None]
    expected = 255 - levels[..., np.arange(made) % given]
    shown = pixels(page, "#made")[..., :made]
    np.testing.assert_allclose(shown, expected, atol=1)


def test_a_drawing_of_a_label_map_is_one_hot(opened, tmp_path):
    colours = ["#102030", "#aabbcc", "#ff0000"]
    facts = {"given": {"channels": 3, "values": [0, 4, 9], "names": NAMES, "colours": colours}}
    page = opened(negative(tmp_path / "t.onnx", 3, 3, facts), {"height": 32, "width": 32})
    page.click("text='two'")
    box = page.locator("#given").bounding_box()
    x, y = box["x"], box["y"]

    def draw():
        page.mouse.move(x + 0.3 * box["width"], y + 0.3 * box["height"])
        page.mouse.down()
        page.mouse.move(x + 0.7 * box["width"], y + 0.3 * box["height"], steps=5)
        page.mouse.up()

    drawn(page, draw, "#made")
    values = np.array(page.evaluate("[...polygan.state.given]")).reshape(3, 32, 32)
    assert set(np.unique(values)) == {0, 1}
    assert (values.sum(0) == 1).all()
    assert values[2, 9, 12:20].all()
    np.testing.assert_allclose(pixels(page, "#made")[..., :3], grey_levels(-values), atol=0.51)


def test_a_file_that_is_no_picture_is_one_line(opened, tmp_path):
    (tmp_path / "no.png").write_text("text")
    page = opened(negative(tmp_path / "t.onnx"))
    page.set_input_files("#file", tmp_path / "no.png")
    page.wait_for_selector("#status.fault")
    assert page.inner_text("#status") == "no.png is no picture that this browser can read."


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
    slide(page, "temperature", 1)
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
