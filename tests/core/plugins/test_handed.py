"""Plugins that a script hands in: modules, objects and files, without entry points."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
import toy_runs

import polygan
from polygan.plugins import add_plugins, get_catalogue, load_catalogue, set_catalogue

TOY = Path(__file__).parents[2] / "toy_gan.py"


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    """No plugin at all, and an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    set_catalogue(load_catalogue(allow=[]))
    yield
    set_catalogue(None)


class Heard:
    def __init__(self):
        self.ends = []

    @polygan.hookimpl
    def polygan_run_ended(self, event, status):
        self.ends.append((event.step, status))


def command(name, owner):
    """A module with one command."""
    module = ModuleType(owner)
    module.polygan_commands = polygan.hookimpl(
        lambda: [polygan.CommandSpec(name, "a command", f"{owner}:run")], specname="polygan_commands"
    )
    return module


@pytest.mark.parametrize("kind", ["module", "file", "path"])
def test_a_run_with_a_plugin_of_the_script_is_trained_resumed_and_loaded(kind, monkeypatch):
    monkeypatch.syspath_prepend(str(TOY.parent))
    import toy_gan

    plugin = {"module": toy_gan, "file": str(TOY), "path": TOY}[kind]
    heard = Heard()
    run = toy_runs.train(steps=2, batch_size=8, name="toy", plugins=[plugin, heard])
    assert run.step == 2
    assert json.loads(Path("runs/toy/environment.json").read_text())["plugin_files"]["toy_gan"]["file"] == "toy_gan.py"
    assert len(polygan.load("runs/toy").generate(3)) == 3  # this process has the plugin already
    assert polygan.resume("runs/toy", steps=3, plugins=[plugin, heard], quiet=True).step == 3
    assert heard.ends == [(2, "finished"), (3, "finished")]  # once each, though handed in twice
    set_catalogue(load_catalogue(allow=[]))
    with pytest.raises(polygan.ConfigError, match="no recipe 'points/mlp'"):
        polygan.load("runs/toy")
    assert polygan.load("runs/toy", plugins=[plugin]).step == 3


def test_two_plugins_with_one_command_are_both_named_and_the_first_stays():
    first, second = command("dream", "sleepers"), command("dream", "dreamers")
    add_plugins([first, first])
    said = (
        r"plugin 'dreamers' \(dreamers\): command 'dream' is already registered by plugin 'sleepers' \(sleepers\): "
        "rename one, or leave one plugin out"
    )
    with pytest.raises(polygan.PluginError, match=said):
        polygan.train("points/mlp", "ring", plugins=[second])
    assert get_catalogue().owner("command", "dream").name == "sleepers"
    assert [p.name for p in get_catalogue().plugins if p.status == "loaded"] == ["sleepers"]


def test_an_installed_plugin_is_not_loaded_twice(monkeypatch):
    installed = load_catalogue()
    set_catalogue(installed)
    count = len(installed.plugins)
    from polygan.record import tensorboard

    add_plugins([tensorboard])
    assert len(installed.plugins) == count


@pytest.mark.parametrize(
    ("plugins", "error", "said"),
    [
        (
            [SimpleNamespace()],
            polygan.PluginError,
            "plugin 'SimpleNamespace' .*implements no hook: decorate a function",
        ),
        (["gone.py"], polygan.PluginError, "plugin 'gone' .*it is missing: name a Python file"),
        ("my_gan.py", polygan.ConfigError, r"plugins = 'my_gan.py' is no list: write plugins=\[...\]"),
        (Heard(), polygan.ConfigError, "is no list"),
    ],
)
def test_what_is_no_plugin_is_refused_in_one_line(plugins, error, said):
    with pytest.raises(error, match=said):
        polygan.train("points/mlp", "ring", plugins=plugins)


def test_a_module_that_fails_stays_imported(monkeypatch):
    module = command("train", "mine")
    module.__file__ = "/x/mine.py"
    monkeypatch.setitem(sys.modules, "mine", module)
    with pytest.raises(
        polygan.PluginError, match="command 'train' is already registered by polygan itself: rename yours"
    ):
        add_plugins([module])
    assert sys.modules["mine"] is module
