"""The cache lies where the user says, else where the system keeps caches; an older place stays in use."""

from __future__ import annotations

import sys

import platformdirs
import pytest

from polygan.data.cache.folders import folder_of


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("POLYGAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def test_a_named_folder_comes_before_the_variable_and_the_variable_before_the_system(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    monkeypatch.setenv("POLYGAN_CACHE", "~/variable")
    assert folder_of(str(home / "named")) == home / "named"
    assert folder_of("") == home / "variable"


@pytest.mark.skipif(sys.platform != "linux", reason="the place on Linux")
def test_on_linux_the_place_is_as_ever_and_follows_xdg(home, monkeypatch):
    assert folder_of("") == home / ".cache" / "polygan"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert folder_of("") == home / "xdg" / "polygan"


def test_the_place_of_an_older_polygan_stays_in_use_until_the_new_one_exists(home, monkeypatch):
    new = home / "Library" / "Caches" / "polygan"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: new)
    assert folder_of("") == new
    (home / ".cache" / "polygan").mkdir(parents=True)
    assert folder_of("") == home / ".cache" / "polygan"
    new.mkdir(parents=True)
    assert folder_of("") == new
