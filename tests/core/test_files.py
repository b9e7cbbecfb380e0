"""Writes: whole or not at all, on the disk, and never through a symbolic link; numbered formats."""

from __future__ import annotations

import ast
import contextlib
import os
import stat
from pathlib import Path

import pytest

import polygan
from polygan import files
from polygan.errors import CheckpointError, ConfigError

CORE = Path(polygan.__file__).parent

WRITERS = {
    "write_bytes": lambda path: files.write_bytes(path, b"new"),
    "write_text": lambda path: files.write_text(path, "new"),
    "append_line": lambda path: files.append_line(path, "new"),
    "open_lock": lambda path: files.open_lock(path).close(),
}


@pytest.fixture
def syncs(monkeypatch):
    """What was synchronised with the disk, in order: names of files and folders."""
    seen, plain = [], os.fsync

    def fsync(handle):
        seen.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)
        plain(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


@pytest.mark.parametrize("name", WRITERS)
def test_no_write_goes_through_a_link(tmp_path, name):
    (tmp_path / "mine").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "made")
    for link in ("link", "nowhere"):
        with pytest.raises(ConfigError, match=rf"{link} is a symbolic link, .*remove it or rename it"):
            WRITERS[name](tmp_path / link)
    assert (tmp_path / "mine").read_text() == "old"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a reader
    (tmp_path / "folder").mkdir()
    for place, kind in (("pipe", "not a regular file"), ("folder", "a folder")):
        with pytest.raises(ConfigError, match=f"{place} is {kind}"):
            WRITERS[name](tmp_path / place)


def test_a_link_that_appears_between_look_and_write_is_not_followed(tmp_path, monkeypatch):
    (tmp_path / "mine").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    monkeypatch.setattr(files, "regular", lambda path: path)
    for write in (WRITERS["append_line"], WRITERS["open_lock"]):
        with pytest.raises(OSError, match="symbolic links"):
            write(tmp_path / "link")
    files.write_text(tmp_path / "link", "new")  # takes the link's place
    assert (tmp_path / "mine").read_text() == "old"


def test_a_temporary_file_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "mine").write_text("old")
    (tmp_path / f".x.{os.getpid()}.tmp").symlink_to(tmp_path / "mine")
    files.write_text(tmp_path / "x", "new")
    assert (tmp_path / "mine").read_text() == "old"
    assert (tmp_path / "x").read_text() == "new"


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    files.write_text(tmp_path / "x", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_text(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_file_is_on_the_disk_before_its_name_is(tmp_path, syncs, monkeypatch):
    plain = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: (syncs.append("renamed"), plain(self, to))[1])
    files.write_text(tmp_path / "x", "new")
    assert syncs == [f".x.{os.getpid()}.tmp", "renamed", tmp_path.name]
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_two_files_are_replaced_together_or_not_at_all(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for path in (one, two):
        files.write_text(path, "old")
    with contextlib.suppress(ZeroDivisionError), files.replacing(one, two) as (a, b):
        files.write_blocks(a, [b"new"])
        files.write_blocks(b, [b"n"])
        raise ZeroDivisionError
    assert (one.read_text(), two.read_text(), len(list(tmp_path.iterdir()))) == ("old", "old", 2)
    with files.replacing(one, two) as (a, b):
        files.write_blocks(a, [b"new"])
        files.write_blocks(b, [b"n"])
    assert (one.read_text(), two.read_text(), len(list(tmp_path.iterdir()))) == ("new", "n", 2)


def test_lines_are_appended_and_flushed_where_asked(tmp_path, syncs):
    log = tmp_path / "log"
    files.append_line(log, "a")
    assert syncs == ["log", tmp_path.name]
    files.append_line(log, "b", durable=False)
    assert syncs == ["log", tmp_path.name]
    assert log.read_text() == "a\nb\n"


def test_a_line_is_appended_to_a_line_that_was_cut_on_a_new_line(tmp_path):
    log = tmp_path / "log"
    log.write_text("a\nb")
    files.append_line(log, "c")
    files.append_line(log, "d", durable=False)
    assert log.read_text() == "a\nb\nc\nd\n"


def test_a_folder_of_files_to_overwrite_holds_no_links(tmp_path):
    run = tmp_path / "run"
    (run / "made/deep").mkdir(parents=True)
    (run / "made/deep/x").write_text("x")
    assert files.only_files(run, "made") == run / "made"
    assert files.only_files(run, "missing") == run / "missing"
    (run / "settings").write_text("kept")
    for name, target in (("made/y", run / "settings"), ("made/deep/z", tmp_path / "nowhere"), ("made/w", run)):
        (run / name).symlink_to(target)
        with pytest.raises(ConfigError, match=f"{name} is a symbolic link"):
            files.only_files(run, "made")
        (run / name).unlink()
    (run / "same").symlink_to("made")
    with pytest.raises(ConfigError, match="same is a symbolic link"):
        files.only_files(run, "same")
    os.mkfifo(run / "made/pipe")
    with pytest.raises(ConfigError, match="pipe is not a regular file"):
        files.only_files(run, "made")


def test_a_lock_empties_nothing(tmp_path):
    (tmp_path / "lock").write_text("what somebody else keeps")
    files.open_lock(tmp_path / "lock").close()
    assert (tmp_path / "lock").read_text() == "what somebody else keeps"


def test_a_folder_of_files_appears_when_it_is_whole(tmp_path, syncs):
    files.write_folder(tmp_path / "x", {"a": b"1", "b": b"2"})
    assert syncs == ["a", "b", f".x.{os.getpid()}.tmp", tmp_path.name]
    with pytest.raises(TypeError):
        files.write_folder(tmp_path / "x", {"a": b"3", "b": "no bytes"})
    assert {p.name: p.read_bytes() for p in (tmp_path / "x").iterdir()} == {"a": b"1", "b": b"2"}
    files.write_folder(tmp_path / "x", {"c": b"3"})
    assert {p.name: p.read_bytes() for p in (tmp_path / "x").iterdir()} == {"c": b"3"}
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_is_a_link_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/kept").write_text("kept")
    (tmp_path / "x").symlink_to(tmp_path / "mine")
    with pytest.raises(ConfigError, match="x is a symbolic link"):
        files.write_folder(tmp_path / "x", {"a": b"1"})
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["kept"]


def test_folders_lead_nowhere_but_into_the_run(tmp_path):
    (tmp_path / "run/samples").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "by-link").symlink_to(tmp_path / "run")  # the user's own choice
    run = tmp_path / "by-link"
    assert files.inside(run, "samples") == run / "samples"
    (run / "same").symlink_to("samples")
    assert files.all_inside(run, "same") == run / "same"
    assert files.all_inside(run, "missing") == run / "missing"
    (run / "out").symlink_to("../mine")
    (run / "circle").symlink_to("circle")
    (run / "samples/deep").mkdir()
    (run / "samples/deep/000.png").symlink_to(tmp_path / "made")
    for name in ("out", "circle", "samples"):
        with pytest.raises(ConfigError, match=r"is a symbolic link that leads out of .*remove the link"):
            files.all_inside(run, name)


def older_number(found):
    return {**found, "n": found["n"] + 1}


def test_formats_are_migrated_one_by_one():
    known = files.Format("thing", 3, CheckpointError, {1: older_number, 2: older_number}, {0: "0.1.7"})
    assert known.migrate(Path("x"), 3, {"n": 1}) == {"n": 1}
    assert known.migrate(Path("x"), 1, {"n": 1}) == {"n": 3}
    assert [known.reads(n) for n in (0, 1, 2, 3, 4, "3", True, None)] == [False, True, True, True, *[False] * 4]
    for version, message in (
        (4, "thing x has format 4, and this polygan reads 3: upgrade polygan to use it"),
        (0, r"the older format has no migration; polygan 0\.1\.7 reads it: pip install polygan==0\.1\.7"),
        (-1, "the older format has no migration; use the polygan that wrote it"),
        (None, "has format None, .*: the file is damaged, restore it"),
    ):
        with pytest.raises(CheckpointError, match=message):
            known.migrate(Path("x"), version, {})


WRITING = {"write_text", "write_bytes", "mkstemp", "save_file", "touch"}


def writes(tree):
    """The lines on which something is opened for writing, or written by a method of `pathlib` or of a library."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        modes = [a.value for a in (*node.args, *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)]
        opened = name in ("open", "fdopen") and any(
            isinstance(m, str) and set(m) & set("wax+") and len(m) < 4 for m in modes
        )
        if opened or (name in WRITING and isinstance(function, ast.Attribute)):
            yield node.lineno


def test_nothing_of_the_core_writes_a_file_but_by_this_module():
    apart = {
        "files.py",
        "scaffold.py",
        "bench.py",
        "data_checks.py",
        "recipe_checks.py",
    }  # these make folders of their own
    found = {}
    for path in CORE.rglob("*.py"):
        if path.name not in apart and (lines := list(writes(ast.parse(path.read_text("utf-8"))))):
            found[path.name] = lines
    assert found == {}
    assert list(writes(ast.parse("a.open('wb')\nopen(x, mode='a')\np.write_text('')\nopen(x)\nwrite_text(p, '')"))) == [
        1,
        2,
        3,
    ]
