"""The log of a run: what a resume, a rollback or a crash leaves of it."""

from __future__ import annotations

import json

from polygan.record.log import keep_records, read_log


def write_log(path, *records):
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    return path


def test_a_resume_from_an_earlier_step_makes_later_values_void(tmp_path):
    log = write_log(
        tmp_path / "log.jsonl",
        *({"event": "logged", "step": s, "values": {"d/x": 0}} for s in (10, 20, 30)),
        {"event": "saved", "step": 20},
        {"event": "resumed", "step": 20},
        {"event": "logged", "step": 30, "values": {"d/x": 1}},
        {"event": "diverged", "step": 35, "message": "bad"},
        {"event": "logged", "step": 25, "values": {"d/x": 2}},
    )
    found = [(r["event"], r["step"]) for r in read_log(log)]
    assert found == [
        ("logged", 10), ("logged", 20), ("saved", 20), ("resumed", 20), ("diverged", 35), ("logged", 25),
    ]  # fmt: skip


def test_a_step_that_a_rollback_repeats_is_read_once(tmp_path):
    log = write_log(
        tmp_path / "log.jsonl",
        {"event": "logged", "step": 5, "values": {"d/x": 0}},
        {"event": "saved", "step": 5},
        {"event": "logged", "step": 6, "values": {"d/x": 1}},
        {"event": "diverged", "step": 7, "message": "back to 5"},
        {"event": "logged", "step": 6, "values": {"d/x": 2}},
    )
    found = [(r["event"], r["step"], r.get("values")) for r in read_log(log)]
    assert found == [
        ("logged", 5, {"d/x": 0}), ("saved", 5, None), ("diverged", 7, None), ("logged", 6, {"d/x": 2}),
    ]  # fmt: skip


def test_scores_of_an_older_checkpoint_void_nothing(tmp_path):
    log = write_log(
        tmp_path / "log.jsonl",
        *({"event": "logged", "step": s} for s in (10, 20)),
        {"event": "evaluated", "step": 10, "scores": []},
        {"event": "evaluated", "scores": []},
    )
    assert [r["step"] for r in read_log(log)] == [10, 20, 10, 20]


def test_lines_that_are_no_records_are_left_out(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"event": "a", "step": 1}\n\n[1]\n{"event": "b{"event": "c"}\n{"event": "d", "step": "x"}\n{"ev')
    assert [(r["event"], r["step"]) for r in read_log(log)] == [("a", 1), ("d", 0)]


def test_lines_after_the_step_of_a_resume_are_dropped(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"event": "a", "step": 1}\n{"event": "b", "step": 3}\n{"event": "c", "step": null}\n[1]\n{"ev')
    keep_records(log, 2)
    assert log.read_text() == '{"event": "a", "step": 1}\n{"event": "c", "step": null}\n'
