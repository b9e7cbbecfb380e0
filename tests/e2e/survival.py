"""Real processes for the tests, and a run that is killed with SIGKILL until the wanted number of kills is reached.

As a script (``python survival.py KILLS SEED STEPS OPTION...``) it trains ``runs/whole`` undisturbed and ``runs/victim`` through
one kill after another, each attempt a forked process that plays ``polygan train`` or ``polygan resume``: torch is imported once.
It prints one JSON line with what happened.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

TOY = Path(__file__).parents[1] / "toy_gan.py"
PLUGIN = ("--no-plugin", "tensorboard", "--plugin", str(TOY))
CHECKPOINTS = Path("runs/victim/checkpoints")


# For the tests


def start(*words, launcher=(), **options):
    """The command line as a process of its own; output is captured as text."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    command = [sys.executable, "-m", *launcher, *(["-m"] if launcher else []), "polygan", *PLUGIN, *map(str, words)]
    return subprocess.Popen(command, env=environment, **options)


def finish(process, code=0, timeout=240):
    """Wait for a process, check its exit code, and return (stdout, stderr)."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"no end after {timeout} s:\n{out}\n{err}") from None
    assert process.returncode == code, f"exit code {process.returncode} instead of {code}:\n{out}\n{err}"
    return out, err


def wait_until(condition, process, timeout=180):
    """Poll until ``condition()`` is true while a process runs."""
    end = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, f"ended with {process.returncode}:\n{process.communicate()}"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def command(*words, cwd, code=0):
    """The command line in this process, whose imports it shares, with a cache in ``cwd``; test_startup starts real ones."""
    import pytest

    from polygan.cli import command_line as cli

    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.chdir(cwd)
        patch.setenv("POLYGAN_CACHE", str(cwd / "cache"))
        with pytest.raises(SystemExit) as end:
            cli.main(list(map(str, words)))
    assert (end.value.code or 0) == code, err.getvalue()
    return SimpleNamespace(stdout=out.getvalue(), stderr=err.getvalue())


def records(folder):
    """The lines of a run's log; one that is being written is left out."""
    *lines, _ = (Path(folder) / "log.jsonl").read_text().split("\n")
    return [json.loads(line) for line in lines]


def newest(folder):
    """The newest checkpoint folder of a run."""
    return sorted((Path(folder) / "checkpoints").glob("step-*"))[-1]


def state(folder):
    """Every byte that training left: the newest checkpoint (its clock aside), samples, and the steps of the log."""
    checkpoint = newest(folder)
    found = {f"{checkpoint.name}/{p.name}": p.read_bytes() for p in checkpoint.glob("*.safetensors")}
    training = json.loads((checkpoint / "training.json").read_text())
    found["training"] = {k: v for k, v in training.items() if k != "seconds"}
    samples = Path(folder) / "samples"
    found |= {str(p.relative_to(samples)): p.read_bytes() for p in samples.rglob("*") if p.is_file()}
    for event in ("logged", "sampled"):
        found[event] = [r["step"] for r in records(folder) if r["event"] == event]
    return found


def assert_same(one, other):
    """Two runs hold the same to the byte."""
    a, b = state(one), state(other)
    assert a.keys() == b.keys()
    assert [k for k in a if a[k] != b[k]] == []


def sign(path):
    """Give a checkpoint the checksums of what it holds now, after its file ``path`` was changed."""
    place = path.parent / "manifest.json"
    manifest = json.loads(place.read_text())
    if not isinstance(manifest, dict):
        return
    content = path.read_bytes()
    if isinstance(manifest.get("files"), dict) and path.name in manifest["files"]:
        manifest["files"][path.name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest.pop("sha256", None)
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    place.write_text(json.dumps({**manifest, "sha256": digest}))


# The script


def attempt(words):
    """Fork a process that plays one command of `polygan`; its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        with open("attempts.txt", "a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        from polygan.cli import command_line as cli

        cli.main([*PLUGIN, *words])
    except SystemExit as end:
        code = end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def reap(pid, *, wait):
    """The exit code (negative: a signal) of a process that ended, None while it runs."""
    ended, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def names():
    try:
        return set(os.listdir(CHECKPOINTS))
    except FileNotFoundError:
        return set()


def wait_for_moment(pid, kind, rng, saves, pace):
    """Return at a random moment of the kind asked for: start-up, training, or saving. The exit code if the process ended."""
    seen, count, wanted = names(), 0, rng.randint(1, saves)
    until = time.monotonic() + rng.uniform(0, pace["start"])
    while True:
        code = reap(pid, wait=False)
        if code is not None:
            return code
        if kind == "start" and time.monotonic() > until:
            return None
        now = names()
        fresh = now - seen
        if any(name.startswith("step-" if kind == "train" else ".writing-step-") for name in fresh):
            count += 1
            if kind != "start" and count == wanted:
                time.sleep(rng.uniform(0, pace[kind]))
                return None
        seen = now
        time.sleep(0.0001)


def measure():
    """Seconds of a start, an interval between saves, and a save, from an undisturbed run's folder."""
    begin = Path("runs/whole/config.yaml").stat().st_mtime
    folders = sorted(Path("runs/whole/checkpoints").glob("step-*"))
    ends = [f.stat().st_mtime for f in folders]
    writing = [(f / "manifest.json").stat().st_mtime - min(p.stat().st_ctime for p in f.iterdir()) for f in folders]
    interval = (ends[-1] - ends[0]) / max(1, len(ends) - 1)
    return {"start": max(0.05, ends[0] - begin) * 2, "train": interval, "save": max(0.002, statistics.median(writing))}


def main(kills, seed, steps, options):
    import torch

    import polygan.report.page
    import polygan.runs.train  # noqa: F401 - what a run imports late, once for all attempts

    torch.set_num_threads(1)
    rng = random.Random(seed)
    train = ["train", "points/mlp", "--data", "ring", "--steps", str(steps), *options, "--name"]
    assert reap(attempt([*train, "whole", "--keep", "100000"]), wait=True) == 0, "the undisturbed run failed"
    pace = measure()
    saves = max(1, 2 * len(list(Path("runs/whole/checkpoints").iterdir())) // (3 * kills + 3))  # at most, between kills
    done, half, phases = 0, 0, {"start": 0, "train": 0, "save": 0}
    while True:
        resumable, began = Path("runs/victim/config.yaml").exists(), time.time()
        pid = attempt(["resume", "runs/victim"] if resumable else [*train, "victim"])
        if done == kills:
            code = reap(pid, wait=True)
            break
        kind = rng.choices(("start", "train", "save"), (1, 2, 3))[0]
        code = wait_for_moment(pid, kind, rng, saves, pace)
        if code is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if reap(pid, wait=True) != -signal.SIGKILL:
            continue
        done, phases[kind] = done + 1, phases[kind] + 1
        left = [CHECKPOINTS / name for name in names() if name.startswith(".writing-step-")]
        half += any(path.stat().st_mtime > began for path in left)
    print(json.dumps({"kills": done, "half_written": half, "code": code, "phases": phases, "pace": pace}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
