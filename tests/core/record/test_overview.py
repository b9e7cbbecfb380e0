"""The table of runs: what each run is, where it stands, and which folders are no runs."""

from __future__ import annotations

import fcntl
import json
import os

import pytest
import yaml

from polygan import ConfigError
from polygan.record import overview
from polygan.record.overview import Best, check_run, run_row, runs_in

LONG = "/data/" + "a very long name with spaces/" * 8 + "birds"


def score(step, value, name="a/far", better="lower", **more):
    return {"event": "evaluated", "step": step, "scores": [{"name": name, "value": value, "better": better}], **more}


def make(folder, *records, recipe="points/mlp", steps=100, source="ring", checkpoints=()):
    """A run's folder with a log and with checkpoints (step, score)."""
    folder.mkdir(parents=True)
    model = {"recipe": "of the model", "steps": 7, "data": {"source": "of the model"}}
    config = {
        "format": 2,
        "recipe": recipe,
        "steps": steps,
        "data": {"held_out": 0.1, "source": source},
        "model": model,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    if records:
        (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    for step, value in checkpoints:
        place = folder / f"checkpoints/step-{step:08d}"
        place.mkdir(parents=True)
        (place / "manifest.json").write_text(json.dumps({"step": step, "score": value}))
    return folder


def ended(step, status):
    return {"event": "ended", "step": step, "status": status}


STARTED = {"event": "started", "step": 0}
LOGGED = {"event": "logged", "step": 40, "values": {"d/x": 1.0}}
DIVERGED = {"event": "diverged", "step": 40, "message": "nan"}


def test_a_row_says_what_was_trained_on_what_and_how_far(tmp_path):
    row = run_row(make(tmp_path / "a", STARTED, LOGGED, ended(40, "preempted"), source=LONG))
    assert (row.recipe, row.data, row.step, row.steps) == ("points/mlp", LONG, 40, 100)
    assert row.plain()["name"] == "a"
    assert json.loads(json.dumps(row.plain()))["best"] is None


@pytest.mark.parametrize(
    ("records", "state"),
    [
        ([], "stopped"),
        ([STARTED, LOGGED], "stopped"),  # killed
        ([STARTED, LOGGED, ended(100, "finished")], "finished"),
        ([STARTED, ended(100, "finished"), score(100, 1.0)], "finished"),  # `polygan evaluate` came later
        ([STARTED, ended(40, "preempted")], "stopped"),
        ([STARTED, ended(40, "interrupted")], "stopped"),
        ([STARTED, LOGGED, ended(40, "failed")], "failed"),
        ([STARTED, LOGGED, DIVERGED, ended(40, "failed")], "diverged"),
        ([STARTED, DIVERGED, LOGGED, ended(40, "failed")], "failed"),  # it recovered, and failed for another reason
        ([STARTED, DIVERGED, LOGGED, ended(100, "finished")], "finished"),
        ([STARTED, ended(40, "failed"), {"event": "resumed", "step": 40}, LOGGED], "stopped"),
    ],
)
def test_the_state_is_read_from_the_end_of_the_log(tmp_path, records, state):
    assert run_row(make(tmp_path / "a", *records)).state == state


def test_a_run_whose_lock_is_held_is_running(tmp_path):
    folder = make(tmp_path / "a", STARTED, LOGGED, ended(100, "finished"))
    with (folder / ".lock").open("w") as file:
        assert run_row(folder).state == "finished"
        fcntl.flock(file, fcntl.LOCK_EX)
        assert run_row(folder).state == "running"
    assert run_row(folder).state == "finished"


def test_looking_leaves_the_folder_as_it_was(tmp_path):
    folder = make(tmp_path / "a", STARTED)
    before = sorted(os.listdir(folder))
    run_row(folder)
    assert sorted(os.listdir(folder)) == before


def test_the_best_score_is_that_of_the_best_checkpoint(tmp_path):
    log = [score(10, 3.0), score(20, 1.5), score(30, 2.0)]
    folder = make(tmp_path / "a", *log, checkpoints=[(10, 3.0), (20, 1.5), (30, 2.0), (40, None)])
    assert run_row(folder).best == Best("a/far", 1.5, 20)
    higher = [score(10, 0.5, better="higher"), score(20, 0.9, better="higher"), score(30, 0.7, better="higher")]
    folder = make(tmp_path / "b", *higher, checkpoints=[(10, -0.5), (20, -0.9), (30, -0.7)])
    assert run_row(folder).best == Best("a/far", 0.9, 20)
    assert run_row(make(tmp_path / "c", *log)).best == Best("a/far", 2.0, 30)  # no checkpoint has a score: the newest
    assert run_row(make(tmp_path / "d", STARTED)).best is None


def test_a_best_score_far_back_in_the_log_is_found_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(overview, "_TAIL", 2000)
    filler = [{**LOGGED, "step": 50 + i} for i in range(100)]
    log = [score(20, 1.5), *filler, score(200, 4.0)]
    folder = make(tmp_path / "a", *log, checkpoints=[(20, 1.5), (200, 4.0)])
    assert run_row(folder).best == Best("a/far", 1.5, 20)
    monkeypatch.setattr(
        overview, "_SCORES", 2000
    )  # out of reach: the checkpoint has the value, a later line has the name
    assert run_row(folder).best == Best("a/far", 1.5, 20)
    higher = [score(20, 0.9, better="higher"), *filler, score(200, 0.4, better="higher")]
    folder = make(tmp_path / "b", *higher, checkpoints=[(20, -0.9), (200, -0.4)])
    assert run_row(folder).best == Best("a/far", 0.9, 20)


def test_a_last_line_longer_than_what_is_read_does_not_hide_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr(overview, "_TAIL", 2000)
    folder = make(tmp_path / "a", STARTED, LOGGED, score(40, 1.0, plots=["x" * 5000]))
    assert run_row(folder).step == 40


@pytest.mark.parametrize(
    "text",
    [
        "recipe: &a points/mlp\nsteps: 5\ndata: {source: *a}\n",
        '{"recipe": "points/mlp", "steps": 5, "data": {"source": "points/mlp"}}',
        "model: &m {steps: 5}\nsteps: 5\nrecipe: points/mlp\ndata:\n    held_out: 0.1\n    source: points/mlp\n",
    ],
)
def test_settings_that_somebody_wrote_by_hand_are_read_too(tmp_path, text):
    folder = make(tmp_path / "a")
    (folder / "config.yaml").write_text(text)
    row = run_row(folder)
    assert (row.recipe, row.steps) == ("points/mlp", 5)


def test_damaged_lines_and_odd_values_are_passed_over(tmp_path):
    folder = make(tmp_path / "a", LOGGED, {"step": "x"}, {"event": "evaluated", "scores": [3]}, steps="many")
    with (folder / "log.jsonl").open("ab") as file:
        file.write(
            b'\xff\n[1]\nnull\n{"event": "evaluated", "step": 1e400, "scores": [{"value": 1e999}]}\n{"event": "lo'
        )
    place = folder / "checkpoints/step-00000001"
    place.mkdir(parents=True)
    (place / "manifest.json").write_text('{"step": 1, "score": 1' + "0" * 400 + "}")
    row = run_row(folder)
    assert (row.step, row.steps, row.best, row.state) == (40, None, None, "stopped")


def test_folders_that_are_no_whole_runs_are_named_and_do_not_stop_the_table(tmp_path):
    make(tmp_path / "good", STARTED)
    make(tmp_path / "linked").joinpath("log.jsonl").symlink_to(tmp_path / "good/log.jsonl")
    (make(tmp_path / "torn") / "config.yaml").write_text("[1,")
    (make(tmp_path / "other") / "config.yaml").write_text("a: 1")
    (tmp_path / "half/checkpoints").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / ".new-1-00000000").mkdir()
    (tmp_path / "a file").write_text("")
    rows, broken = runs_in(tmp_path)
    assert [row.folder.name for row in rows] == ["good"]
    assert broken.keys() == {"linked", "torn", "other", "half", "photos"}
    assert all("\n" not in reason for reason in broken.values())
    assert broken["half"] == "half-made: it has no config.yaml"
    assert broken["photos"] == "not a run: it has no config.yaml"
    assert "symbolic link" in broken["linked"]
    assert "names no recipe" in broken["other"]


def test_the_newest_run_comes_first_and_a_run_itself_is_a_table_of_one(tmp_path):
    for i, name in enumerate(("b", "c", "a")):
        os.utime(make(tmp_path / name, STARTED) / "log.jsonl", (i, i))
    assert [row.folder.name for row in runs_in(tmp_path)[0]] == ["a", "c", "b"]
    assert [row.folder.name for row in runs_in(tmp_path / "c")[0]] == ["c"]


def test_a_folder_that_is_none_and_a_run_that_is_none_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"is no folder; name the folder of your runs: `polygan runs FOLDER`"):
        runs_in(tmp_path / "runs")
    make(tmp_path / "dcgan-digits")
    with pytest.raises(ConfigError, match=r"is not a run: it has no config.yaml \(did you mean 'dcgan-digits'"):
        check_run(tmp_path / "dcgan-digit")


def test_of_a_long_log_only_the_end_is_read(tmp_path):
    folder = make(tmp_path / "a", LOGGED)
    with (folder / "log.jsonl").open("r+b") as file:
        file.truncate(3 << 30)  # a sparse file of 3 GB
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + json.dumps(ended(90, "finished")).encode() + b"\n")
    assert (run_row(folder).step, run_row(folder).state) == (90, "finished")
