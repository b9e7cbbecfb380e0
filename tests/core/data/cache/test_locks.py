"""A lock on a folder keeps others out, is shared by readers, and ends with its process."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from polygan.data.cache import folders
from polygan.data.cache.folders import Busy, hold

pytestmark = pytest.mark.skipif(folders.fcntl is None, reason="the system has no locks")


def test_a_folder_is_held_once_or_shared(tmp_path):
    alone = hold(tmp_path)
    assert alone.works
    for shared in (False, True):
        with pytest.raises(Busy):
            hold(tmp_path, shared=shared)
    alone.close()
    one, two = hold(tmp_path, shared=True), hold(tmp_path, shared=True)
    with pytest.raises(Busy):
        hold(tmp_path)
    one.close()
    two.close()
    assert hold(tmp_path).works


def test_a_folder_without_a_lock_file_gets_none_unless_asked(tmp_path):
    assert not hold(tmp_path, make=False).works
    assert list(tmp_path.iterdir()) == []
    assert not hold(tmp_path / "absent").works


def test_a_file_system_without_locks_is_no_error(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folders.fcntl, "flock", no_locks)
    assert not hold(tmp_path).works


def test_a_folder_that_was_removed_meanwhile_is_not_held(tmp_path, monkeypatch):
    flock = folders.fcntl.flock

    def late(handle, how):
        (tmp_path / folders.LOCK).unlink()
        flock(handle, how)

    monkeypatch.setattr(folders.fcntl, "flock", late)
    with pytest.raises(Busy):
        hold(tmp_path)


def test_a_link_in_place_of_the_lock_file_is_not_followed(tmp_path):
    os.symlink(tmp_path / "target", tmp_path / folders.LOCK)
    assert not hold(tmp_path).works
    assert not (tmp_path / "target").exists()


def test_a_lock_ends_with_its_process(tmp_path):
    code = "import sys; from pathlib import Path; from polygan.data.cache.folders import hold\n"
    code += "lock = hold(Path(sys.argv[1])); print(lock.works, flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    with pytest.raises(Busy):
        hold(tmp_path)
    process.kill()
    process.communicate(timeout=60)
    assert hold(tmp_path).works
