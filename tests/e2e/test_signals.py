"""Stopping a run from outside, and two runs in one folder."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

import polygan
from polygan.cli import command_line as cli
from polygan.plugins import load_catalogue, set_catalogue

sys.path.insert(0, str(Path(__file__).parent))
import survival

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")]
STEPS = 1_000_000  # never reached: the signal always comes in time
SETTINGS = {"precision": "fp32", "save_every": 300, "log_every": 20, "sample_every": 500, "threads": 1}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=[survival.TOY], disabled=["tensorboard"]))
    yield
    set_catalogue(None)


def start(name, **options):
    words = [w for key, value in SETTINGS.items() for w in (f"--{key}", value)]
    return survival.start("train", "points/mlp", "--data", "ring", "--name", name, "--steps", STEPS, *words, **options)


def logged(name, step=20):
    log = Path(f"runs/{name}/log.jsonl")
    return lambda: log.exists() and f'"logged", "step": {step}' in log.read_text()


def test_a_signal_saves_and_resume_ends_as_if_nothing_had_been():
    wanted = {
        "SIGTERM": (75, "preempted", "polygan: Preempted: stopped on request after step"),
        "SIGUSR1": (75, "preempted", "polygan: Preempted: stopped on request after step"),
        "SIGINT": (130, "interrupted", "polygan: stopped on request after step"),
    }
    processes = {name: start(name) for name in wanted}
    for name, process in processes.items():
        survival.wait_until(logged(name), process)
        process.send_signal(getattr(signal, name))
    reached = []
    for name, (code, status, message) in wanted.items():
        _, err = survival.finish(processes[name], code)
        last = err.strip().splitlines()[-1]
        assert last.startswith(message), err
        assert last.endswith(f"a checkpoint is saved; `polygan resume runs/{name}` continues"), err
        assert "Traceback" not in err
        ended = survival.records(f"runs/{name}")[-1]
        assert (ended["event"], ended["status"]) == ("ended", status)
        assert survival.newest(f"runs/{name}").name == f"step-{ended['step']:08d}"
        assert 20 <= ended["step"] < STEPS
        reached.append(ended["step"])
    steps = max(reached) + 50
    polygan.train("points/mlp", "ring", name="whole", steps=steps, quiet=True, **SETTINGS)
    for name in wanted:
        assert polygan.resume(f"runs/{name}", steps=steps, quiet=True).step == steps
        survival.assert_same("runs/whole", f"runs/{name}")


def test_a_second_process_in_a_run_folder_is_refused(capsys):
    process = start("busy")
    survival.wait_until(logged("busy"), process)
    with pytest.raises(SystemExit) as end:
        cli.main([*survival.PLUGIN, "resume", "runs/busy"])
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("polygan: C")]
    assert end.value.code == 2
    assert line == (
        "polygan: ConfigError: run runs/busy is being trained by another process; wait for it, or train under another --name"
    )
    seen = len(survival.records("runs/busy"))
    survival.wait_until(lambda: len(survival.records("runs/busy")) > seen + 2, process)
    process.send_signal(signal.SIGTERM)
    survival.finish(process, 75)
    events = [r["event"] for r in survival.records("runs/busy")]
    assert events.count("started") == events.count("ended") == 1
    assert "resumed" not in events
    assert polygan.load("runs/busy", device="cpu").step == survival.records("runs/busy")[-1]["step"]
