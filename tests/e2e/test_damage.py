"""Checkpoints that are damaged, and a disk that is full: nothing is lost, and the reason is said in a line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch

import polygan
from polygan.cli import command_line as cli
from polygan.plugins import load_catalogue, set_catalogue

sys.path.insert(0, str(Path(__file__).parent))
import survival

pytestmark = pytest.mark.e2e
SETTINGS = {"precision": "fp32", "save_every": 10, "log_every": 10, "sample_every": 20, "steps": 60, "threads": 1}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=[survival.TOY], disabled=["tensorboard"]))
    yield
    set_catalogue(None)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the runs ``whole`` (60 steps) and ``short`` (the first 40 of them); tests copy them."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLYGAN_CACHE", str(folder / "cache"))
        set_catalogue(load_catalogue(files=[survival.TOY], disabled=["tensorboard"]))
        for name, steps in (("whole", 60), ("short", 40)):
            polygan.train("points/mlp", "ring", runs=str(folder), name=name, quiet=True, **SETTINGS | {"steps": steps})
        set_catalogue(None)
    return folder


def command(capsys, *words, code=0):
    with pytest.raises(SystemExit) as end:
        cli.main([*survival.PLUGIN, *map(str, words)])
    out = capsys.readouterr()
    assert (end.value.code or 0) == code, out
    assert "Traceback" not in out.err
    return out


def truncate(folder):
    path = folder / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    return "generator.safetensors has"


def flip_a_bit(folder):
    path = folder / "training.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    return "training.safetensors does not match its checksum"


def lose_a_file(folder):
    (folder / "discriminator.safetensors").unlink()
    return "discriminator.safetensors cannot be read (No such file or directory)"


def empty_the_manifest(folder):
    (folder / "manifest.json").write_bytes(b"")
    return "no usable manifest.json"


def write_half(folder):
    temporary = folder.with_name(f".writing-{folder.name}")
    folder.rename(temporary)
    (temporary / "manifest.json").unlink()
    (temporary / "training.json").write_text("{")
    return ""  # a save that never ended: swept, and nothing to say


def come_from_the_future(folder):
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    return "has format 99, and this polygan reads 1: upgrade polygan"


DAMAGES = [truncate, flip_a_bit, lose_a_file, empty_the_manifest, write_half, come_from_the_future]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("end", ["finished", "stopped"])
def test_a_damaged_checkpoint_falls_back_and_ends_the_same(damage, end, trained, capsys):
    shutil.copytree(trained / ("whole" if end == "finished" else "short"), "runs/hurt")
    said = damage(survival.newest("runs/hurt"))
    out = command(capsys, "resume", "runs/hurt", *([] if end == "finished" else ["--steps", 60]))
    warnings = [x for x in out.err.splitlines() if "trying an older checkpoint" in x]
    if said:
        (line,) = warnings
        assert said in line
        assert f"step-000000{60 if end == 'finished' else 40}" in line
    else:
        assert not warnings
    resumed = next(r for r in survival.records("runs/hurt") if r["event"] == "resumed")
    assert resumed["step"] == (50 if end == "finished" else 30)
    assert not list(Path("runs/hurt/checkpoints").glob(".writing-*"))
    survival.assert_same(trained / "whole", "runs/hurt")


def save_odd(folder, change):
    """Change the tensors of the generator, and give the checkpoint the checksums of what it holds now."""
    path = folder / "generator.safetensors"
    path.write_bytes(safetensors.torch.save(change(safetensors.torch.load_file(path))))
    survival.sign(path)


ODD = {
    "halves": (lambda t: {**t, "0.weight": t["0.weight"].half()}, "generator.0.weight holds float16 in the checkpoint"),
    "nan": (
        lambda t: {**t, "0.bias": t["0.bias"] * float("nan")},
        "generator.0.bias holds numbers that are not finite",
    ),
    "missing": (
        lambda t: {k: v for k, v in t.items() if k != "0.bias"},
        "generator.0.bias is missing in the checkpoint",
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_content_with_valid_checksums_falls_back_and_ends_the_same(kind, trained, capsys):
    shutil.copytree(trained / "short", "runs/hurt")
    change, said = ODD[kind]
    save_odd(survival.newest("runs/hurt"), change)
    err = command(capsys, "resume", "runs/hurt", "--steps", 60).err
    (line,) = [x for x in err.splitlines() if "trying an older checkpoint" in x]
    assert said in line
    assert "step-00000040" in line
    survival.assert_same(trained / "whole", "runs/hurt")


def test_one_flipped_bit_in_the_log_costs_one_line(trained, capsys):
    run = Path(shutil.copytree(trained / "short", "runs/hurt"))
    log = run / "log.jsonl"
    lines = log.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"{", b"[", 1)
    log.write_bytes(b"\n".join(lines))
    err = command(capsys, "resume", "runs/hurt", "--steps", 60).err
    assert "log.jsonl: 1 damaged lines were left out" in err
    assert survival.records(run)[-1]["status"] == "finished"
    whole, hurt = (survival.state(folder) for folder in (trained / "whole", run))
    assert all(hurt[key] == content for key, content in whole.items() if key != "logged")


def test_when_every_checkpoint_is_damaged_each_is_named(trained, capsys):
    shutil.copytree(trained / "whole", "runs/lost")
    folders = sorted(Path("runs/lost/checkpoints").iterdir())
    for folder in folders:
        truncate(folder)
    last = command(capsys, "resume", "runs/lost", "--steps", 80, code=1).err.strip().splitlines()[-1]
    assert last.startswith("polygan: CheckpointError: ")
    assert all(folder.name in last for folder in folders)


def test_a_run_killed_after_its_last_checkpoint_is_completed_by_resume(trained, capsys):
    run = Path(shutil.copytree(trained / "whole", "runs/cut"))
    log = run / "log.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:-1]) + lines[-1][:20])
    (run / "report.html").unlink()
    command(capsys, "resume", "runs/cut")
    assert survival.records("runs/cut")[-1]["status"] == "finished"
    assert (run / "report.html").is_file()
    assert "finished at step 60" in command(capsys, "resume", "runs/cut", code=2).err


# A full disk


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on file sizes")
def test_a_log_that_cannot_grow_ends_the_run_with_one_line(capsys):
    import resource

    settings = SETTINGS | {"steps": 150, "log_every": 1}
    polygan.train("points/mlp", "ring", name="whole", quiet=True, **settings)
    words = [w for key, value in settings.items() for w in (f"--{key}", value)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        err = command(capsys, "train", "points/mlp", "--data", "ring", "--name", "full", *words, code=1).err
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    last = err.strip().splitlines()[-1]
    assert "File too large" in last
    assert "checkpoints are intact: free some space, then `polygan resume runs/full`" in last
    reached = int(survival.newest("runs/full").name[5:])
    assert 10 <= reached < 150
    command(capsys, "resume", "runs/full")
    survival.assert_same("runs/whole", "runs/full")


SMALL_DISK = """
set -e
mount -t tmpfs -o size=300k none runs
set +e
"$@" train points/mlp --data ring --name full --keep 1000 $SETTINGS
echo "code $?"
ls runs/full/checkpoints
mount -o remount,size=50m runs
"$@" resume runs/full
echo "code $?"
cp -r runs/full kept
"""


def _can_mount():
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    return (
        subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not _can_mount(), reason="needs a user namespace in which a tmpfs can be mounted")
def test_a_full_disk_loses_nothing(tmp_path):
    settings = SETTINGS | {"steps": 150}
    polygan.train("points/mlp", "ring", name="whole", quiet=True, runs="other", **settings)
    Path("runs").mkdir()
    words = " ".join(f"--{key} {value}" for key, value in settings.items())
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", sys.executable, "-m", "polygan", *survival.PLUGIN],
        env={**os.environ, "OMP_NUM_THREADS": "1", "SETTINGS": words},
        capture_output=True,
        text=True,
        timeout=240,
    )
    lines = result.stdout.splitlines()
    first = lines.index("code 1")
    second = lines.index("code 0", first)
    saved = [int(x[5:]) for x in lines[first + 1 : second] if x.startswith("step-")]
    assert saved == list(range(10, saved[-1] + 1, 10))
    assert 10 <= saved[-1] < 150
    assert "Traceback" not in result.stderr
    (line,) = [x for x in result.stderr.splitlines() if x.startswith("polygan: CheckpointError")]
    assert "No space left on device" in line
    assert "intact: free some space, then" in line
    resumed = next(r["step"] for r in survival.records("kept") if r["event"] == "resumed")
    assert resumed == saved[-1]
    survival.assert_same("other/whole", "kept")
