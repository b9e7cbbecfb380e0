"""HTML of the page: everything that a run or a user says is escaped, and places on the machine are left out."""

from __future__ import annotations

import shutil

import polygan
from polygan import Passage, Picture, Sound
from polygan_demo import showing

HOSTILE = '<img src=x onerror="window.hacked=1">'
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x20\x00\x00\x00\x20"


def test_texts_and_captions_are_escaped():
    pieces = [Passage(HOSTILE, HOSTILE), Picture(PNG, HOSTILE), Sound(b"RIFF", 8000, HOSTILE)]
    html = showing.pieces_html(pieces, title=HOSTILE, saved=(f"{HOSTILE}.png", b"x"))
    assert "<img src=x" not in html
    assert html.count("&lt;img src=x") == 8  # title, text, three captions, one alternative text, the file's name twice
    assert showing.error_html(HOSTILE).count("<") == 2


def test_pieces_are_pictures_players_and_texts():
    html = showing.pieces_html([Passage("a  b\nc"), Picture(PNG), Sound(b"RIFF", 8000, "1 s", PNG)])
    assert '<blockquote dir="auto">a  b\nc</blockquote>' in html
    assert html.count('src="data:image/png;base64,') == 2
    assert '<audio controls preload="metadata" src="data:audio/wav;base64,UklGRg=="></audio>' in html
    assert "width:128px" in html  # 32 pixels, four times as large


def test_a_name_that_utf8_does_not_hold_is_shown():
    assert "a?b" in showing.pieces_html([Passage("a\udcffb")])


def test_the_facts_of_a_run(toy):
    html = showing.about_html(polygan.load(toy, device="cpu"))
    for fact in ("points/mlp", "ring", "batch size", "points/spread", "lower is better", "held out"):
        assert fact in html
    assert "floor" in html


def test_scores_read_as_in_the_report(toy):
    run = polygan.load(toy, device="cpu")
    table = polygan.score_table(polygan.read_log(run.folder / "log.jsonl"))
    assert table in run.report().read_text("utf-8")
    assert table in showing.about_html(run)


def test_places_of_the_machine_are_left_out(pictures, place):
    html = showing.about_html(polygan.load(pictures, device="cpu"))
    assert str(place) not in html
    assert "pictures" in html
    assert [showing._short(text) for text in ("/a/b c", "~/x/y/", "C:\\d\\e", "mnist-5k", "and/or")] == [
        "b c", "y", "e", "mnist-5k", "and/or",
    ]  # fmt: skip


def test_an_exported_model_has_its_recipe_and_step(toy, tmp_path):
    path = polygan.load(toy, device="cpu").export(tmp_path / "model.safetensors")[0]
    html = showing.about_html(polygan.load(path, device="cpu"))
    assert "points/mlp" in html
    assert "What it scored" not in html


def test_hostile_classes_and_scores_of_a_strangers_run(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "copy")
    record = '{"event": "evaluated", "step": 1, "scores": [{"name": "<b>x", "value": 1, "note": "<script>"}]}\n'
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(record)
    html = showing.about_html(polygan.load(folder, device="cpu"))
    assert "<b>" not in html
    assert "<script" not in html
    assert "&lt;b&gt;bold" in html
    assert "&lt;b&gt;x" in html


def test_the_head_escapes_the_name_of_the_run(pictures, tmp_path):
    folder = shutil.copytree(pictures, tmp_path / "<b>run")
    html = showing.head_html(polygan.load(folder, device="cpu"))
    assert "&lt;b&gt;run" in html
    assert "<b>run" not in html


def test_a_file_that_is_too_large_is_not_offered(grey, monkeypatch):
    from polygan_demo.stage import open_stage

    stage = open_stage(grey, device="cpu")
    _, made = stage.of_data(0, 0)
    assert "download=" in showing.samples_html(stage, made, download=True)
    monkeypatch.setattr(showing, "_MOST_BYTES", 10)
    assert "download=" not in showing.samples_html(stage, made, download=True)
