"""The model card tells what a reader asks, tells nothing private, and no text of the run becomes markup."""

from __future__ import annotations

import json
import platform
import re
import shutil
from pathlib import Path

import pytest
import yaml
from stub_hub import TOKEN

import polygan
import polygan_hub
from polygan_hub.card import Card, Sample, fenced, plain, write_card
from polygan_hub.private import clean, clean_command, clean_text, without_home
from polygan_hub.pushing import scrub_model, write

HOSTILE = "<script>alert(1)</script> ![x](http://evil/x.png) [y](javascript:z) | `c` \n# head\n---\n{{x}} &#60;"


def card_of(run, folder):
    folder.mkdir()
    write(polygan.load(run), "me/toy", folder)
    return (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_of_a_run_tells_data_seed_budget_scores_command_and_samples(run, tmp_path):
    environment = json.loads((run / "environment.json").read_text())
    environment["command"] = "polygan train points/mlp --data ring --steps 4"
    (run / "environment.json").write_text(json.dumps(environment))
    text = card_of(run, tmp_path / "pushed")
    head, body = text.split("---\n")[1:3]
    assert yaml.safe_load(head) == {"library_name": "polygan", "tags": ["polygan", "gan", "points", "mlp"]}
    assert "| data | ring |" in body
    assert "| licence of the data | the data set names none |" in body
    assert re.search(r"\| samples \| 512, of which \d+ were held out \|", body)
    assert "| steps | 4 |" in body
    assert "| seed | 0 |" in body
    assert "| seconds of training |" in body
    assert "batch_size: 8" in body
    assert "polygan train points/mlp --data ring --steps 4\n```" in body
    assert "polygan generate hf:me/toy --out samples/" in body
    assert "pip install polygan-hub\n" in body  # the toy is no package
    scores = json.loads((tmp_path / "pushed/scores.json").read_text())
    assert scores[0]["name"] == "points/spread"
    assert f"| points/spread | {scores[0]['value']:.4g} | {scores[0]['floor']:.4g} |  | lower | 4 |" in body
    assert "&lt;points&gt;\n\n```text\n" in body


def test_the_licence_of_a_named_data_set_is_in_the_card(run, tmp_path, monkeypatch):
    from polygan.plugins import get_catalogue

    spec = polygan.DatasetSpec("ring", "points", "toy_gan:ring", "points", licence="CC BY 4.0")
    monkeypatch.setitem(get_catalogue().datasets, "ring", spec)
    assert "| licence of the data | CC BY 4.0 |" in card_of(run, tmp_path / "pushed")


def test_nothing_private_is_published(run, tmp_path, hub, monkeypatch):
    home = str(Path.home())
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["cache"] = f"{home}/secret-place/cache"
    config["runs"] = f"{home}/secret-place/runs"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    command = (
        f"polygan train points/mlp --data ring --plugin {home}/secret-place/my.py --cache=../secret-place/c {TOKEN}"
    )
    environment = {"command": f"{command} {platform.node()}", "platform": "secret-place"}
    (run / "environment.json").write_text(json.dumps(environment))
    polygan_hub.push(run, "me/toy")
    published = b"\n".join(hub.files("me/toy")[1].values())
    for secret in ("secret-place", home if len(home) > 1 else "secret-place", TOKEN, str(run.parent)):
        assert secret.encode() not in published, secret
    command = "polygan train points/mlp --data ring --plugin my.py --cache=c ..."
    assert command.encode() in published


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/pictures/cats/", "cats"),
        ("~ann/cats", "cats"),
        (r"C:\Users\ann\cats", "cats"),
        ("file:///home/ann/cats.npy", "cats.npy"),
        ("from /home/ann/cats.npy, 3 times", "from cats.npy, 3 times"),
        ("lr 1e-4 of image/dcgan at 3/4", "lr 1e-4 of image/dcgan at 3/4"),
        ("token hf_abcdefghijklmnop", "token ..."),
        ("/", ""),
    ],
)
def test_paths_and_tokens_are_reduced(text, shown):
    assert clean_text(text) == shown


def test_settings_that_hold_paths_are_reduced_and_the_others_stay():
    given = {
        "data": {"source": "data/cats", "size": 64},
        "init_from": "hf:me/x@1",
        "model": {"word": "a/b", "n": [1, "/x/y"]},
    }
    assert clean(given) == {
        "data": {"source": "cats", "size": 64},
        "init_from": "hf:me/x@1",
        "model": {"word": "a/b", "n": [1, "y"]},
    }
    assert clean_command("polygan train image/dcgan --data ../a/cats --data.size 64 --config=x/y.yaml") == (
        "polygan train image/dcgan --data cats --data.size 64 --config=y.yaml"
    )
    assert clean_command("polygan 'unclosed") == ""


def test_words_of_a_vocabulary_stay_to_the_letter_and_paths_below_home_go():
    home = str(Path.home())
    assert without_home({"vocabulary": ["/", "/etc", "~/"], "file": f"{home}/x/y.txt"}) == {
        "vocabulary": ["/", "/etc", "~/"],
        "file": "y.txt",
    }


def test_facts_of_a_model_are_scrubbed_and_its_tensors_stay(run, tmp_path):
    import safetensors.torch

    from polygan_hub.pulling import check_model

    loaded = polygan.load(run)
    loaded.recipe.info = {**loaded.recipe.info, "place": f"{Path.home()}/x/points.npy"}
    path = tmp_path / "model.safetensors"
    loaded.export(path)
    before = safetensors.torch.load_file(path)
    scrub_model(path)
    check_model(path, "x")
    after = safetensors.torch.load_file(path)
    assert {k: v.tolist() for k, v in before.items()} == {k: v.tolist() for k, v in after.items()}
    assert json.loads(path.with_suffix(".json").read_text())["info"]["place"] == "points.npy"
    assert f"{Path.home()}/x".encode() not in path.read_bytes()
    assert polygan.load(path).step == 4


def test_hostile_names_captions_and_settings_are_shown_and_do_nothing():
    card = Card(
        name="me/toy",
        recipe=HOSTILE,
        domain="image",
        step=1,
        data=HOSTILE,
        classes=(HOSTILE, "cat"),
        settings={"model.word": "```\n<script>"},
        scores=({"name": HOSTILE, "value": 1.0, "baseline": [2.0, HOSTILE], "note": HOSTILE},),
        command="polygan ```` <script>",
        samples=(Sample(HOSTILE, "samples/000.png"), Sample(HOSTILE, text="``` </pre><script>")),
    )
    text = write_card(card)
    assert yaml.safe_load(text.split("---\n")[1])["tags"][:2] == ["polygan", "gan"]
    without_code = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", text, flags=re.M | re.S)
    assert "<script" not in without_code
    assert "](http" not in without_code
    assert "](javascript" not in without_code
    assert not re.search(r"^#+ head", without_code, re.M)
    rows = [line for line in without_code.splitlines() if line.startswith("| data")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 3


MARKUP = [
    HOSTILE, "<img src=x onerror=1>", "https://evil.example/x", "www.evil.example", "<http://evil>", "[x]: http://evil", "12. a",
    "- b", "> q", "+ c", "===", "*b* _i_ **s** ~~d~~", "\\<script>", "\\|", "a\\", "![", "](http://evil/y)", "`` ` ``", "&lt;b&gt;", "&#60;b&#62;",
]  # fmt: skip


@pytest.mark.parametrize("text", MARKUP)
def test_a_renderer_of_markdown_finds_only_the_markup_of_the_card(text):
    from markdown_it import MarkdownIt  # rich, on which polygan depends, brings it

    scores = ({"name": text, "value": 1.0, "baseline": [2.0, text], "note": text},)
    samples = (Sample(text, "samples/000.png"), Sample(text, "samples/1.wav"), Sample(text, text=text))
    card = Card(
        "me/toy",
        text,
        "i",
        1,
        text,
        text,
        classes=(text,),
        settings={text: text},
        scores=scores,
        command=text,
        samples=samples,
    )
    shown = MarkdownIt("commonmark").enable("table").render(write_card(card).split("---\n", 2)[2])
    tags = set(re.findall(r"<([a-z]+)", shown))
    assert tags <= {"h", "p", "table", "thead", "tr", "th", "tbody", "td", "pre", "code", "img", "a"}
    assert re.findall(r'(?:href|src)="([^"]*)"', shown) == ["samples/000.png", "samples/1.wav"]
    cells = [len(re.findall("<t[dh]", row)) for row in re.findall(r"<tr>(.*?)</tr>", shown, re.S)]
    assert cells == [2] * 8 + [7] * 2


@pytest.mark.parametrize("text", MARKUP)
def test_whatever_the_template_prints_is_escaped_once_and_its_own_filters_are_not_escaped_again(text):
    from polygan_hub.card import _TEMPLATES

    shown = _TEMPLATES.from_string("{{ x }} {{ [x][0] }} {% macro m(y) %}{{ y }}{% endmacro %}{{ m(x) }}").render(
        x=text
    )
    assert shown.rstrip() == f"{plain(text)} {plain(text)} {plain(text)}"
    assert _TEMPLATES.from_string('{{ x | fenced("") }}').render(x=text) == fenced(text)
    address = _TEMPLATES.from_string("{{ x | address }}").render(x=text)
    assert not set(address) & set('()<>[] \n"\\')


def test_plain_and_fenced_texts_cannot_leave_their_place():
    assert plain("a\nb\x00\u202e <i> *x*") == "a b &lt;i&gt; \\*x\\*"
    assert fenced("a ```` b").splitlines()[0] == "`````"
    assert len(plain("x" * 1000)) == 203


def test_samples_are_copied_and_links_and_other_files_are_not(run, tmp_path):
    (place,) = run.glob("samples/step-00000004")
    shutil.rmtree(place)
    place.mkdir()
    png = b"\x89PNG\r\n\x1a\n picture"
    (place / "000.png").write_bytes(png)
    (tmp_path / "key").write_bytes(png)
    (place / "001.png").symlink_to(tmp_path / "key")
    (place / "002.png").write_bytes(b"no picture")
    (place / "003.wav").write_bytes(b"RIFF sound")
    names = ["000.png", "001.png", "002.png", "../../config.png"]
    index = [{"caption": "a *b*", "png": name} for name in names] + [
        {"caption": "s", "wav": "003.wav", "png": "000.png"}
    ]
    (place / "pieces.json").write_text(json.dumps(index))
    text = card_of(run, tmp_path / "pushed")
    assert sorted(p.name for p in (tmp_path / "pushed/samples").iterdir()) == ["000.png", "003.wav"]
    assert "![a \\*b\\*](samples/000.png)" in text
    assert "[s](samples/003.wav)" in text
    assert "001.png" not in text


def test_a_damaged_log_and_a_missing_environment_make_a_smaller_card(run, tmp_path):
    (run / "environment.json").unlink()
    (run / "log.jsonl").write_text('{"step": 4, "event": "evaluated", "scores": "none"}\n{broken\n[1]\n')
    shutil.rmtree(run / "samples")
    text = card_of(run, tmp_path / "pushed")
    assert "No scores were computed." in text
    assert "## Samples" not in text
    assert "console\npolygan train points/mlp --steps 4 --batch_size 8" in text
    assert "--data ring\n```" in text


def test_names_of_classes_are_listed_and_many_are_counted():
    text = write_card(Card("me/x", "image/dcgan", "image", 1, classes=tuple(f"c{i}" for i in range(1000))))
    assert "| 1,000 classes | c0, c1," in text
    assert "c49 and 950 more |" in text


@pytest.mark.parametrize(
    ("better", "said"), [("lower", "lower"), ("higher", "higher"), ("near", "near the floor"), ([], "lower")]
)
def test_a_card_says_which_scores_are_better(better, said):
    score = {"name": "audio/sharpness", "value": 0.9, "floor": 1.0, "better": better, "step": 4}
    text = write_card(Card("me/x", "points/mlp", "points", 4, scores=(score,)))
    assert f"| audio/sharpness | 0.9 | 1 |  | {said} | 4 |  |" in text
