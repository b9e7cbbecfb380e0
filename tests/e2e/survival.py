"""Real processes for the tests. As a script: runs that are killed with SIGKILL until the wanted number of kills is reached.

``python tests/e2e/survival.py 300 1`` kills 300 times, with seed 1, in start, decoding, training, saving, sampling, evaluating,
exporting and reporting, in three domains, as one process and under torchrun with two. It prints JSON: the kills by phase, the
results that differ from those of undisturbed runs, and the runs that could not be resumed. Both lists must be empty.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

TOY = Path(__file__).parents[1] / "toy_gan.py"
PLUGIN = ("--no-plugin", "tensorboard", "--plugin", str(TOY))


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
    training["settings"] = {k: v for k, v in training.get("settings", {}).items() if k not in ("name", "runs", "keep")}
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


def main():
    import argparse
    import tempfile

    import killing

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--domains", nargs="+", default=["image", "audio", "text"], choices=sorted(killing.RECIPES))
    parser.add_argument("--two", type=float, default=0.15, help="share of the kills under torchrun with two processes")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--folder", help="where the runs lie; without it, a temporary folder")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)  # more options of `polygan train` follow
    asked, options = parser.parse_args(sys.argv[1:end]), tuple(sys.argv[end + 1 :])
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="survival-") as temporary:
        folder = asked.folder or temporary
        found = killing.play(asked.kills, rng, asked.domains, asked.two, asked.steps, options, folder)
    print(json.dumps(found, indent=1))
    return 1 if found["differing"] or found["not_resumable"] else 0


if __name__ == "__main__":
    sys.exit(main())
