"""Templates: every text is escaped wherever a template shows it, and control characters do not reach a page."""

from __future__ import annotations

import re
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from markupsafe import Markup

from polygan.report import html
from polygan.report.html import page, part, shown

HOSTILE = """<script>alert(1)</script></title><img src=x onerror="alert(2)">'"&amp;{{ 7*7 }}{% raw %}"""
TEMPLATES = sorted((Path(html.__file__).parent / "templates").glob("*.html"))
CHART = {"group": HOSTILE, "term": HOSTILE, "last": HOSTILE, "colour": "c0", "svg": ""}
PIECE = {"picture": "", "sound": HOSTILE, "text": HOSTILE, "caption": HOSTILE}
SCORE = {"name": HOSTILE, "about": HOSTILE, "value": HOSTILE, "note": HOSTILE}
RUN = SimpleNamespace(recipe=HOSTILE, data=HOSTILE, state=HOSTILE, written=datetime(2026, 1, 2))
CALLS = {
    "section": ([HOSTILE, HOSTILE], 2),
    "report_head": ([HOSTILE, HOSTILE, HOSTILE, HOSTILE, [(HOSTILE, HOSTILE, HOSTILE)]], 7),
    "comparison_head": ([HOSTILE, [HOSTILE]], 2),
    "soft": ([HOSTILE], 1),
    "words": ([HOSTILE], 1),
    "tables": ([[(HOSTILE, [(HOSTILE, HOSTILE), (HOSTILE, [HOSTILE])])]], 5),
    "picture": ([None, HOSTILE, HOSTILE], 2),
    "gallery": ([[PIECE], HOSTILE, HOSTILE], 5),
    "samples": ([[(HOSTILE, HOSTILE)], True, [HOSTILE]], 3),
    "history": ([[(HOSTILE, HOSTILE)], True], 2),
    "findings": ([[(HOSTILE, SimpleNamespace(level=HOSTILE, title=HOSTILE, text=HOSTILE))]], 4),
    "folded": ([HOSTILE, [HOSTILE], True, HOSTILE], 3),
    "figures": ([[CHART]], 3),
    "curves": ([HOSTILE, [(HOSTILE, HOSTILE)]], 3),
    "plot": ([HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE], 5),
    "legend": ([[(HOSTILE, "c0")]], 1),
    "scores": ([[SCORE], HOSTILE, [HOSTILE]], 6),
    "against": ([HOSTILE, HOSTILE], 2),
    "compared_runs": ([[(HOSTILE, RUN, HOSTILE)]], 5),
    "side_by_side": ([[HOSTILE], [(HOSTILE, [HOSTILE])]], 3),
    "scores_beside": ([[HOSTILE], [(HOSTILE, [{"value": HOSTILE, "best": True, "below": [HOSTILE]}])]], 4),
    "runs_legend": ([[(HOSTILE, "c0", "-")]], 1),
    "curves_beside": ([HOSTILE, HOSTILE], 2),
    "bar": ([50.0, [(20.0, HOSTILE)]], 1),
}
"""Each macro: its values, and how many times the text stands in what it makes."""


class Found(HTMLParser):
    """What a browser would see: elements, attributes and text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.told = set(), set(), []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.told += [value or "" for _, value in attrs]

    def handle_data(self, data):
        self.told.append(data)


@pytest.mark.parametrize("macro", CALLS)
def test_hostile_text_is_shown_as_text_in_every_place_of_a_part(macro):
    values, times = CALLS[macro]
    html = part(macro, *values)
    found = Found(html)
    assert isinstance(html, Markup)
    assert "script" not in found.tags
    assert "img" not in found.tags or macro == "picture"
    assert "onerror" not in found.attributes
    assert sum(text.count(HOSTILE) for text in found.told) == times


def test_every_part_is_tried():
    macros = {name for name, value in vars(html._parts()).items() if callable(value) and not name.startswith("_")}
    assert macros == CALLS.keys()


def test_hostile_text_is_shown_as_text_on_a_page():
    found = Found(page(title=HOSTILE, head=HOSTILE, sections=[(HOSTILE, HOSTILE)]))
    assert not {"script", "img"} & found.tags
    assert sum(text.count(HOSTILE) for text in found.told) == 4


def test_no_template_turns_escaping_off():
    assert TEMPLATES
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe", text), path
        assert "autoescape" not in text, path


def test_markup_stays_and_control_characters_go():
    assert part("soft", Markup("<b>bold</b>")) == "<p class=soft><b>bold</b></p>"
    assert part("soft", "a\x1b[31m\nb") == "<p class=soft>a\\x1b[31m\nb</p>"
    assert "caf\\udce9" in page(title="caf\udce9", head="", sections=())


def test_a_value_that_a_template_lacks_is_an_error():
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        page(title="only this")


def test_a_long_list_is_cut_and_counted():
    assert shown([1, "a", None]) == "1, a, null"
    assert shown(list(range(30))).endswith("22, 23, … (30 in all)")
    assert shown(None) == "none"
    assert shown("x" * 20, 5) == "xxxxx …"
