"""The folder of a page: its files, what stands in them, and networks that no page shows."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser

import pytest
from little_graphs import latents, negative, weights, write
from onnx import helper

from polygan import ConfigError
from polygan_web.export import export

HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a & b", "naïve “日本”"]


class Recipe:
    """A method <b>of</b> ``noise``.

    More about it.
    """

    def __init__(self, **info):
        self.info = info


def script(text):
    """What a script hands to the page."""
    return json.loads(re.fullmatch(r"globalThis\.polygan = \{ \.\.\.globalThis\.polygan, \w+: (.*) \};\n", text)[1])


def unpacked(text):
    return gzip.decompress(base64.b64decode(text))


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def made(tmp_path, file, recipe=None):
    written = export(recipe or Recipe(), [file], tmp_path / "page")
    assert all(path.parent == tmp_path / "page" for path in written)
    assert sorted(p.name for p in (tmp_path / "page").iterdir()) == sorted(p.name for p in written)
    return {path.name: path.read_text(encoding="utf-8") for path in written}


def test_a_page_of_pictures_has_the_network_its_facts_and_the_licence(registry, tmp_path):
    file = latents(
        tmp_path / "g.onnx",
        weights(5, 48),
        (3, 4, 4),
        HOSTILE,
        truncation=True,
        facts={"sampling": {"truncation": 0.7}},
    )
    files = made(tmp_path, file)
    model = script(files["model.js"])
    facts = model["facts"]
    assert unpacked(model["onnx"]) == file.read_bytes()
    assert facts.pop("directions")
    assert not facts.pop("about").startswith("More")
    assert facts == {
        "title": "image/dcgan", "step": 7, "kind": "picture", "latents": "latents", "size": 5, "label": "classes", "classes": HOSTILE,
        "made": "made", "shape": [3, 4, 4], "truncation": 0.7, "shift": 0, "runtime": "9.8.7",
    }  # fmt: skip
    parts = script(files["onnxruntime.js"])
    assert {name: unpacked(text) for name, text in parts.items()} == registry.files
    assert "MIT License" in files["onnxruntime-LICENSE"]
    assert "onnxruntime-ThirdPartyNotices.txt" in files
    assert "9.8.7" in files["README.txt"]
    assert "image/dcgan" in files["README.txt"]


def test_markup_in_names_is_text(registry, tmp_path):
    file = latents(tmp_path / "g.onnx", weights(5, 4), (1, 2, 2), HOSTILE, facts={"recipe": HOSTILE[0]})
    files = made(tmp_path, file)
    assert "<" not in files["model.js"]
    page = Page(files["index.html"])
    assert [tag for tag, _ in page.tags if tag in ("img", "b")] == []
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 6
    assert all(attrs.get("src") for tag, attrs in page.tags if tag == "script")  # none with code of its own
    assert HOSTILE[0] in page.text
    assert "A method <b>of</b> noise." in page.text
    for name, text in files.items():
        if name.endswith(".js") and name not in ("model.js", "onnxruntime.js"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|XMLHttp", text
            ), name


def test_the_page_may_not_contact_anybody(registry, tmp_path):
    files = made(tmp_path, latents(tmp_path / "g.onnx", weights(5, 4), (1, 2, 2)))
    page = Page(files["index.html"])
    (policy,) = (attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert {"connect-src", "frame-src", "font-src"}.isdisjoint(rules)
    assert {source for sources in rules.values() for source in sources.split()} == {
        "'none'", "'self'", "blob:", "data:", "'wasm-unsafe-eval'"
    }  # fmt: skip
    for _, attrs in page.tags:
        assert not re.match(r"(https?:)?//", attrs.get("src") or attrs.get("href") or "")


def test_all_that_the_page_loads_is_in_the_folder(registry, tmp_path):
    files = {
        "picture": latents(tmp_path / "p.onnx", weights(5, 4), (1, 2, 2)),
        "translation": negative(tmp_path / "t.onnx"),
        "sound": latents(
            tmp_path / "s.onnx",
            weights(5, 512),
            (512,),
            names=("latent", "label", "waveform"),
            facts={"sample_rate": 8000},
        ),
    }
    for kind, file in files.items():
        written = made(tmp_path / kind, file)
        assert script(written["model.js"])["facts"]["kind"] == kind
        page = Page(written["index.html"])
        loaded = [attrs.get("src") or attrs.get("href") for _, attrs in page.tags if {"src", "href"} & attrs.keys()]
        assert {name for name in loaded if not name.startswith("data:")} == written.keys() - {
            "index.html",
            "README.txt",
        }


def test_the_same_run_gives_the_same_folder(registry, tmp_path):
    file = latents(tmp_path / "g.onnx", weights(5, 4), (1, 2, 2))
    assert made(tmp_path / "a", file) == made(tmp_path / "b", file)


def test_a_page_of_sounds_knows_the_rate(registry, tmp_path):
    names = ("latent", "label", "waveform")
    file = latents(
        tmp_path / "s.onnx", weights(5, 512), (512,), ["A3", "C4"], names=names, facts={"sample_rate": 16_000}
    )
    facts = script(made(tmp_path, file)["model.js"])["facts"]
    assert (facts["rate"], facts["samples"], facts["latents"], facts["label"]) == (16_000, 512, "latent", "label")
    assert facts["classes"] == ["A3", "C4"]
    assert facts["truncation"] is None


def test_many_classes_have_their_numbers(registry, tmp_path):
    file = latents(tmp_path / "g.onnx", weights(5, 4), (1, 2, 2), [*"abc"], facts={"classes": 3})
    assert script(made(tmp_path, file)["model.js"])["facts"]["classes"] == ["0", "1", "2"]


def test_a_page_of_translations_knows_channels_sides_and_labels(registry, tmp_path):
    recipe = Recipe(height=96, width=64)
    given = {"channels": 3, "values": [0, 4, 9], "names": ["sky", HOSTILE[1], "tree"]}
    file = negative(tmp_path / "t.onnx", facts={"given": given, "scale": 2})
    facts = script(made(tmp_path, file, recipe)["model.js"])["facts"]
    assert (facts["given"], facts["made"], facts["scale"], facts["side"], facts["title"]) == (3, 3, 2, 96, "Recipe")
    assert facts["labels"] == given["names"]
    assert len(set(facts["colours"])) == 3
    own = ["#102030", "#aabbcc", "#FFFFFF"]
    file = negative(tmp_path / "t.onnx", facts={"given": {**given, "colours": own}})
    assert script(made(tmp_path / "own", file, recipe)["model.js"])["facts"]["colours"] == own
    file = negative(tmp_path / "t.onnx", facts={"given": {**given, "colours": ["red;}", "#aabbcc", "#ffffff"]}})
    colours = script(made(tmp_path / "bad", file, recipe)["model.js"])["facts"]["colours"]
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)


@pytest.mark.parametrize(
    ("info", "factor", "side"),
    [({}, 1, 256), ({"height": 4096, "width": 64}, 1, 512), ({"height": 128, "width": 128}, 4, 32)],
)
def test_given_pictures_begin_at_the_size_of_training(registry, tmp_path, info, factor, side):
    file = negative(tmp_path / "t.onnx", facts={"given": {"channels": 3, "factor": factor}})
    assert script(made(tmp_path, file, Recipe(**info))["model.js"])["facts"]["side"] == side


# What no page shows


def other(path):
    nodes = [helper.make_node("Neg", ["mel"], ["waveform"])]
    return write(path, nodes, {"mel": (1, ["batch", "frames"])}, ("waveform", ["batch", "samples"]), {}, {})


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (other, r"no page shows a network that makes waveform of mel: use --format onnx"),
        (lambda p: latents(p, weights(5, 6), (6,)), r"no page shows a network that makes made of latents"),
        (lambda p: negative(p, 5, 3), r"pictures of 1, 3 or 4 channels, and this network makes 3 of 5"),
        (lambda p: latents(p, weights(5, 4), (1, 2, 2), ["a"], facts={"classes": 10**6}), r"at most 100,000 classes, and the run has 1,000,000"),
        (lambda p: latents(p, weights(5, 512), (512,), names=("latent", "label", "waveform")), r"does not say its sample rate"),
    ],
)  # fmt: skip
def test_a_network_that_no_page_shows_is_refused_before_anything_is_written(registry, tmp_path, file, message):
    with pytest.raises(ConfigError, match=message) as error:
        export(Recipe(), [file(tmp_path / "g.onnx")], tmp_path / "page")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "page").exists()
    assert registry.asked == 0


def test_several_files_are_refused(registry, tmp_path):
    with pytest.raises(ConfigError, match=r"one ONNX file, and this recipe has 2 \(a\.onnx, b\.onnx\)"):
        export(Recipe(), [tmp_path / "a.onnx", tmp_path / "b.onnx"], tmp_path / "page")


def test_a_network_that_is_too_large_for_a_browser_is_refused(registry, tmp_path, monkeypatch):
    file = latents(tmp_path / "g.onnx", weights(5, 4), (1, 2, 2))
    monkeypatch.setattr("polygan_web.graphs.MOST_BYTES", file.stat().st_size - 1)
    with pytest.raises(ConfigError, match=r"a page carries at most [\d,]+: use --format onnx"):
        export(Recipe(), [file], tmp_path / "page")
    monkeypatch.setattr("polygan_web.graphs.MOST_BYTES", file.stat().st_size)
    assert export(Recipe(), [file], tmp_path / "page")
    parts = [latents(tmp_path / f"g-{part}.onnx", weights(5, 4), (1, 2, 2)) for part in ("encoder", "step")]
    with pytest.raises(
        ConfigError, match=rf"the network has {2 * parts[0].stat().st_size:,} bytes"
    ):  # each alone would fit
        export(Recipe(), parts, tmp_path / "parts")
