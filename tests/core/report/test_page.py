"""The report of a run: what it shows, that nothing in it is alive, and that broken files do not stop it."""

from __future__ import annotations

import base64
import json
import re
import struct
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from polygan import DataError, Passage, Picture, Sound
from polygan.data.pieces import save_pieces
from polygan.report import page as report_page
from polygan.report.page import write_report

HOSTILE = """<script>alert(1)</script></style></title>]]>--><img src=x onerror="alert(2)">'"&amp;${d}$"""
VOID = {"meta", "img", "br", "link", "input"}


def make_png(pixels):
    """A PNG of uint8 pixels (H, W) or (H, W, 3)."""
    height, width = pixels.shape[:2]

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def make_wav(seconds=0.05, rate=8000):
    sound = (8000 * np.sin(np.arange(int(seconds * rate)) * 0.3)).astype("<i2").tobytes()
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    body = b"WAVE" + head + struct.pack("<4sI", b"data", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", len(body)) + body


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def fake_run(folder, pieces, *, real=(), steps=1000, source="mnist-5k"):
    """A run folder as training leaves it, with hostile markup wherever a user's text can be."""
    folder.mkdir(parents=True)
    config = {
        "recipe": "image/dcgan",
        "steps": steps,
        "batch_size": 64,
        "seed": 0,
        "precision": "bf16",
        "name": HOSTILE,
        "data": {"source": source, "held_out": 0.1, HOSTILE: "x"},
        "model": {"latent_dim": 64, "loss": "hinge", "optimizer": {"lr": 2e-4, "betas": [0.5, 0.999]}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    environment = {"python": "3.11.9", "torch": "2.14.1", "device": "cpu", "threads": 2, "precision": "bf16"}
    environment["plugins"] = {"polygan-image": "0.1.0", HOSTILE: HOSTILE}
    (folder / "environment.json").write_text(json.dumps(environment))
    bad = [f"{HOSTILE}.png: truncated", *(f"bad-{i}.png: empty" for i in range(120))]
    info = {"shape": [1, 28, 28], "classes": ["zero", HOSTILE]}
    data = {"domain": "image", "count": 5000, "train": 4500, "held_out": 500, "bad": bad, "info": info}
    (folder / "data.json").write_text(json.dumps(data))
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in fake_log(steps)) + '{"event": "lo')
    for step in range(0, steps + 1, steps // 20):
        save_pieces(folder / f"samples/step-{step:08d}", pieces)
    if real:
        save_pieces(folder / "samples/real", real)
    return folder


def fake_log(steps):
    rng = np.random.default_rng(0)
    yield {"event": "started", "step": 0, "samples": 0, "seconds": 0}
    for step in range(10, steps + 1, 10):
        where = {"step": step, "samples": step * 64, "seconds": step * 0.1}
        values = {
            "d/real": 0.69 + 0.1 * rng.standard_normal(),
            "d/accuracy": 0.8,
            f"d/{HOSTILE}": rng.random(),
            "g/adversarial": 1 + 0.2 * rng.standard_normal() if step != 500 else None,
            "grad/generator": float(np.exp(rng.normal(0, 3))),
            "grad/discriminator": None,
            "lr/generator": 2e-4,
            "skipped/generator": 0,
            "speed/samples_per_second": 640 + rng.standard_normal(),
        }
        yield {"event": "logged", **where, "values": values}
        if step % 200 == 0:
            yield {"event": "health", **where, "values": {"nn_ratio": 0.9 - step / 1e4, "duplicates": 0.0}}
    scores = [
        {"name": "image/frechet", "value": 4.2, "floor": 2.0, "better": "lower", "note": HOSTILE},
        {"name": "image/recognised", "value": 0.96, "floor": 0.97, "better": "higher", "note": ""},
        {"name": HOSTILE, "value": None, "floor": None, "better": "lower", "note": "not computed"},
    ]
    lines = {"generator": [[1.0, 2.0], [1.5, 1.0]], HOSTILE: [[1.1, 2.1], [1.6, 1.1]]}
    plots = [
        {"name": "text/sweep", "x": HOSTILE, "y": "quality", "lines": lines, "note": HOSTILE},
        {"name": "text/broken", "x": "x", "y": "y", "lines": {"a": "nonsense"}},
    ]
    yield {"event": "evaluated", **where, "scores": scores, "plots": plots}
    yield {"event": "diverged", **where, "message": HOSTILE}
    yield {"event": "something new", "step": None, "extra": [1]}
    yield {"event": "ended", **where, "status": "finished"}


class Page(HTMLParser):
    """Elements in order, the text outside of style, and the addresses that are referred to."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.addresses, self.open, self.words = [], [], [], []
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()
        assert not self.open, f"not closed: {self.open}"
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.addresses += [v for k, v in attrs if k in ("src", "href", "xlink:href", "action", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> without a start"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def count(self, tag):
        return sum(t == tag for t, _ in self.elements)


MIXED = [
    Picture(make_png(noise(28, 28)), HOSTILE),
    Sound(make_wav(), 8000, "a tone " + HOSTILE, make_png(noise(20, 60))),
    Passage("Ein Kätzchen\n" + HOSTILE, HOSTILE),
]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = fake_run(tmp_path_factory.mktemp("runs") / "a <b> & 'run'", MIXED, real=MIXED[:1])
    return Page(write_report(folder))


def test_nothing_in_it_is_alive(mixed):
    assert not {"script", "iframe", "object", "embed", "link", "form", "base"} & {t for t, _ in mixed.elements}
    handlers = [name for _, attrs in mixed.elements for name in attrs if name.startswith("on")]
    assert handlers == []
    assert mixed.count("style") == 1
    assert mixed.count("title") == 1
    policy = next(a["content"] for t, a in mixed.elements if t == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


def test_it_refers_to_nothing_outside(mixed):
    outside = [a for a in mixed.addresses if not re.match(r"#\w+$|data:(image/png|audio/wav);base64,", a)]
    assert outside == []
    assert "http://" not in mixed.source
    assert "https://" not in mixed.source
    styles = mixed.source[mixed.source.index("<style>") : mixed.source.index("</style>")]
    assert "@import" not in styles
    assert "url(" not in styles
    assert all(re.match(r"url\(#\w+\)$", u) for u in re.findall(r"url\([^)]*\)", mixed.source))


def test_no_two_elements_share_an_id(mixed):
    ids = [attrs["id"] for _, attrs in mixed.elements if "id" in attrs]
    assert len(ids) == len(set(ids)) > 0
    used = {a[1:] for a in mixed.addresses if a.startswith("#")} | set(re.findall(r"url\(#(\w+)\)", mixed.source))
    assert used <= set(ids)


def test_every_part_is_there_in_order(mixed):
    parts = ["image/dcgan on mnist-5k", "Samples", "Scores", "Health", "Samples over time", "Curves", "Speed"]
    parts += ["Settings", "Data", "Environment", "Skipped files"]
    headings = re.findall(r"<h[12]>(.*?)</h[12]>", mixed.source)
    assert headings == parts


def test_the_heading_says_what_was_trained_on_what(mixed):
    for fact in (
        "a <b> & 'run'",
        "Finished.",
        "1,000",
        "64,000",
        "12.8 times the data",
        "1 min 40 s",
        "cpu",
        "bf16",
    ):
        assert fact in mixed.text
    assert "5,000 image samples: 4,500 for training, 500 held out" in mixed.text


def test_text_comes_through_as_it_was_written(mixed):
    plain = " ".join(HOSTILE.split())
    assert mixed.text.count(plain) >= 10
    assert "Ein Kätzchen" in mixed.text


def test_given_made_and_real_stand_in_rows_in_the_place_of_two_galleries(tmp_path):
    folder = fake_run(tmp_path / "run", MIXED[:1], real=MIXED[:1])
    save_pieces(
        folder / "samples/beside-00001000", [Picture(make_png(noise(30, 90)), "from the left: given, made, real")]
    )
    page = Page(write_report(folder))
    assert "Given and generated, step 1,000 from the left: given, made, real" in page.text
    assert "Generated, step" not in page.text
    (folder / "samples/beside-00001000").rename(folder / "samples/beside-00000950")  # of another step
    assert "Generated, step 1,000" in Page(write_report(folder)).text
    (folder / "samples/beside-00000950").rename(folder / "samples/beside-00001000")
    (folder / "samples/beside-00001000/pieces.json").write_text("{")
    page = Page(write_report(folder))
    assert "Generated, step 1,000" in page.text
    assert "its samples cannot be read" in page.text


def test_samples_are_embedded(mixed):
    assert "Generated, step 1,000" in mixed.text
    pictures = [a["src"] for t, a in mixed.elements if t == "img"]
    sounds = [a["src"] for t, a in mixed.elements if t == "audio"]
    assert len(pictures) == 2 + 1 + 12 * 2  # newest, real, and two pieces for each of twelve steps
    assert len(sounds) == 1 + 12
    assert mixed.count("blockquote") == 1
    assert all("autoplay" not in a for t, a in mixed.elements if t == "audio")
    assert all(a.get("alt") for t, a in mixed.elements if t == "img")


def test_a_long_text_among_the_facts_is_shortened(tmp_path):
    folder = fake_run(tmp_path / "run", MIXED[:1])
    data = json.loads((folder / "data.json").read_text())
    data["info"]["tokenizer"] = "x" * 5000
    (folder / "data.json").write_text(json.dumps(data))
    page = Page(write_report(folder))
    assert "x" * 200 + "… (5,000 characters)" in page.text
    assert "x" * 300 not in page.text


def test_curves_of_what_changes_and_words_for_the_rest(mixed):
    drawn = re.findall(r"<figcaption><b><i>(.*?)</i>(.*?)</b>", mixed.source)
    names = {"d/real", "g/adversarial", "grad/generator", "speed/samples_per_second", "health/nn_ratio"}
    assert names <= {"".join(name) for name in drawn}
    assert mixed.count("svg") == len(drawn) + 1  # and the plot of a metric
    for words in ("d/accuracy 0.8", "grad/discriminator not finite", "lr/generator 0.0002", "Gradient norms"):
        assert words in mixed.text
    assert "#0000" not in "".join(re.findall(r"<svg.*?</svg>", mixed.source)), "a colour that ignores the page's"


def test_settings_are_nested_and_skipped_files_counted(mixed):
    for words in ("latent_dim 64", "optimizer.betas 0.5, 0.999", "121 skipped", "and 21 more in data.json"):
        assert words in mixed.text


def test_health_is_told_in_the_words_of_the_health_module(tmp_path, monkeypatch):
    from polygan.scoring import health

    heard = []

    def describe(records):
        heard.extend(records)
        return [health.Finding("bad", "Collapse <b>", HOSTILE), health.Finding("good", "Even", "fine")]

    monkeypatch.setattr(health, "describe", describe)
    page = Page(write_report(fake_run(tmp_path / "run", MIXED[:1])))
    assert [a["class"] for t, a in page.elements if t == "li" and "class" in a] == ["bad", "good"]
    assert "Collapse <b>" in page.text
    assert {"logged", "health", "ended"} <= {r["event"] for r in heard}


def test_the_same_files_give_the_same_bytes(tmp_path):
    folder = fake_run(tmp_path / "run", MIXED[:1])
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert [p.name for p in folder.iterdir() if p.name.endswith(".tmp")] == []


def test_a_failed_write_leaves_the_old_report(tmp_path, monkeypatch):
    folder = fake_run(tmp_path / "run", MIXED[:1])
    before = write_report(folder).read_bytes()

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == before
    assert not list(folder.glob(".report*"))


def test_large_grids_stay_below_five_megabytes(tmp_path):
    grid = Picture(make_png(noise(512, 512, 3) >> 2))
    page = Page(write_report(fake_run(tmp_path / "run", [grid], real=[grid])))
    assert len(page.source) < 5_000_000
    starts = [base64.b64decode(a["src"][22:70]) for t, a in page.elements if t == "img"]
    sizes = [struct.unpack(">II", start[16:24]) for start in starts]
    assert sizes == [(512, 512)] * 2 + [(256, 256)] * (len(sizes) - 2)
    assert 6 < len(sizes) <= 14


def test_many_long_sounds_are_cut_and_counted(tmp_path):
    sounds = [Sound(make_wav(20, 16000), 16000, f"take {i}") for i in range(12)]
    page = Page(write_report(fake_run(tmp_path / "run", sounds)))
    assert len(page.source) < 6_000_000
    assert "3 moments" in page.text
    newest = page.source[: page.source.index("<h2>Scores")].count("<audio")
    assert 1 <= newest < 12
    assert f"and {12 - newest} more in the run's folder" in page.text


# Nothing yet, and broken files


def test_a_run_with_settings_only(tmp_path):
    (tmp_path / "config.yaml").write_text("recipe: image/dcgan\nsteps: 10\ndata:\n  source: /data/birds/\n")
    page = Page(write_report(tmp_path))
    assert "image/dcgan on birds" in page.text
    for words in ("Training has not logged anything yet.", "No samples have been drawn yet.", "of 10"):
        assert words in page.text
    assert "environment.json is missing" in page.text
    assert "data.json is missing" in page.text
    assert "<svg" not in page.source


def test_a_log_without_settings(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"event": "logged", "step": 1, "samples": 8, "values": {"d/x": 1}}\n')
    page = Page(write_report(tmp_path))
    assert "config.yaml is missing" in page.text
    assert "Without change so far: d/x 1." in page.text
    assert "Running, or stopped without a word." in page.text


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(DataError, match=r"no run is here .*polygan train"):
        write_report(tmp_path)
    with pytest.raises(DataError, match="no run is here"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{", b"\xff\xfe\x00", b"null", b"- a: [\n"])
def test_broken_files_are_named(tmp_path, content):
    folder = fake_run(tmp_path / "run", MIXED[:1])
    for name in ("config.yaml", "environment.json", "data.json"):
        (folder / name).write_bytes(content)
    (folder / "samples/step-00001000/pieces.json").write_bytes(content)
    (folder / "samples/step-00000950/000.png").unlink()
    page = Page(write_report(folder))
    for name in ("config.yaml", "environment.json", "data.json"):
        assert re.search(rf"{re.escape(name)} (cannot be read|holds no mapping)", page.text)
    assert "samples cannot be read" in page.text


def test_reading_a_run_does_not_import_torch():
    code = "import sys, polygan.report.page; print({'torch', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Words and looks


@pytest.mark.parametrize(("threads", "words"), [(1, "cpu 1 thread "), (2, "cpu 2 threads "), ("many", "cpu Precision")])
def test_counts_have_their_nouns_in_the_right_number(tmp_path, threads, words):
    folder = fake_run(tmp_path / "run", MIXED[:1])
    environment = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps({**environment, "threads": threads}))
    data = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps({**data, "count": 1, "train": 1, "held_out": 0}))
    text = Page(write_report(folder)).text
    assert words in text
    assert "1 image sample: 1 for training, 0 held out" in text


def test_names_that_utf_8_does_not_hold_are_escaped(tmp_path):
    """Lone surrogates stand for bytes of a file's name; JSON keeps them, and a page cannot."""
    name = "caf\udce9\nnew\x1b[31m"
    folder = fake_run(tmp_path / "run", [Passage(name, name), Picture(make_png(noise(8, 8)), name)], source=name)
    data = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps({**data, "bad": [name], "info": {"classes": [name], name: name}}))
    (folder / "environment.json").write_text(json.dumps({"device": name, "plugins": {name: name}}))
    values = {f"d/{name}": 1.0, f"{name}/accuracy": 0.8}
    plots = [{"name": name, "x": name, "y": name, "lines": {name: [[0, 1], [1, 2]]}, "note": name}]
    scores = [{"name": name, "value": 90.0, "floor": 1.0, "note": name}]
    log = [{"event": "logged", "step": step, "values": {**values, f"d/{name}": step}} for step in (1, 2)]
    log += [{"event": "started", "step": 2, "notes": [name]}, {"event": "diverged", "step": 2, "message": name}]
    log += [{"event": "evaluated", "step": 2, "scores": scores, "plots": plots}]
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in log))
    page = Page(write_report(folder))
    assert page.text.count("caf\\udce9") >= 10
    assert "\x1b" not in page.source


def test_a_ratio_of_many_times_the_whole_is_no_percentage(tmp_path):
    folder = fake_run(tmp_path / "run", MIXED[:1])
    records = [{"event": "logged", "step": 5, "values": {"d/accuracy": 0.8}}]
    records += [{"event": "health", "step": 5, "values": {"nn_ratio": 33.3, "duplicates": 0.0, "held_out_gap": 1291.0}}]
    records += [{"event": "evaluated", "step": 5, "scores": [{"name": "a/b", "value": 1.29e12, "floor": 1.0}]}]
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    health = Page(write_report(folder)).text
    health = health[health.index(" Health ") : health.index(" Samples over time ")]
    assert "33 times the distance" in health
    assert not re.search(r"\d{4,} ?%", health)
    assert "over a million times its floor" in health


def specificity(selector):
    """(ids, classes and pseudo-classes, elements)."""
    classes = len(re.findall(r"[.:\[]", selector))
    return 0, classes, len(re.findall(r"(?<![.:\w-])[a-z]\w*", selector))


def test_on_a_phone_a_bar_of_a_score_is_as_wide_as_the_page():
    """The rule of a wide page, a quarter for the cell, was more specific than the rule of a narrow page."""
    css = (Path(report_page.__file__).with_name("report.css")).read_text()
    narrow = css[css.index("@media(max-width:560px){") :]
    narrow = narrow[narrow.index("{") + 1 : narrow.index("}}") + 1]
    rules = [
        (s, body)
        for text in (css[: css.index("@media(max-width")], narrow)
        for ss, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text)
        for s in ss.split(",")
    ]
    cell = {".scores td", ".scores tbody td", ".scores td:nth-child(2)", ".scores td:nth-child(n)", "td"}
    widths = [
        (specificity(s), i, re.search(r"(?:^|;)width:([^;]+)", body)[1])
        for i, (s, body) in enumerate((s.strip(), body) for s, body in rules)
        if s in cell and re.search(r"(?:^|;)width:", body)
    ]
    assert max(widths)[2] == "100%"
    assert {body for s, body in rules if s.strip() == ".bar"}.pop().startswith("display:block")
