"""Feature networks of saved runs: a file is opened only if this process was asked for it, and code runs only if allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from toy_runs import command, train

import polygan
from polygan.plugins import get_catalogue
from polygan.scoring.evaluation import Trust, holds_code, is_file


@pytest.mark.parametrize("name", ["", "opennsfw", "inception", "self-supervised", "classifier_2"])
def test_names_are_no_files(name):
    assert not is_file(name)
    assert Trust().check(name) == Trust(name).check("evil.pt2") == name


@pytest.mark.parametrize(
    "name", ["a.onnx", "a.onnx:pool", "./evil", "~x", "C:evil", "/tmp/evil", "a.pt2", "é/x", "a b"]
)
def test_a_file_that_only_a_saved_run_names_is_refused(name):
    with pytest.raises(polygan.ConfigError, match=re.escape(f"add --features {name}")):
        Trust().check(name)
    with pytest.raises(polygan.ConfigError):
        Trust(allow_code=True).check(name)  # the flag allows code in files that are asked for, and asks for no file
    assert Trust(name, allow_code=True).check("") == name


@pytest.mark.parametrize(
    ("name", "code"),
    [("a.pt2", True), ("a.pt", True), ("A.PT2", True), ("a.pkl", True), ("a.pt:x", True), ("a.onnx", False), ("a.onnx:b", False)],
)  # fmt: skip
def test_files_that_run_code_need_the_flag(name, code):
    assert holds_code(name) == code
    if code:
        with pytest.raises(polygan.ConfigError, match="add --allow-code"):
            Trust(name).check("")
    assert Trust(name, allow_code=code).check("") == name


@pytest.fixture
def told(toys, monkeypatch):
    """The names of the files that metrics were told to open, with the permission to run code."""
    found = []
    spread = get_catalogue().resolve(get_catalogue().metric("points/spread"))
    tell = lambda e: [found.append((e.features, e.allow_code)), *spread(e)][1:]  # noqa: E731
    monkeypatch.setitem(spread.__globals__, "spread", tell)
    return found


def poisoned(folder):
    config = folder / "config.yaml"
    text, changes = re.subn(r"^features: .*$", "features: evil.pt2", config.read_text(), flags=re.MULTILINE)
    assert changes == 1
    config.write_text(text)


def test_a_saved_run_names_a_file_and_neither_evaluate_nor_resume_opens_the_file(told, capsys):
    run = train(steps=2, evaluate_every=2)
    told.clear()
    poisoned(run.folder)
    said = command("evaluate", run.folder, code=2, capsys=capsys).err
    assert "a file that only a saved run names is not opened" in said
    assert "--features evil.pt2 --allow-code" in said
    said = command("resume", run.folder, "--steps", 4, code=2, capsys=capsys).err
    assert "--features evil.pt2 --allow-code" in said
    command("resume", run.folder, "--steps", 4, "--allow-code", code=2, capsys=capsys)
    with pytest.raises(polygan.ConfigError):
        polygan.load(run.folder).evaluate(allow_code=True)
    assert told == []
    assert len(polygan.load(run.folder).generate(2)) == 2  # generating needs no feature network


def test_a_file_is_opened_where_it_is_asked_for_again(told, capsys):
    run = train(steps=2, evaluate_every=2)
    told.clear()
    poisoned(run.folder)
    said = command("evaluate", run.folder, "--features", "evil.pt2", code=2, capsys=capsys).err
    assert "add --allow-code" in said
    assert told == []
    command("evaluate", run.folder, "--features", "evil.pt2", "--allow-code", capsys=capsys)
    command("evaluate", run.folder, "--features", "", capsys=capsys)
    assert told == [("evil.pt2", True), ("", False)]
    command("resume", run.folder, "--steps", 4, "--features", "", capsys=capsys)
    assert told[2:] == [("", False)]
    loaded = polygan.load(run.folder)
    loaded.evaluate(features="a.onnx", quiet=True)
    loaded.evaluate(quiet=True)  # what one call asks for is not kept for the next call
    assert told[3:] == [("a.onnx", False), ("", False)]


def test_resuming_without_evaluations_opens_nothing_and_goes_on(told):
    run = train(steps=2)
    poisoned(run.folder)
    resumed = polygan.resume(run.folder, steps=3, quiet=True)
    with pytest.raises(polygan.ConfigError):
        resumed.evaluate()
    assert told == []


def test_training_asks_for_the_flag_before_anything_is_made(told):
    with pytest.raises(polygan.ConfigError, match="add --allow-code"):
        train(steps=2, evaluate_every=1, features="mine.pt2")
    assert not Path("runs").exists()
    run = train(steps=1, evaluate_every=1, features="mine.pt2", allow_code=True)
    run.evaluate(quiet=True)  # the process that trained has asked for the file
    assert told == [("mine.pt2", True)] * 2
    assert "allow_code" not in (run.folder / "config.yaml").read_text()
