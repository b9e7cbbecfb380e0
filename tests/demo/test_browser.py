"""The page in Chromium: clicks change what it shows, and it asks nobody but its own server."""

from __future__ import annotations

import os
import re
import shutil

import pytest
from demo_pages import served

from polygan_demo.stage import open_stage

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MADE = "#made .pg-made img, #made blockquote, #made audio"


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt install chromium")
    with playwright.sync_playwright() as running:
        sandbox = [] if os.name != "posix" or os.geteuid() else ["--no-sandbox"]
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """Opens the page of a stage; at the end, no address of another machine was asked and no script of a name has run."""
    contexts, asked = [], []

    def open_page(address):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_selector(MADE)
        return page

    yield open_page
    for context in contexts:
        assert all(page.evaluate("window.hacked") is None for page in context.pages)
        context.close()
    assert asked
    assert not [url for url in asked if not re.match(r"(http://127\.0\.0\.1:\d+/|data:|blob:)", url)]


def shown(page):
    return page.locator("#made .pg-made").first.inner_html()


def until_changed(page, before):
    """What the page shows after it stopped showing ``before``."""
    page.wait_for_function(
        "before => { const made = document.querySelector('#made .pg-made'); return made && made.innerHTML !== before; }",
        arg=before,
    )
    return shown(page)


def test_clicks_change_the_picture(opened, pictures):
    with served(open_stage(pictures, device="cpu")) as address:
        page = opened(address)
        first = shown(page)
        assert page.locator("#made img").first.evaluate("image => image.complete && image.naturalWidth > 0")
        page.get_by_role("button", name="New seed").first.click()
        seeded = until_changed(page, first)
        page.get_by_text("<b>bold", exact=True).first.click()
        of_class = until_changed(page, seeded)
        assert "&lt;b&gt;bold" in page.content()
        slider = page.get_by_role("slider").nth(1)  # the first is the number of samples
        slider.focus()
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        moved = until_changed(page, of_class)
        page.get_by_role("button", name="All directions to 0").click()
        until_changed(page, moved)
        page.wait_for_function("of => document.querySelector('#made .pg-made').innerHTML === of", arg=of_class)
        page.get_by_role("tab", name="Between two seeds").click()
        page.wait_for_selector("text=The whole way, from seed 0 to seed 1")


def test_an_upload_becomes_a_picture(opened, grey, place):
    with served(open_stage(grey, device="cpu")) as address:
        page = opened(address)
        assert "Hand something in" in page.locator("#made").inner_text()
        page.set_input_files("input[type=file] >> nth=0", next((place / "pictures/plain").glob("*.png")))
        page.wait_for_selector("a.pg-download")
        with page.expect_download() as download:
            page.click("a.pg-download")
        assert download.value.suggested_filename == "made.png"
        assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_sentences_appear_as_text(opened, lines):
    with served(open_stage(lines, device="cpu")) as address:
        page = opened(address)
        page.wait_for_function("document.querySelectorAll('#made blockquote').length === 4")
        page.get_by_role("tab", name="From your own").click()
        page.get_by_label("Your text").fill("a small\ntwo birds")
        page.get_by_role("button", name="Make", exact=True).click()
        page.wait_for_function("document.querySelectorAll('#made blockquote').length === 2")
        texts = page.locator("#made blockquote").all_inner_texts()
        assert [text.split()[0] for text in texts] == ["a", "two"]


def test_many_classes_are_found_by_a_part_of_the_name(opened, toy, monkeypatch):
    stage = open_stage(toy, device="cpu")
    names = tuple(f"<i>class {i}" for i in range(1_000_000))
    monkeypatch.setattr(
        type(stage), "_options", lambda self, label, options: {"scale": 1.0 if label is None else 0.5 + label}
    )
    object.__setattr__(stage, "can", stage.can.__class__(**{**vars(stage.can), "classes": names}))
    stage._folded = [name.casefold() for name in names]
    with served(stage) as address:
        page = opened(address)
        first = shown(page)
        assert page.locator(".pg-classes input").count() == 25
        page.get_by_label("Search 1,000,000 classes").fill("class 98765")
        page.wait_for_selector("text=Class (11 of 11 found)")
        page.get_by_text("<i>class 987654", exact=True).click()
        until_changed(page, first)
        page.get_by_label("Search 1,000,000 classes").fill("zebra")
        page.wait_for_selector("text=Class (0 of 0 found)")
        assert page.get_by_text("<i>class 987654", exact=True).count() == 1  # the chosen class stays
