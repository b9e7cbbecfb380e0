"""Runs side by side: settings that differ, scores beside floors, curves on shared axes; hostile text stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
import yaml

import polygan
from polygan import ConfigError
from polygan.report.charts import overlay
from polygan.report.comparison import Comparison, compare

HOSTILE = """<script>alert(1)</script></title><img src=x onerror="alert(2)">'"&amp;"""


def make(folder, *, recipe="points/mlp", value=2.0, better="lower", names=("a/far",), **settings):
    """A run's folder with three logged steps and a score of each name."""
    folder.mkdir(parents=True)
    config = {"format": 2, "recipe": recipe, "name": folder.name, "runs": "x", "steps": 30, "seed": 0, **settings}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    scores = [{"name": n, "value": value, "better": better, "floor": 1.0, "error": 0.1} for n in names]
    log = [{"event": "logged", "step": s, "values": {"d/real": s * value, "d/still": 1, HOSTILE: s}} for s in (1, 2, 3)]
    log += [{"event": "evaluated", "step": 30, "scores": scores}, {"event": "ended", "step": 30, "status": "finished"}]
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in log))
    return folder


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.tags, self.attributes, self.words = [], set(), []
        self.source = path.read_text("utf-8")
        self.feed(self.source[self.source.index("</style>") :])
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.words.append(data)


def test_settings_that_differ_are_listed_and_others_are_not(tmp_path):
    a = make(tmp_path / "a", model={"rate": 0.1, "loss": "hinge"}, batch_size=8)
    b = make(tmp_path / "b", model={"rate": 0.2, "loss": "hinge", "width": ""}, batch_size=8)
    found = Comparison([a, b])
    assert found.settings == {"model.rate": ["0.1", "0.2"], "model.width": ["–", '""']}
    assert found.notes == []


def test_runs_of_different_recipes_are_compared_with_what_they_share(tmp_path):
    a = make(tmp_path / "a", names=("a/far", "a/near"), model={"rate": 0.1, "loss": "hinge"})
    b = make(tmp_path / "b", recipe="text/other", names=("a/near", "b/near"), model={"rate": 0.2, "size": 3})
    found = Comparison([a, b])
    assert found.settings == {"recipe": ["points/mlp", "text/other"], "model.rate": ["0.1", "0.2"]}
    assert list(found.scores()) == ["a/near"]
    assert found.notes == ["The recipes differ (points/mlp, text/other): only what all runs share is compared."]
    assert "only what all runs share" in Page(found.write()).text


def test_the_page_shows_runs_scores_with_floors_and_a_line_for_each_run(tmp_path):
    places = [make(tmp_path / name, value=value) for name, value in (("a", 3.0), ("b", 2.0), ("c", 4.0))]
    path = compare(places)
    assert path == tmp_path / "compare.html"
    page = Page(path)
    assert re.findall("<h[12]>(.*?)</h[12]>", page.source) == [
        "a, b and c compared",
        "Runs",
        "Settings that differ",
        "Last scores",
        "Curves",
    ]
    assert "No settings differ." in page.text
    assert "a/far 3 ± 0.1 floor 1 step 30 2 ± 0.1 floor 1 step 30 4 ± 0.1 floor 1 step 30" in page.text
    assert "<b>2 ± 0.1</b>" in page.source
    assert "<b>3 ± 0.1</b>" not in page.source
    assert page.tags.count("svg") == 2  # d/real and the hostile name; what stands still is not drawn
    (drawn,) = re.findall(r"<figcaption><b><i>d/</i>real</b>.*?(<svg.*?</svg>)", page.source)
    assert [f"var(--{c})" in drawn for c in ("c0", "c1", "c2", "c3")] == [True, True, True, False]


@pytest.mark.parametrize(("better", "best"), [("higher", "3 ± 0.1"), ("lower", "2 ± 0.1"), ("of another kind", None)])
def test_the_best_value_is_marked_in_its_own_sense(tmp_path, better, best):
    places = [make(tmp_path / name, value=value, better=better) for name, value in (("a", 3.0), ("b", 2.0))]
    source = compare(places).read_text("utf-8")
    assert re.findall(r"<td><b>(.*?)</b>", source) == ([best] if best else [])


def test_hostile_text_is_shown_as_text(tmp_path):
    names = {"recipe": HOSTILE, "names": (HOSTILE,), "data": {"source": HOSTILE}}
    a = make(tmp_path / "<script>a", model={HOSTILE: HOSTILE}, **names)
    b = make(tmp_path / "b", model={HOSTILE: "x"}, **names)
    page = Page(compare([a, b]))
    assert not {"script", "img"} & set(page.tags)
    assert "onerror" not in page.attributes
    assert page.text.count(" ".join(HOSTILE.split())) >= 5
    assert "<script>a and b compared" in page.text


def test_the_page_goes_where_it_is_sent(tmp_path):
    places = [make(tmp_path / "x/run"), make(tmp_path / "y/run")]
    out = polygan.compare(places, tmp_path / "p.html")
    assert out == tmp_path / "p.html"
    assert str(places[0]) in Page(out).text  # runs of one name are told apart
    with pytest.raises(ConfigError, match="does not exist; make it, or name another file with --out"):
        compare(places, tmp_path / "nowhere/p.html")
    (tmp_path / "link.html").symlink_to(out)
    with pytest.raises(ConfigError, match="symbolic link"):
        compare(places, tmp_path / "link.html")


def test_what_is_no_run_is_refused(tmp_path):
    a = make(tmp_path / "a")
    (tmp_path / "photos").mkdir()
    for wrong, says in (
        ([a, tmp_path / "photos"], "is not a run: it has no config.yaml"),
        ([a, tmp_path / "nowhere"], "is not a run"),
        ([a, tmp_path / "a/../a"], "named twice"),
        ([a], "1 runs cannot be compared; name 2 to 12 runs"),
        ([a] * 13, "13 runs cannot"),
    ):
        with pytest.raises(ConfigError, match=says):
            Comparison(wrong)
    torn = make(tmp_path / "torn")
    (torn / "config.yaml").write_text("[1,")
    with pytest.raises(ConfigError, match=r"settings of run .* cannot be read"):
        Comparison([a, torn])


def test_runs_without_scores_and_curves_have_a_page(tmp_path):
    places = [make(tmp_path / name, recipe=f"points/{name}") for name in "ab"]
    for place in places:
        (place / "log.jsonl").unlink()
    text = Page(compare(places)).text
    assert "The runs share no score." in text
    assert "The runs share no curve that changes." in text


def test_lines_of_many_runs_are_told_apart_and_gaps_draw_nothing():
    points = [(step, float(step)) for step in range(5)]
    drawn = overlay([points] * 5, "x")
    assert drawn.count("stroke-dasharray") == 1  # the fifth has the first colour again, dashed
    assert overlay([None, [(1, float("nan"))]], "x").startswith("<svg")
    assert "var(--c1)" in overlay([None, points], "x")
    assert "var(--c0)" not in overlay([None, points], "x")
