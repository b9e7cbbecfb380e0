"""The files in a folder: sorted, without hidden ones, each folder once whatever links lead to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import polygan


def make(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def walk(root="set"):
    return polygan.walk_files(Path(root), lambda name: name.lower().endswith((".png", ".csv.gz")))


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_wanted_files_are_sorted_and_the_others_told_by_suffix():
    make("set/b/2.png", "set/a/1.PNG", "set/c.csv.gz", "set/d.txt", "set/README", "set/.x.png", "set/.git/y.png")
    assert walk() == (["a/1.PNG", "b/2.png", "c.csv.gz"], {".txt": 1, "README": 1})


def test_what_systems_leave_beside_files_is_skipped():
    make("set/@eaDir/1.png", "set/a/__MACOSX/1.png", "set/a/2.png", "set/Thumbs.db", "set/b.txt", "set/c.TXT")
    assert walk() == (["a/2.png"], {".txt": 2})


def test_a_folder_is_read_once_and_where_it_lies():
    make("set/cats/1.png", "elsewhere/2.png")
    Path("set/again").symlink_to(Path("set/cats").resolve())
    Path("set/far").symlink_to(Path("elsewhere").resolve())
    Path("elsewhere/loop").symlink_to(Path("set").resolve())
    assert walk()[0] == ["cats/1.png", "far/2.png"]


def test_a_link_to_a_hidden_folder_is_followed():
    make("set/.store/1.png")
    Path("set/shown").symlink_to(Path("set/.store").resolve())
    assert walk()[0] == ["shown/1.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser reads every folder")
def test_a_folder_that_cannot_be_read_is_named():
    make("set/shut/1.png")
    Path("set/shut").chmod(0)
    with pytest.raises(polygan.DataError, match="shut"):
        walk()
