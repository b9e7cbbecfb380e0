"""The overview of the cache names what polygan keeps, and removes nothing that is in use or that others made."""

from __future__ import annotations

import json
import os
import time

import pytest
from listed_source import build, numbers, setting

from polygan.data import remembered
from polygan.data.cache.building import Building
from polygan.data.cache.overview import kept_in


@pytest.fixture
def cache(tmp_path):
    store = build(tmp_path, numbers(20))
    remembered(setting(tmp_path), "sizes", lambda: [1, 2])
    (tmp_path / f"image-features-{'a' * 64}.safetensors").write_bytes(b"x" * 5000)
    (tmp_path / "thesis.safetensors").write_text("mine")
    (tmp_path / "stores/notes").mkdir()
    (tmp_path / "learned/notes.txt").write_text("mine")
    return tmp_path, store


def test_each_thing_is_named_with_size_and_last_use(cache):
    folder, store = cache
    assert [(k.kind, k.what) for k in kept_in(folder)] == [
        ("for scores", "image-features"),
        ("decoded data", "20 samples of mine"),
        ("learned facts", "1 sources"),
    ]
    for path in store.path.iterdir():
        os.utime(path, (1000, 1000))
    build(folder, numbers(20))  # opening a store is a use
    decoded = kept_in(folder)[1]
    assert time.time() - decoded.used < 60
    assert decoded.size == sum(p.stat().st_size for p in store.path.iterdir())
    assert json.loads(json.dumps(decoded.plain()))["in_use"] is True


def test_models_that_plugins_fetched_are_listed_and_removed(tmp_path):
    place = tmp_path / "fetched/hf/me/x"
    place.mkdir(parents=True)
    for name in ("abc.safetensors", "notes.txt"):
        (place / name).write_bytes(b"x" * 7)
    (place / "link.safetensors").symlink_to(place / "notes.txt")
    (kept,) = kept_in(tmp_path)
    assert (kept.kind, kept.what, kept.size) == ("fetched model", "hf/me/x/abc", 7)
    assert kept.remove()
    assert sorted(p.name for p in place.iterdir()) == ["link.safetensors", "notes.txt"]


def test_what_is_in_use_stays_and_what_others_made_too(cache):
    folder, store = cache
    alive = Building(folder / "stores", "b" * 32, numbers(1).fields)
    assert [kept.remove() for kept in kept_in(folder)].count(False) == 2
    assert store.path.exists()
    assert alive.folder.exists()
    assert store.gather("x", __import__("numpy").arange(20)).shape == (20, 2)
    store._lock.close()
    alive.leave(keep=True)
    assert all(kept.remove() for kept in kept_in(folder))
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) == [
        "learned",
        "learned/notes.txt",
        "stores",
        "stores/notes",
        "thesis.safetensors",
    ]


def test_an_empty_and_a_missing_cache_hold_nothing(tmp_path):
    assert kept_in(tmp_path) == kept_in(tmp_path / "absent") == []


def test_a_link_to_a_folder_is_no_store(tmp_path, cache):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "store.json").write_text("{}")
    os.symlink(elsewhere, tmp_path / "stores" / ("c" * 32))
    for kept in kept_in(tmp_path):
        kept.remove()
    assert (elsewhere / "store.json").exists()
