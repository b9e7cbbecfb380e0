"""Building a store skips bad samples within the limit, leaves no half-built folder, and allows several builders at once."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from listed_source import BYTES, Listed, build, leftovers, numbers, setting

from polygan.data import build_store, cache_folder, remembered
from polygan.data.source import DataSettings, Field, Source
from polygan.data.store import Split
from polygan.errors import DataError

# Where it is kept, and under which key


def test_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "env"))
    assert cache_folder(DataSettings(cache=str(tmp_path / "set"))) == tmp_path / "set"
    assert cache_folder(DataSettings()) == tmp_path / "env"
    monkeypatch.delenv("POLYGAN_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    assert cache_folder(DataSettings()) == tmp_path / "home" / ".cache" / "polygan"
    assert cache_folder(DataSettings(cache="~/x")) == tmp_path / "home" / "x"
    store = build_store(numbers(3), DataSettings(cache=str(tmp_path / "set")), progress=False)
    assert store.path.parent == tmp_path / "set" / "stores"


@pytest.mark.parametrize("cache", ["", "~/x", "~nobody-of-this-name/x"])
def test_an_unknown_home_folder_is_one_clear_error(monkeypatch, cache):
    monkeypatch.delenv("POLYGAN_CACHE")

    def nobody(path):  # HOME is not set, and the user has no entry in the system's table
        return path

    monkeypatch.setattr(os.path, "expanduser", nobody)
    with pytest.raises(DataError, match=r"home folder is not known .*--data.cache"):
        cache_folder(DataSettings(cache=cache))


def test_facts_learned_are_found_without_a_cache_too(monkeypatch):
    monkeypatch.delenv("POLYGAN_CACHE")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert remembered(DataSettings(), "sizes", lambda: [3]) == [3]


def test_the_key_follows_fingerprint_and_fields_only(tmp_path):
    first = build(tmp_path, numbers(5))
    assert build(tmp_path, numbers(5), max_bad=1.0, held_out=0.5).path == first.path
    assert build(tmp_path, numbers(5, key="other")).path != first.path
    wide = Listed([{"x": np.zeros(2, np.uint8), "y": np.uint8(1)}] * 5, {**BYTES, "y": Field("uint8", ())})
    assert build(tmp_path, wide).path != first.path
    other = Listed([{"x": np.zeros(2, np.int8)}] * 5, {"x": Field("int8", (2,))})
    assert build(tmp_path, other).path != first.path
    assert len(list((tmp_path / "stores").iterdir())) == 4


# Bad samples


def test_bad_samples_are_named_counted_and_skipped(tmp_path, capsys):
    source = numbers(50, bad=(3, 10, 11, 49))
    store = build(tmp_path, source)
    assert len(store) == store.info["count"] == 46
    assert [b.partition(":")[0] for b in store.bad] == ["file3.png", "file10.png", "file11.png", "file49.png"]
    assert [int(store.item("x", i)[0]) for i in (2, 3, 45)] == [2, 4, 48]
    (line,) = capsys.readouterr().err.splitlines()
    assert "4 of 50 samples of 'mine' were skipped (file3.png: cannot identify it; " in line
    assert "file11.png: cannot identify it; and 1 more)" in line
    build_store(source, setting(tmp_path))  # said again where the store is found, with the remedy
    (line,) = capsys.readouterr().err.splitlines()
    assert "4 of 50 samples" in line
    assert line.endswith(f"remove {store.path} to read them again")


class Classes(Listed):
    """Even and odd samples are two classes, whose sizes are facts."""

    def info_without(self, skipped):
        assert skipped
        left = [i for i in range(len(self)) if i not in skipped]
        return {"sizes": [sum(i % 2 == c for i in left) for c in (0, 1)]}


def test_facts_leave_out_what_cannot_be_read_also_when_the_store_is_there(tmp_path):
    listed = numbers(20, bad=(4, 6, 7))
    for decoded in (20, 0):
        source = Classes(listed.samples, listed.fields, info={"sizes": [10, 10]})
        store = build(tmp_path, source, max_bad=1.0)
        assert (source.decoded, store.bad_rows) == (decoded, [4, 6, 7])
        assert store.info == {"sizes": [8, 9], "count": 17}
    facts = json.loads((store.path / "store.json").read_text())
    for name in ("bad_rows", "sums", "check"):  # a store from an older polygan names the samples only
        del facts[name]
    for bad, sizes in ((facts["bad"], [8, 9]), (["gone.png: broken"] * 3, [10, 10])):
        (store.path / "store.json").write_text(json.dumps({**facts, "bad": bad}))
        assert build(tmp_path, source, max_bad=1.0).info["sizes"] == sizes
    whole = Classes(numbers(20).samples, listed.fields, key="whole", info={"sizes": [10, 10]})
    assert build(tmp_path, whole).info == {"sizes": [10, 10], "count": 20}


def test_a_share_too_large_is_an_error_also_for_a_store_that_is_there(tmp_path):
    source = numbers(10, bad=(1, 2))
    with pytest.raises(
        DataError, match=r"2 of 10 samples of 'mine' cannot be read, more than data.max_bad = 0.1 allows"
    ):
        build(tmp_path, source)
    assert list((tmp_path / "stores").iterdir()) == []
    assert len(build(tmp_path, source, max_bad=0.2)) == 8
    with pytest.raises(DataError, match=r"raise --data.max_bad"):
        build(tmp_path, source)


def test_a_hopeless_source_ends_early(tmp_path):
    source = numbers(200_000, bad=range(200_000))
    with pytest.raises(DataError, match="of 200000 samples of 'mine' cannot be read"):
        build(tmp_path, source)
    assert source.decoded < 100_000


def test_nothing_readable_or_nothing_there(tmp_path):
    with pytest.raises(
        DataError, match=r"none of the 3 samples of 'mine' can be read \(file0.png: cannot identify it;"
    ):
        build(tmp_path, numbers(3, bad=range(3)), max_bad=1.0)
    with pytest.raises(DataError, match="'mine' is empty"):
        build(tmp_path, numbers(0))


# Full disks, leftovers, several builders


def test_no_space(tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"\(No space left on device\): free some space or name another folder"):
        build(tmp_path, numbers(10))
    assert list((tmp_path / "stores").iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be kept in .*name a folder that can be written with --data.cache"):
        build(tmp_path / "file", numbers(10))


def test_leftovers_of_dead_builds_are_swept_and_living_ones_are_not(tmp_path):
    stores = tmp_path / "stores"
    for name in ("dead", "alive", "writing"):
        folder = stores / f".building-{name}"
        folder.mkdir(parents=True)
        (folder / "x.npy").write_bytes(b"half")
        if name != "alive":
            os.utime(folder, (1, 1))
        if name == "dead":
            os.utime(folder / "x.npy", (1, 1))
    build(tmp_path, numbers(3))
    assert sorted(p.name for p in leftovers(tmp_path)) == [".building-alive", ".building-writing"]


WORKER = """
import sys, time
from pathlib import Path

import numpy as np

from polygan.data import build_store
from polygan.data.source import DataSettings, Field, Source

cache, name = Path(sys.argv[1]), sys.argv[2]


class Slow(Source):
    fields = {"x": Field("int32", (3,))}
    info = {}

    def __len__(self):
        return 400

    def fingerprint(self):
        return "slow"

    def decode(self, index):
        if index == 0:
            (cache / f"{name}.started").touch()
            deadline = time.monotonic() + 60
            while len(list(cache.glob("*.started"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.005)
        return {"x": np.full(3, index, np.int32)}


mode = sys.argv[3]
if mode == "limit":
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    (cache / "other.started").touch()
store = build_store(Slow(), DataSettings(cache=str(cache)), progress=False)
assert [int(v) for v in store.gather("x", np.arange(400))[:, 0]] == list(range(400))
print(store.path)
"""


def start(tmp_path, name, mode="race"):
    script = tmp_path / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    command = [sys.executable, str(script), str(tmp_path), name, mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_build_one_store_at_once(tmp_path):
    processes = [start(tmp_path, name) for name in ("a", "b")]
    told = [p.communicate(timeout=120) for p in processes]
    assert [p.returncode for p in processes] == [0, 0], told
    assert told[0][0] == told[1][0]
    assert len(list(tmp_path.glob("*.started"))) == 2  # both did decode
    assert [str(p) for p in (tmp_path / "stores").iterdir()] == [told[0][0].strip()]


@pytest.mark.skipif(os.name == "nt", reason="limits of file size are POSIX")
def test_files_that_cannot_grow(tmp_path):
    process = start(tmp_path, "a", "limit")
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "(File too large): free some space or name another folder with --data.cache" in told.splitlines()[-1]
    assert list((tmp_path / "stores").iterdir()) == []


def test_threads_of_one_process_may_build_the_same_store(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: build(tmp_path, numbers(500)), range(4)))
    assert len({s.path for s in stores}) == 1
    assert leftovers(tmp_path) == []


# The names of samples


class InFolder(Listed):
    """Samples that are files."""

    def __init__(self, place, n, bad=()):
        super().__init__(numbers(n, bad).samples, BYTES, key=str(place))
        self.place = place

    def name(self, index):
        return os.path.join(self.place, "wavs", f"{index}.flac") + (" from 0.0 to 2.0 s" if index == 1 else "")


def names_in(store):
    return Split(store, np.arange(len(store)), "all").origins(np.arange(len(store)))


@pytest.mark.parametrize("slash", ["", os.sep])
def test_names_begin_at_the_folder_of_the_data_and_skipped_samples_have_none(slash, tmp_path):
    place = str(tmp_path / "speech")
    store = build_store(InFolder(place, 20, bad=[0, 7]), setting(tmp_path, source=place + slash), progress=False)
    rows = np.array([17, 0, 5, 6])
    assert names_in(store) == [f"wavs/{i}.flac" + " from 0.0 to 2.0 s" * (i == 1) for i in range(20) if i not in (0, 7)]
    assert Split(store, rows, "some").origins(rows) == [
        "wavs/19.flac",
        "wavs/1.flac from 0.0 to 2.0 s",
        "wavs/6.flac",
        "wavs/8.flac",
    ]
    again = build_store(InFolder(place, 20, bad=[0, 7]), setting(tmp_path, source=place), progress=False)
    assert names_in(again) == names_in(store)


def test_names_of_files_elsewhere_tell_nothing_of_the_machine(tmp_path, monkeypatch):
    away = InFolder(str(tmp_path / "private" / "speech"), 3)
    assert names_in(build_store(away, setting(tmp_path, source="mine"), progress=False))[0] == "0.flac"
    table = InFolder(str(tmp_path / "speech"), 3)
    assert (
        names_in(build_store(table, setting(tmp_path, source=str(tmp_path / "table.csv")), progress=False))[0]
        == "speech/wavs/0.flac"
    )
    monkeypatch.chdir(tmp_path)
    here = InFolder("recordings", 3)
    assert names_in(build_store(here, setting(tmp_path, source="./recordings"), progress=False))[0] == "wavs/0.flac"


def test_samples_that_are_numbered_have_no_names_and_neither_has_a_store_of_before(tmp_path):
    class Numbered(Listed):
        name = Source.name

    plain = build(tmp_path, Numbered(numbers(4).samples, BYTES, key="numbered"))
    assert names_in(plain) == []
    named = build(tmp_path, numbers(4))
    assert names_in(named)[3] == "file3.png"
    (kept,) = named.path.glob("names*")
    kept.unlink()
    before = build(tmp_path, numbers(4))
    assert names_in(before) == []
    assert before.content == named.content
