"""A build that was interrupted or killed anywhere is continued, and gives the store that no interruption gives."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from listed_source import Listed, build, leftovers, setting

from polygan.data import build as build_module
from polygan.data import build_store
from polygan.data.cache import building
from polygan.data.cache.building import Building, FieldWriter, sweep
from polygan.data.cache.folders import hold
from polygan.data.source import Field

FIELDS = {"x": Field("int32", (2,)), "r": Field("float32", (None,))}


def made(n=60, bad=(7, 8, 33)):
    samples = [{"x": np.full(2, i, np.int32), "r": np.full(i % 5, i, np.float32)} for i in range(n)]
    for i in bad:
        samples[i] = ValueError("broken")
    return Listed(samples, FIELDS)


def files(store):
    """The content of every file of a store that was built from one source, by name."""
    return {p.name: p.read_bytes() for p in store.path.iterdir() if p.name != ".lock"}


@pytest.fixture
def marks(monkeypatch):
    """A mark after each sample, where a build in earnest marks now and then."""
    monkeypatch.setattr(building, "_EVERY", 0.0)


@pytest.fixture
def whole(tmp_path):
    return files(build(tmp_path / "whole", made()))


def interrupted_at(monkeypatch, n):
    """The n-th array that is written from now on is interrupted; the number is shared by all fields."""
    add, count = FieldWriter.add, [0]

    def interrupt(self, array):
        count[0] += 1
        if count[0] == n:
            self.file.write(b"half")
            raise KeyboardInterrupt
        add(self, array)

    monkeypatch.setattr(FieldWriter, "add", interrupt)


@pytest.mark.usefixtures("marks")
@pytest.mark.parametrize("seed", range(6))
def test_interruptions_anywhere_change_no_bit(tmp_path, monkeypatch, whole, seed):
    rng, source = random.Random(seed), made()
    for _ in range(3):
        with monkeypatch.context() as patch:
            interrupted_at(patch, rng.randint(3, 30))
            with pytest.raises(KeyboardInterrupt, match="interrupted while decoding; the same command continues"):
                build(tmp_path, source)
        assert len(leftovers(tmp_path)) == 1
    done = source.decoded
    found = files(build(tmp_path, source))
    assert found == whole
    assert sorted(found) == ["names.zip", "r.npy", "r.offsets.npy", "store.json", "x.npy"]
    assert source.decoded < done + 60  # not from the first sample on
    assert leftovers(tmp_path) == []


@pytest.mark.usefixtures("marks")
@pytest.mark.parametrize("name", ["sums_of", "write_text"])
def test_an_interruption_after_the_last_sample_loses_nothing(tmp_path, monkeypatch, whole, name):
    source = made()

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build_module, name, interrupt)
        with pytest.raises(KeyboardInterrupt, match="the same command continues"):
            build(tmp_path, source)
    assert files(build(tmp_path, source)) == whole
    assert source.decoded == 60


def test_an_interruption_before_the_first_mark_leaves_nothing(tmp_path, monkeypatch):
    interrupted_at(monkeypatch, 9)
    with pytest.raises(KeyboardInterrupt, match="interrupted while decoding; the same command starts again"):
        build(tmp_path, made())
    assert leftovers(tmp_path) == []


@pytest.mark.usefixtures("marks")
@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "journal.jsonl").write_bytes((folder / "journal.jsonl").read_bytes()[:-20]),
        lambda folder: (folder / "journal.jsonl").write_text("not a journal"),
        lambda folder: flip(folder / "journal.jsonl"),
        lambda folder: flip(folder / "x.npy"),
        lambda folder: flip(folder / "r.ends"),
        lambda folder: (folder / "r.npy").unlink(),
        lambda folder: (folder / "r.npy").write_bytes(b""),
    ],
    ids=["half a line", "no journal", "flipped journal", "flipped array", "flipped ends", "absent", "empty"],
)
def test_damaged_leftovers_change_no_bit(tmp_path, monkeypatch, whole, damage):
    with monkeypatch.context() as patch:
        interrupted_at(patch, 50)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, made())
    damage(leftovers(tmp_path)[0])
    assert files(build(tmp_path, made())) == whole


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 8
    path.write_bytes(data)


@pytest.mark.usefixtures("marks")
def test_a_source_that_changed_starts_anew(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupted_at(patch, 50)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, made())
    other = made()
    other.key = "changed"
    assert len(build(tmp_path, other)) == 57
    assert other.decoded == 60


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from listed_source import build
from test_building import made
from polygan.data.cache import building
from pathlib import Path

building._EVERY = 0.0
source = made(400, ())
decode = source.decode

def slow(index):
    time.sleep(0.002)
    return decode(index)

source.decode = slow
print("ready", flush=True)
build(Path(sys.argv[2]), source)
"""


def start(tmp_path):
    here = os.path.dirname(__file__)
    path = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, os.path.dirname(here), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("stores/.building-*/journal.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.005)
    return process


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
def test_a_suspended_build_is_left_alone_and_a_killed_build_is_continued(tmp_path):
    process = start(tmp_path)
    try:
        time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        (folder,) = leftovers(tmp_path)
        for path in (folder, *folder.iterdir()):
            os.utime(path, (1, 1))  # suspended for years
        sweep(tmp_path / "stores")
        assert folder.exists()
        first = made(400, ())
        store = build(tmp_path, first)  # another process does not wait for it
        assert first.decoded == 400
    finally:
        process.kill()
        process.communicate(timeout=60)
    whole = files(store)
    for path in store.path.iterdir():
        path.unlink()
    store.path.rmdir()
    again = made(400, ())
    assert files(build(tmp_path, again)) == whole
    assert 0 < again.decoded < 400
    assert leftovers(tmp_path) == []


@pytest.mark.usefixtures("marks")
def test_what_can_be_continued_is_kept_for_a_week(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupted_at(patch, 50)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, made())
    (folder,) = leftovers(tmp_path)
    for days, kept in ((6, True), (8, False)):
        for path in (*folder.iterdir(), folder):
            os.utime(path, (time.time() - days * 24 * 3600,) * 2)
        sweep(tmp_path / "stores")
        assert folder.exists() == kept


def test_a_dead_build_without_a_mark_goes_at_once_and_a_living_one_stays(tmp_path):
    dead, alive = Building(tmp_path, "a" * 32, FIELDS), Building(tmp_path, "b" * 32, FIELDS)
    dead._lock.close()
    sweep(tmp_path)
    assert (dead.folder.exists(), alive.folder.exists()) == (False, True)


def test_where_locks_do_not_work_nothing_is_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_EVERY", 0.0)
    monkeypatch.setattr(building, "hold", lambda *_, **__: hold(tmp_path / "absent"))
    with monkeypatch.context() as patch:
        interrupted_at(patch, 50)
        with pytest.raises(KeyboardInterrupt, match="starts again"):
            build(tmp_path, made())
    assert leftovers(tmp_path) == []


@pytest.mark.usefixtures("marks")
def test_a_continued_build_says_where_it_goes_on(tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupted_at(patch, 50)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path, made())
    (folder,) = leftovers(tmp_path)
    reached = json.loads((folder / "journal.jsonl").read_text().splitlines()[-1].partition(" ")[2])["next"]
    build_store(made(), setting(tmp_path))
    line = capsys.readouterr().err.splitlines()[0]
    assert f"decoding 60 samples of 'mine', from sample {reached + 1} on, where decoding was interrupted" in line
