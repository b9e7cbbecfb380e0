"""`polygan runs` and `polygan runs compare`, run in this process."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from toy_runs import command

pytestmark = pytest.mark.usefixtures("toys")
GOLDEN = Path(__file__).parents[2] / "golden/runs-of-format-1"


@pytest.fixture
def runs(toys):
    """Two runs and a folder that is none, in ./runs."""
    for name in ("dcgan", "seqgan"):
        shutil.copytree(GOLDEN / name, Path("runs") / name)
    Path("runs/photos").mkdir()
    shutil.copytree("runs/dcgan", "runs/wider")
    config = Path("runs/wider/config.yaml")
    config.write_text(re.sub("^batch_size: .*$", "batch_size: 99", config.read_text(), flags=re.M))


def test_runs_are_a_table_and_what_is_no_run_is_one_line(runs, capsys):
    out = command("runs", capsys=capsys)
    head, *rows = out.out.splitlines()[1:-1]
    assert head.split() == ["name", "recipe", "data", "step", "best", "score", "state", "written"]
    assert {row.split()[0] for row in rows} == {"dcgan", "seqgan", "wider"}
    assert re.search(r"^seqgan +text/seqgan +grammar +6 of 6 +finished +\d{4}-\d\d-\d\d \d\d:\d\d$", out.out, re.M)
    assert out.err == "polygan: runs/photos is left out: not a run: it has no config.yaml\n"


def test_runs_as_json(runs, capsys):
    found = json.loads(command("runs", "--json", "runs", capsys=capsys).out)
    assert found["broken"] == [{"name": "photos", "reason": "not a run: it has no config.yaml"}]
    assert {(r["name"], r["step"], r["state"]) for r in found["runs"]} >= {("dcgan", 4, "finished")}


def test_an_empty_folder_says_how_a_run_is_made(capsys):
    Path("runs").mkdir()
    assert command("runs", capsys=capsys).out == "no runs in runs; `polygan train` makes one\n"


def test_runs_are_compared_in_tables_and_on_a_page(runs, capsys):
    out = command("runs", "compare", "runs/dcgan", "runs/wider", capsys=capsys).out
    assert re.search(r"^batch_size +4 +99$", out, re.M)
    assert out.endswith("2 runs compared: runs/compare.html\n")
    assert "batch_size" in Path("runs/compare.html").read_text()
    out = command("runs", "compare", "runs/dcgan", "runs/seqgan", "--out", "p.html", "--json", capsys=capsys).out
    found = json.loads(out)
    assert found["page"] == "p.html"
    assert found["settings"]["recipe"] == ["image/dcgan", "text/seqgan"]
    assert found["notes"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], r"'nowhere' is no folder; name the folder of your runs: `polygan runs FOLDER`"),
        (["a", "b"], r"unexpected 'b' for polygan runs"),
        (["compare"], r"which runs\? Name two or more: `polygan runs compare A B`"),
        (["compare", "a", "b", "--oot", "x"], r"unknown option --oot .*did you mean --out"),
        (["compare", "runs/dcgan", "runs/photos"], r"'runs/photos' is not a run: it has no config.yaml"),
        (["--jason"], r"unknown option --jason .*did you mean --json"),
    ],
)
def test_mistakes_are_answered_with_what_to_type(runs, words, says, capsys):
    assert re.search(says, command("runs", *words, code=2, capsys=capsys).err)


def test_both_have_a_help_text(capsys):
    assert "runs compare --help" in command("runs", "--help", capsys=capsys).out
    shown = command("runs", "compare", "--help", capsys=capsys).out
    assert shown.startswith("polygan runs compare A B [C ...] [options]")
    assert "--out FILE.html" in shown
