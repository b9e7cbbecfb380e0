"""The same command under torchrun, two gloo processes on the CPU."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

import polygan
from polygan.plugins import load_catalogue, set_catalogue

sys.path.insert(0, str(Path(__file__).parent))
import survival

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")]
RUN = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2")
SETTINGS = {"precision": "fp32", "save_every": 20, "log_every": 10, "sample_every": 20, "threads": 1}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=[survival.TOY], disabled=["tensorboard"]))
    yield
    set_catalogue(None)


def start(name, *, launcher=RUN, settings=SETTINGS, **options):
    words = [w for key, value in settings.items() for w in (f"--{key}", value)]
    names = ["--name", name] if name else []
    return survival.start("train", "points/mlp", "--data", "ring", *names, *words, launcher=launcher, **options)


def train(name, **settings):
    return polygan.train("points/mlp", "ring", name=name, quiet=True, **SETTINGS | settings)


def children(pid):
    return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def has_checkpoint(name):
    return lambda: any(Path(f"runs/{name}/checkpoints").glob("step-*"))


def assert_near(one, other, tolerance=1e-5):
    a, b = survival.newest(one), survival.newest(other)
    assert a.name == b.name
    for path in a.glob("*.safetensors"):
        x, y = load_file(path), load_file(b / path.name)
        assert x.keys() == y.keys()
        for key in x:
            gap = (x[key].double() - y[key].double()).abs().max().item()
            assert gap <= tolerance, f"{path.name} {key} differs by {gap}"


def test_two_processes_train_as_one_and_hand_over_to_any_number():
    processes = {"two": start("two", settings=SETTINGS | {"steps": 40})}
    train("one", steps=40)
    train("long", steps=60)
    train("grown", steps=40)
    processes["grown"] = survival.start("resume", "runs/grown", "--steps", 60, launcher=RUN)
    out, _ = survival.finish(processes["two"])
    assert out.count("run: ") == 1
    assert sorted(p.name for p in Path("runs").iterdir()) == ["grown", "long", "one", "two"]
    assert_near("runs/one", "runs/two")
    log = [(r["event"], r["step"]) for r in survival.records("runs/two")]
    assert log == [(r["event"], r["step"]) for r in survival.records("runs/one")]
    assert len(set(log)) == len(log)
    assert '"processes": 2' in Path("runs/two/environment.json").read_text()
    polygan.resume("runs/two", steps=60, quiet=True)
    assert_near("runs/long", "runs/two")
    survival.finish(processes["grown"])
    assert_near("runs/long", "runs/grown")


def test_a_killed_rank_is_restarted_in_the_same_run_and_ends_to_the_bit():
    settings = SETTINGS | {"steps": 600}
    victim = start("", launcher=(*RUN, "--max-restarts", "2"), settings=settings)
    survival.wait_until(has_checkpoint("mlp-ring"), victim)
    os.kill(max(children(victim.pid)), signal.SIGKILL)
    survival.finish(start("whole", settings=settings))
    _, err = survival.finish(victim)
    assert sorted(p.name for p in Path("runs").iterdir()) == ["mlp-ring", "whole"]
    events = [r["event"] for r in survival.records("runs/mlp-ring")]
    assert "resumed" in events, err
    ended = survival.records("runs/mlp-ring")[-1]
    assert (ended["event"], ended["step"], ended["status"]) == ("ended", 600, "finished")
    survival.assert_same("runs/whole", "runs/mlp-ring")


@pytest.mark.slow
def test_a_rank_killed_on_another_node_finds_the_run_again():
    """Two launchers on one machine stand for two nodes; the first one's count of restarts stays 0."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    nodes = (
        "torch.distributed.run",
        "--nnodes",
        "2",
        "--nproc-per-node",
        "1",
        "--max-restarts",
        "2",
        "--rdzv-id",
        "job",
    )
    meeting = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{port}", "--rdzv-conf")
    settings = SETTINGS | {"steps": 2000}
    first, second = (start("", launcher=(*nodes, *meeting, f"is_host={h}"), settings=settings) for h in (1, 0))
    survival.wait_until(has_checkpoint("mlp-ring"), first)
    (victim,) = children(second.pid)
    assert b"TORCHELASTIC_RESTART_COUNT=0" in Path(f"/proc/{victim}/environ").read_bytes()
    os.kill(victim, signal.SIGKILL)
    survival.finish(first)
    survival.finish(second)
    assert [p.name for p in Path("runs").iterdir()] == ["mlp-ring"]
    assert "resumed" in [r["event"] for r in survival.records("runs/mlp-ring")]
    assert survival.newest("runs/mlp-ring").name == "step-00002000"


@pytest.mark.slow
def test_stopping_the_launcher_saves():
    """torchrun passes SIGTERM on at once (and SIGKILL 30 s later), Ctrl-C after the terminal has; SIGUSR1 ends it alone."""
    settings = SETTINGS | {"steps": 1_000_000, "log_every": 1000, "save_every": 200, "sample_every": 0}
    ways = {
        "term": (lambda p: p.send_signal(signal.SIGTERM), "preempted", 1),
        "keys": (lambda p: os.killpg(p.pid, signal.SIGINT), "interrupted", 1),
        "usr1": (lambda p: p.send_signal(signal.SIGUSR1), "preempted", -signal.SIGUSR1),
    }
    processes = {name: start(name, settings=settings, start_new_session=True) for name in ways}
    for name, (stop, status, code) in ways.items():
        process = processes[name]
        survival.wait_until(has_checkpoint(name), process)
        ranks = children(process.pid)
        assert len(ranks) == 2
        stop(process)
        _, err = survival.finish(process, code)
        assert not [
            r
            for r in ranks
            if Path(f"/proc/{r}/cmdline").exists() and b"polygan" in Path(f"/proc/{r}/cmdline").read_bytes()
        ]
        ended = survival.records(f"runs/{name}")[-1]
        assert (ended["event"], ended["status"]) == ("ended", status), err
        assert survival.newest(f"runs/{name}").name == f"step-{ended['step']:08d}"
        lines = [x for x in err.splitlines() if "stopped on request after step" in x]
        assert len(lines) == 1, err
        assert f"`polygan resume runs/{name}` continues" in lines[0]
