"""Names with a scheme: what is a path, who brings a model, and what a plugin may return."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import polygan
from polygan.plugins import find, load_catalogue, scheme_of, set_catalogue

SHELF = """
from pathlib import Path
import polygan

@polygan.hookimpl
def polygan_schemes():
    return [polygan.SchemeSpec("shelf", "models of our group", "shelf:fetch")]

def fetch(name):
    if name == "odd":
        return name
    if name == "none":
        raise polygan.DataError("the shelf is empty; fill it")
    return polygan.Fetched(Path("shelf") / name, f"{name.partition('@')[0]}@7")
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shelf.py").write_text(SHELF)
    set_catalogue(load_catalogue(allow=[], files=[tmp_path / "shelf.py"]))
    yield tmp_path
    set_catalogue(None)
    for name in ("shelf", "other"):
        sys.modules.pop(name, None)


def test_a_name_with_a_scheme_is_fetched_and_has_a_name_that_finds_the_same_again(shelf):
    assert find("shelf:ann/cats@v2") == (Path("shelf/ann/cats@v2"), Path("cats"), "shelf:ann/cats@7")


@pytest.mark.parametrize("name", ["runs/x", "C:/runs/x", "a.safetensors", "x:", ":x", "Shelf:x", Path("shelf:x")])
def test_everything_else_is_a_path(name, shelf):
    assert scheme_of(name) == ""
    assert find(name).path == Path(name)


def test_a_file_that_exists_is_a_path_whatever_its_name(shelf):
    Path("shelf:x").write_text("")
    assert find("shelf:x") == (Path("shelf:x"), Path("shelf:x"), "shelf:x")
    assert find("a/b.safetensors").folder == Path("a/b")


def test_what_the_plugin_raises_passes_and_another_answer_names_the_plugin(shelf):
    with pytest.raises(polygan.DataError, match="the shelf is empty; fill it"):
        find("shelf:none")
    with pytest.raises(
        polygan.PluginError, match=r"scheme 'shelf' of plugin 'shelf' .* returned 'odd': return a polygan.Fetched"
    ):
        find("shelf:odd")


def test_a_scheme_that_no_plugin_has_says_what_to_install(shelf):
    with pytest.raises(polygan.ConfigError, match="no plugin brings models of 'hf': pip install polygan-hub"):
        polygan.load("hf:me/x")
    with pytest.raises(polygan.ConfigError, match=r"models of 'shelv' \(did you mean 'shelf'\?\): name a path"):
        find("shelv:x")


@pytest.mark.parametrize("scheme", ["s", "Shelf", "a:b", "", "4x"])
def test_a_scheme_that_could_be_a_path_is_refused(scheme, shelf):
    (shelf / "other.py").write_text(SHELF.replace('SchemeSpec("shelf"', f"SchemeSpec({scheme!r}"))
    with pytest.raises(polygan.PluginError, match="use a name of two or more characters"):
        load_catalogue(allow=[], files=[shelf / "other.py"])


def test_a_scheme_belongs_to_one_plugin(shelf):
    (shelf / "other.py").write_text(SHELF)
    with pytest.raises(polygan.PluginError, match="scheme 'shelf' is already registered by plugin 'shelf'"):
        load_catalogue(allow=[], files=[shelf / "shelf.py", shelf / "other.py"])
