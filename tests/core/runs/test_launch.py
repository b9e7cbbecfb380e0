"""Folders appear whole or not at all, and only restarts of one launch with the same settings share a run."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from toy_runs import train

import polygan
from polygan.runs import launch
from polygan.runs.assembly import resolve
from polygan.runs.launch import building, discard, identity, new_folder, start_of, sweep, typed_path

pytestmark = pytest.mark.usefixtures("toys")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def settings(**run):
    return resolve("points/mlp", [{"data": "ring", **run}])


def killed(act):
    """Run something in a process that ends without cleaning up."""
    pid = os.fork()
    if not pid:
        try:
            act()
        finally:
            os._exit(9)
    os.waitpid(pid, 0)
    return pid


# Folders


@needs_fork
@pytest.mark.parametrize("moment", ["write_text", "sync_folder", "_mark", "rename"])
def test_a_kill_while_a_run_folder_is_made_leaves_its_name_free(moment, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    with monkeypatch.context() as patch:
        place = (Path, "rename") if moment == "rename" else (launch, moment)
        patch.setattr(*place, lambda *_: os._exit(9))
        killed(lambda: new_folder(settings(name="mine")))
    assert not Path("runs/mine").exists()
    assert [p.name[:5] for p in Path("runs").iterdir()] == [".new-"]
    assert new_folder(settings(name="mine")) == (Path("runs/mine"), False)
    assert sorted(p.name for p in Path("runs").iterdir()) == ["mine"]
    assert sorted(p.name for p in Path("runs/mine").iterdir()) == [".launch", "config.yaml"]


@needs_fork
def test_a_kill_while_a_folder_is_discarded_frees_its_name(monkeypatch):
    folder, _ = new_folder(settings(name="mine"))
    with monkeypatch.context() as patch:
        patch.setattr(launch.shutil, "rmtree", lambda *_, **__: os._exit(9))
        killed(lambda: discard(folder))
    assert not folder.exists()
    assert new_folder(settings(name="mine")) == (folder, False)
    assert [p.name for p in Path("runs").iterdir()] == ["mine"]


def test_only_what_a_dead_process_left_is_swept():
    made = {
        name: Path("runs", name)
        for name in (f".new-{os.getppid()}-01234567", ".new-99999999999-01234567", ".new-x", ".newer", "mine")
    }
    for path in made.values():
        path.mkdir(parents=True)
    Path("runs/.new-99999999999-76543210").symlink_to("mine")
    sweep(Path("runs"))
    assert sorted(p.name for p in Path("runs").iterdir()) == sorted(
        {*made, ".new-99999999999-76543210"} - {".new-99999999999-01234567"}
    )
    old = time.time() - 7200
    os.utime(made[f".new-{os.getppid()}-01234567"], (old, old))  # another process may have the number by now
    sweep(Path("runs"))
    assert not made[f".new-{os.getppid()}-01234567"].exists()


def test_a_folder_that_is_swept_while_it_is_built_is_built_again(monkeypatch):
    swept = []

    def sweep_once(path, text, write=launch.write_text):
        write(path, text)
        if not swept:
            swept.append(launch.shutil.rmtree(path.parent))

    monkeypatch.setattr(launch, "write_text", sweep_once)
    folder, _ = new_folder(settings(name="mine"))
    assert swept
    assert (folder / "config.yaml").is_file()


def test_what_lies_in_the_place_of_a_run_is_named_and_kept():
    Path("runs/full").mkdir(parents=True)
    Path("runs/full/diary").write_text("dear diary")
    Path("runs/file").write_text("text")
    Path("runs/link").symlink_to("full")
    for name in ("full", "file", "link"):
        with pytest.raises(
            polygan.ConfigError, match=rf"runs/{name} exists and is no run .*; remove it, or choose another --name"
        ):
            new_folder(settings(name=name))
    assert Path("runs/full/diary").read_text() == "dear diary"
    Path("runs/empty").mkdir()
    assert new_folder(settings(name="empty")) == (Path("runs/empty"), False)


def test_a_folder_made_by_another_process_meanwhile_is_not_replaced():
    def build():
        with building(Path("mine")) as place:
            (place / "a").touch()
            Path("mine").mkdir()
            Path("mine/b").touch()

    with pytest.raises(FileExistsError):
        build()
    assert [p.name for p in Path().iterdir()] == ["mine"]
    assert [p.name for p in Path("mine").iterdir()] == ["b"]


def test_a_full_disk_leaves_no_folder_and_one_line(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(launch, "write_text", full)
    with pytest.raises(
        polygan.ConfigError, match=r"runs/mine cannot be made: No space left on device; choose another with --runs"
    ):
        new_folder(settings(name="mine"))
    assert not list(Path("runs").iterdir())


@pytest.mark.parametrize(
    ("path", "typed"),
    [("runs/a", "runs/a"), ("my run (copy)", "'my run (copy)'"), ("-dash", "./-dash"), ("it's", "'it'\"'\"'s'")],
)
def test_a_path_in_a_message_can_be_typed(path, typed):
    assert typed_path(Path(path)) == typed


# Launches


@pytest.fixture
def system(monkeypatch, tmp_path):
    """A made-up /proc of a container in which torchrun is process 1 and its worker process 7."""
    proc = tmp_path / "proc"

    def write(*, boot="b1", launcher=100, worker=200):
        (proc / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
        (proc / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
        for pid, start in ((1, launcher), (7, worker)):
            (proc / str(pid)).mkdir(exist_ok=True)
            (proc / str(pid) / "stat").write_text(
                f"{pid} (tor) ch) S " + " ".join(map(str, range(4, 22))) + f" {start} 23 24\n"
            )

    monkeypatch.setattr(launch, "_PROC", proc)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    monkeypatch.setattr(os, "getpid", lambda: 7)
    monkeypatch.setattr(launch.platform, "node", lambda: "host")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    write()
    return write


def test_a_restart_of_the_same_launch_continues_the_run(system):
    assert identity() == ("job", "host", "b1", "1", "100")
    assert new_folder(settings()) == (Path("runs/mlp-ring"), False)
    system(worker=300)
    assert new_folder(settings()) == (Path("runs/mlp-ring"), True)
    system(worker=400)
    assert new_folder(settings()) == (Path("runs/mlp-ring"), True)
    assert new_folder(settings()) == (Path("runs/mlp-ring-2"), False)  # the same process trains a second run


@pytest.mark.parametrize("other", [{"launcher": 101}, {"boot": "b2"}])
def test_another_launch_never_continues_a_run(system, other):
    """A container with a fixed host name, whose torchrun is process 1 again."""
    new_folder(settings())
    new_folder(settings(name="mine"))
    system(worker=300, **other)
    assert new_folder(settings()) == (Path("runs/mlp-ring-2"), False)
    with pytest.raises(polygan.ConfigError, match=r"run runs/mine exists; `polygan resume runs/mine` continues it"):
        new_folder(settings(name="mine"))


def test_other_settings_never_continue_a_run(system):
    new_folder(settings(name="mine", model={"width": 8}))
    saved = Path("runs/mine/config.yaml").read_bytes()
    system(worker=300)
    with pytest.raises(
        polygan.ConfigError,
        match=r"run runs/mine exists and has other settings \(steps 20 -> 30, model.width 8 -> 16\); `polygan resume runs/mine`",
    ):
        new_folder(settings(name="mine", steps=30))
    assert Path("runs/mine/config.yaml").read_bytes() == saved
    first, _ = new_folder(settings())
    system(worker=400)
    second, resuming = new_folder(settings(seed=1))
    assert (second.name, resuming) == ("mlp-ring-2", False)
    system(worker=500)
    assert new_folder(settings()) == (first, True)
    assert new_folder(settings(seed=1)) == (second, True)


@pytest.mark.parametrize("content", [b"", b"job host 1 7", b"[1]", b"[" * 9000, b"\xff", b"{" + b" " * 20_000])
def test_a_mark_that_cannot_be_read_is_no_mark(system, content):
    folder, _ = new_folder(settings())
    (folder / ".launch").write_bytes(content)
    system(worker=300)
    assert new_folder(settings()) == (Path("runs/mlp-ring-2"), False)


def test_a_system_without_proc_asks_ps(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "_PROC", tmp_path)
    told = start_of(os.getpid())
    assert told == start_of(os.getpid())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert start_of(os.getpid()) == ""


def test_training_in_a_launch_continues_the_run_of_a_dead_process(system):
    first = train(steps=5)
    system(worker=300)
    second = train(steps=5)
    assert second.folder == first.folder
    assert (first.folder / "log.jsonl").read_text().count('"resumed"') == 1
    replaced = replace(first.settings, run=replace(first.settings.run, steps=7))
    assert polygan.train(replaced, quiet=True).folder != first.folder
