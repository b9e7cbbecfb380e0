"""The scripts of the page about Python run as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import polygan
from polygan.plugins import load_catalogue, set_catalogue

PAGE = (Path(__file__).parents[2] / "docs/scripting.md").read_text(encoding="utf-8")
SCRIPT, PLUGIN, LISTENER = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    set_catalogue(load_catalogue(allow=[]))
    yield
    set_catalogue(None)


def test_the_scripters_twenty_lines_train_report_score_and_resume(capsys):
    assert len([line for line in SCRIPT.splitlines() if line.strip()]) <= 20
    there = {}
    exec(SCRIPT, there)
    assert there["run"].step == 150
    exec(PLUGIN, there)
    *lines, told = capsys.readouterr().out.splitlines()
    assert told == "told finished"
    assert lines[0].endswith("report.html")
    assert Path(lines[0]).exists()
    assert lines[1].startswith("tensor/sliced_wasserstein")
    assert "(floor " in lines[1]
    assert lines[-1] == "Samples(16 x tensor, 2) (16, 2)"


def test_the_listener_of_the_page_stops_after_three_scores_without_gain():
    there = {"polygan": polygan}
    exec(LISTENER.partition("\n\n\n")[0], there)
    listener = there["EarlyStopping"]()
    for score in (2.0, 1.0, 1.5, 1.0):
        listener.evaluated(None, score)
    with pytest.raises(polygan.StopTraining, match="no better for 3 scores"):
        listener.evaluated(None, 3.0)
