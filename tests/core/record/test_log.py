"""The log of a run: what a resume, a rollback or a crash leaves of it."""

from __future__ import annotations

import itertools
import json
import random
import tracemalloc

import pytest

from polygan.errors import DataError
from polygan.record.log import append_record, keep_records, read_log


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


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b'{"event": "logged", "step": ' + b"9" * 5_000 + b"}",
        b'{"event": "logged", "step": ' + b"9" * 400 + b"}",
        b"\xff\xfe\x00",
        b"\0" * 100,
        b'{"event": "x' + b"x" * (1 << 20) + b'"}',
    ],
)
def test_a_line_that_is_damaged_costs_itself_alone(tmp_path, line, capsys):
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'{"event": "a", "step": 1}\n' + line + b'\n{"event": "b", "step": 2}\n')
    assert [(r["event"], r["step"]) for r in read_log(log)] == [("a", 1), ("b", 2)]
    keep_records(log, 5)
    assert log.read_text() == '{"event": "a", "step": 1}\n{"event": "b", "step": 2}\n'
    assert f"polygan: {log}: 1 damaged lines were left out" in capsys.readouterr().err


@pytest.mark.parametrize("step", ["null", "Infinity", "NaN", '"5"', "[]", "-3", "1e300", "true", "1" * 30, "{}"])
def test_a_strange_step_is_no_step(tmp_path, step):
    log = tmp_path / "log.jsonl"
    log.write_text(
        f'{{"event": "logged", "step": 3}}\n{{"event": "sampled", "step": {step}}}\n{{"event": [], "step": {step}}}\n'
    )
    steps = [r["step"] for r in read_log(log)]
    assert steps == ([3, 1, 1] if step == "true" else [3, 3, 3])
    keep_records(log, 3)
    assert len(log.read_text().splitlines()) == 3


def test_a_record_after_a_line_that_was_cut_stands_on_a_line_of_its_own(tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    log.write_text('{"event": "a", "step": 1}\n{"event": "b", "st')
    append_record(log, {"event": "c", "step": 2})
    append_record(log, {"event": "d", "step": 3})
    assert [r["event"] for r in read_log(log)] == ["a", "c", "d"]
    log.write_text('{"event": "a", "step": 1}\n{"event": "b", "st')
    keep_records(log, 5)  # the usual trace of a crash is nothing to warn of
    assert log.read_text() == '{"event": "a", "step": 1}\n'
    assert capsys.readouterr().err == ""


def test_a_long_log_is_thinned_event_by_event(tmp_path):
    log = write_log(
        tmp_path / "log.jsonl",
        {"event": "started", "step": 0},
        *(r for s in range(1, 1_001) for r in ({"event": "logged", "step": s}, {"event": "health", "step": s})),
        {"event": "saved", "step": 1_000},
    )
    found = read_log(log, most=11)
    for event in ("logged", "health"):
        steps = [r["step"] for r in found if r["event"] == event]
        assert steps[0] == 1
        assert steps[-1] == 1_000
        assert len(steps) == 11
        assert max(b - a for a, b in itertools.pairwise(steps)) <= 101
    assert [r["event"] for r in found if r["event"] in ("started", "saved")] == ["started", "saved"]
    assert len(read_log(log)) == 2_002


def test_memory_does_not_grow_with_the_log(tmp_path):
    log = tmp_path / "log.jsonl"
    record = {"event": "logged", "values": {f"d/{i}": i / 7 for i in range(40)}}
    with log.open("w") as file:
        for step in range(1_000):
            file.write(json.dumps({**record, "step": step}) + "\n")
    size = log.stat().st_size
    tracemalloc.start()
    try:
        assert len(read_log(log, most=20)) == 20
        keep_records(log, 600)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size / 5
    assert len(read_log(log, most=3_000)) == 601


def test_records_voided_by_many_resumes_take_linear_time_and_the_same_rule(tmp_path):
    """The rule, word by word: a resume voids measurements after its step, a repeated step those from it on."""
    rng = random.Random(0)
    events = ("logged", "health", "sampled", "evaluated", "saved", "resumed", "diverged", "ended")
    lines = [{"event": rng.choice(events), "step": rng.randint(0, 20), "n": n} for n in range(400)]
    kept, furthest = [], 0
    for line in lines:
        if line["event"] in ("resumed", "logged"):
            begin = line["step"] + (line["event"] == "resumed")
            if begin <= furthest:
                kept = [r for r in kept if r["step"] < begin or r["event"] not in events[:5]]
            furthest = line["step"]
        kept.append(line)
    found = read_log(write_log(tmp_path / "log.jsonl", *lines))
    assert [r["n"] for r in found] == [r["n"] for r in kept]


def test_a_log_that_is_no_file_is_named(tmp_path):
    (tmp_path / "log.jsonl").symlink_to(tmp_path / "other")
    (tmp_path / "other").write_text('{"event": "a", "step": 1}\n')
    with pytest.raises(DataError, match=r"log\.jsonl cannot be read: it is a symbolic link"):
        read_log(tmp_path / "log.jsonl")
    assert read_log(tmp_path / "missing") == []
