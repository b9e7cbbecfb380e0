"""The commands, run in this process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from toy_runs import command, train

import polygan
from polygan.plugins import get_catalogue

pytestmark = pytest.mark.usefixtures("toys")


def test_verbs(capsys, tmp_path):
    out = command(
        "train", "points/mlp", "--data", "ring", "--steps", "6", "--model.width", "8", "--name", "a", capsys=capsys
    )
    assert "report: runs/a/report.html" in out.out
    assert "step 5/6" in out.err
    out = command("generate", "runs/a", "-n", "5", "--seed", "1", "--out", "five.csv", "--scale", "0.5", capsys=capsys)
    assert "5 samples: five.csv" in out.out
    assert np.loadtxt("five.csv", delimiter=",").shape == (5, 2)
    out = command("evaluate", "runs/a", "--samples", "64", "--json", capsys=capsys)
    assert json.loads(out.out)[0]["name"] == "points/spread"
    out = command("report", "runs/a", capsys=capsys)
    assert Path(out.out.strip()).exists()
    out = command("resume", "runs/a", "--steps", "9", capsys=capsys)
    assert polygan.load("runs/a").step == 9
    out = command("export", "runs/a", "--out", "toy.safetensors", capsys=capsys)
    assert Path("toy.safetensors").exists()
    out = command("list", "--json", capsys=capsys)
    assert "points/mlp" in {r["id"] for r in json.loads(out.out)}
    assert "points/mlp" in command("list", capsys=capsys).out
    assert "toy_gan" in command("plugins", capsys=capsys).out


def test_scores_of_samples_made_with_other_options_tell_the_options(capsys):
    train(name="o", steps=2)
    plain = json.loads(command("evaluate", "runs/o", "--json", capsys=capsys).out)
    same = json.loads(command("evaluate", "runs/o", "--scale", "1", "--json", capsys=capsys).out)
    other = json.loads(command("evaluate", "runs/o", "--scale", "5", "--json", capsys=capsys).out)
    assert plain == same
    assert [s["name"] for s in other] == ["points/spread (scale 5.0)"]
    assert other[0]["value"] != plain[0]["value"]
    assert polygan.load("runs/o").evaluate(quiet=True, scale=5.0)[0].value == other[0]["value"]
    report = Path("runs/o/report.html").read_text(encoding="utf-8")
    assert "points/spread (scale 5.0)" in report
    assert "--scale" in command("evaluate", "runs/o", "--help", capsys=capsys).out
    message = command("evaluate", "runs/o", "--metric", "points/spread", code=2, capsys=capsys).err
    assert "unknown option --metric of polygan evaluate with points/mlp (did you mean --metrics?)" in message


def test_dry_run_prints_what_would_be_trained_and_trains_nothing(capsys):
    out = command("train", "points/mlp", "--data", "ring", "--model.loss", "hinge", "--dry-run", capsys=capsys)
    assert yaml.safe_load(out.out)["model"]["loss"] == "hinge"
    assert not Path("runs").exists()
    Path("s.yaml").write_text(out.out)
    again = command("train", "--config", "s.yaml", "--dry-run", capsys=capsys)
    assert again.out == out.out


@pytest.mark.parametrize(
    ("words", "recipe", "width"),
    [
        ("--config s.yaml --model.width 5", "points/mlp", 5),
        ("points/mlp --model.width 5 --data ring", "points/mlp", 5),
        ("--dry-run points/mlp --data ring --model.width=5", "points/mlp", 5),
        ("--config s.yaml points/mlp --data=ring", "points/mlp", 7),
        ("--config s.yaml", "points/mlp", 7),
    ],
)
def test_a_value_of_an_option_is_not_taken_for_the_recipe(words, recipe, width, capsys):
    Path("s.yaml").write_text("recipe: points/mlp\ndata: {source: ring}\nmodel: {width: 7}\n")
    out = command("train", *words.split(), *([] if "--dry-run" in words else ["--dry-run"]), capsys=capsys)
    settings = yaml.safe_load(out.out)
    assert (settings["recipe"], settings["model"]["width"]) == (recipe, width)


def test_settings_files_are_layers_in_their_order(capsys):
    Path("a.yaml").write_text("recipe: points/mlp\ndata: {source: ring}\nsteps: 7\nmodel: {width: 7, loss: hinge}\n")
    Path("b.yaml").write_text("steps: 9\nmodel: {width: 5}\n")
    words = ["train", "--config", "a.yaml", "--config=b.yaml", "--seed", "3", "--dry-run"]
    found = yaml.safe_load(command(*words, capsys=capsys).out)
    assert (found["steps"], found["seed"], found["data"]["source"]) == (9, 3, "ring")
    assert (found["model"]["width"], found["model"]["loss"]) == (5, "hinge")
    Path("b.yaml").write_text("recipe: points/other\n")
    err = command(*words, code=2, capsys=capsys).err
    assert "a.yaml, b.yaml name different recipes ('points/mlp', 'points/other'): write the recipe after train" in err
    words[1:1] = ["points/mlp"]
    assert yaml.safe_load(command(*words, capsys=capsys).out)["recipe"] == "points/mlp"


def test_the_last_of_two_values_counts_and_a_line_says_so(capsys):
    words = [
        "train",
        "points/mlp",
        "--data",
        "ring",
        "--steps",
        "3",
        "--steps",
        "5",
        "--seed=1",
        "--seed",
        "1",
        "--dry-run",
    ]
    out = command(*words, capsys=capsys)
    assert yaml.safe_load(out.out)["steps"] == 5
    said = [line for line in out.err.splitlines() if "more than once" in line]
    assert said == ["--steps is given more than once: the last value counts, 5"]
    words = ["train", "points/mlp", "--data", "a", "--data.source", "ring", "--dry-run"]
    out = command(*words, capsys=capsys)
    assert yaml.safe_load(out.out)["data"]["source"] == "ring"
    assert "--data.source is given more than once" in out.err


def test_no_help_calls_the_data_a_file_of_settings(capsys):
    for everything in ([], ["all"]):
        text = command("train", "points/mlp", "--help", *everything, capsys=capsys).out
        entry = " ".join(text[text.index("--data PATH") :].split())
        assert "A folder, a file, or the name of a data set (`polygan list`)." in entry[:110]
        assert "configuration" not in text.lower()


def test_options_are_parsed_once_and_the_settings_file_is_read_once(monkeypatch, capsys):
    from polygan.settings import parser

    Path("s.yaml").write_text("recipe: points/mlp\ndata: {source: ring}\nsteps: 1\n")
    read, parsed = [], []
    load, parse = parser.parse_yaml, parser.SettingsParser.parse
    monkeypatch.setattr(parser, "parse_yaml", lambda text: read.append(text) or load(text))
    monkeypatch.setattr(parser.SettingsParser, "parse", lambda *a: parsed.append(a) or parse(*a))
    command("train", "--config", "s.yaml", "--name", "once", capsys=capsys)
    assert (len([text for text in read if "data: {source" in str(text)]), len(parsed)) == (1, 1)
    assert polygan.load("runs/once").step == 1


def test_help(capsys):
    assert "image/dcgan" in command("--help", capsys=capsys).out
    assert "RECIPE" in command("train", "--help", capsys=capsys).out
    first = command("train", "points/mlp", "--help", capsys=capsys).out
    assert "--model.width INT" in first
    assert "--hang_timeout" not in first
    everything = command("train", "points/mlp", "--help", "all", capsys=capsys).out
    assert "--hang_timeout NUMBER" in everything
    assert max(map(len, first.splitlines())) <= 110
    assert "--samples" in command("evaluate", "--help", capsys=capsys).out
    assert "options of the run" in command("generate", "--help", capsys=capsys).out
    assert "[RECIPE] [options]" in command("train", "-h", capsys=capsys).out
    train(name="h", steps=1)
    assert "--scale" in command("generate", "runs/h", "--help", capsys=capsys).out
    for words, message in (
        (
            ("--scal", "3"),
            "unknown option --scal of polygan generate with points/mlp (did you mean --scale?); the recipe has",
        ),
        (("--sed", "3"), "did you mean --seed"),
        (("3",), "unexpected '3'"),
        (("--scale",), "--scale needs a value"),
        (("--scale", "big"), "scale = big is not of the right type; it takes float"),
    ):
        assert message in command("generate", "runs/h", *words, code=2, capsys=capsys).err
    assert "which run?" in command("generate", code=2, capsys=capsys).err
    assert polygan.__version__ in command("--version", capsys=capsys).out


def test_help_before_a_command_is_the_help_of_the_command(capsys):
    assert command("--help", "report", capsys=capsys).out == command("report", "--help", capsys=capsys).out


def test_a_recipe_names_the_options_that_its_help_shows_first(monkeypatch, capsys):
    kind = get_catalogue().resolve(get_catalogue().recipe("points/mlp"))
    monkeypatch.setattr(kind, "first_options", ("r1", "loss"), raising=False)
    shown = command("train", "points/mlp", "--help", capsys=capsys).out
    assert [w for w in shown.split() if w.startswith("--model.")] == ["--model.r1", "--model.loss"]
    assert "--steps INT" in shown
    assert "default: 20)" in shown  # the recipe's own default


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["tran"], "unknown command 'tran' (did you mean 'train'?)", 2),
        (["train"], "which recipe?", 2),
        (["train", "--model.width", "5", "points/mlp"], "which recipe? It comes first", 2),
        (["train", "--config", "s.yaml", "--model.width", "5", "points/mlp"], "s.yaml", 2),
        (["train", "points/mlp", "--out", "x"], "unknown option --out of polygan train points/mlp (did you mean --runs?)", 2),
        (["train", "points/mlp", "ring"], "unexpected 'ring'", 2),
        (["train", "points/mlp", "--data"], "--data needs a value", 2),
        (["train", "points/mpl"], "did you mean 'points/mlp'", 2),
        (["train", "points/mlp"], "no data", 1),
        (["train", "points/mlp", "--data", "rign"], "did you mean 'ring'", 1),
        (["train", "points/mlp", "--data", "nowhere/at/all"], "neither a path that exists", 1),
        (["train", "points/mlp", "--data", "ring", "--step", "3"], "did you mean --steps", 2),
        (["train", "points/mlp", "--data", "ring", "--metrics", "points/spraed"], "did you mean 'points/spread'", 2),
        (["train", "points/mlp", "--data", "ring", "--batch_size", "4096"], "4096", 1),
        (["train", "points/mlp", "--data", "ring", "--batch_size", "0"], "batch_size = 0 is too small", 2),
        (["train", "points/mlp", "--data", "ring", "--name", "../up"], "is not a folder name", 2),
        (["train", "points/mlp", "--data", "ring", "--device", "cuda:99"], "'cuda:99' is absent", 2),
        (["train", "points/mlp", "--data", "ring", "--accumulate", "5"], "multiple of 5", 2),
        (["train", "points/mlp", "--data", "ring", "--data.cache", "/proc/nope"], "/proc/nope", 1),
        (["train", "points/mlp", "--data", "ring", "--runs", "/proc/nope"], "/proc/nope", 2),
        (["train", "--config", "missing.yaml"], "missing.yaml", 2),
        (["evaluate", "runs/none"], "is not a run", 2),
        (["evaluate", "--scale", "2", "runs/a"], "which run? `polygan evaluate RUN [options]`; RUN comes first", 2),
        (["report", "."], "is not a run", 2),
        (["report"], "which run? `polygan report RUN [options]`", 2),
        (["report", "a", "b"], "unexpected 'b'", 2),
        (["export", "runs/a"], "--out is missing: `polygan export RUN --out FILE [options]`", 2),
        (["generate", "--scale", "2", "runs/a"], "which run? `polygan generate RUN [options]`; RUN comes first", 2),
        (["resume", "runs/a", "--steps", "--device", "cpu"], "--steps needs a value", 2),
        (["--jsn", "list"], "the command comes first", 2),
        (["--versoin"], "unknown option --versoin of polygan (did you mean --version?)", 2),
        (["--version", "--versoin"], "unknown option --versoin", 2),
        (["--help", "--versoin"], "unknown option --versoin", 2),
        (["--help", "tran"], "unexpected 'tran'", 2),
        (["train", "points/mlp", "--data", "ring", "--device", "xpu"], "device 'xpu' is of a kind", 2),
        (["train", "points/mlp", "--data", "ring", "--device", "banana"], "device 'banana' is not a device", 2),
        (["train", "points/mlp", "--data", "ring", "--device", "meta"], "device 'meta' is of a kind", 2),
        (["--plugin"], "--plugin needs a value", 2),
        (["list", "--jsn"], "did you mean --json", 2),
        (["--no-plugin", "imagee", "list"], "imagee", 2),
        (["--plugin", "nowhere.py", "list"], "nowhere.py", 1),
        (["generate", "runs/none", "-n", "many"], "-n = 'many' is not of the right type; it takes int", 2),
    ],
)  # fmt: skip
def test_mistakes_are_one_clear_line(words, message, code, capsys):
    out = command(*words, code=code, capsys=capsys)
    assert message in out.err
    assert "Traceback" not in out.err
    assert out.err.strip().splitlines()[-1].startswith("polygan: ")


def test_a_folder_whose_name_is_not_utf_8_is_printed_with_escapes(capsys):
    out = command(
        "train", "points/mlp", "--data", "ring", "--steps", "1", "--runs", "r\udcff\x1b[2J", capsys=capsys
    ).out
    assert "report: r\\udcff\\x1b[2J/mlp-ring/report.html" in out
    assert command("report", "r\udcff\x1b[2J/mlp-ring", capsys=capsys).out.endswith("/mlp-ring/report.html\n")


def test_traceback_on_demand(capsys):
    assert "Traceback" in command("train", "points/mlp", "--traceback", code=1, capsys=capsys).err
