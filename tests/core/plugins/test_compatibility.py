"""Plugins of another version of the contract: older ones load, newer and much older ones are refused by name."""

from __future__ import annotations

import importlib
import sys
import types
from functools import partial
from importlib import metadata

import pytest

from polygan import PluginError, hookspecs
from polygan.plugins import discovery, load_catalogue

CODE = """
from polygan import RecipeSpec, hookimpl

heard = []

@hookimpl
def polygan_recipes():
    return [RecipeSpec("music/band", "{module}:Band", "plays")]

@hookimpl
def polygan_saved(event):
    heard.append(event)
"""
NEXT = """
@hookimpl(optionalhook=True)
def polygan_pruned(event, kept): pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution ``NAME 1.0`` whose module says ``POLYGAN_API = api`` (None: says nothing)."""
    monkeypatch.syspath_prepend(str(tmp_path))
    found = partial(metadata.distributions, path=[str(tmp_path)])

    def entry_points(group):
        return metadata.EntryPoints(e for dist in found() for e in dist.entry_points).select(group=group)

    monkeypatch.setattr(discovery, "distributions", found)
    monkeypatch.setattr(discovery, "entry_points", entry_points)
    modules = []

    def write(name, api=None, code=CODE):
        module = f"written_for_{api}_{name}"
        says = "" if api is None else f"POLYGAN_API = {api!r}\n"
        (tmp_path / f"{module}.py").write_text(says + code.replace("{module}", module))
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[polygan]\n{name} = {module}\n")
        importlib.invalidate_caches()
        modules.append(module)
        return module

    yield write
    for module in modules:
        sys.modules.pop(module, None)


def versions(monkeypatch, newest, oldest=1):
    monkeypatch.setattr(discovery, "API_VERSION", newest)
    monkeypatch.setattr(discovery, "OLDEST_API", oldest)


def evolved(monkeypatch, **specs):
    """The contract of another version: today's hooks, with those of ``specs`` in their place or added."""
    changed = types.ModuleType("later_hookspecs")
    vars(changed).update({name: value for name, value in vars(hookspecs).items() if name.startswith("polygan_")})
    vars(changed).update(specs)
    monkeypatch.setattr(discovery, "hookspecs", changed)
    monkeypatch.setattr(discovery, "HOOKS", [n for n in vars(changed) if n.startswith("polygan_")])


def only():
    (status,) = load_catalogue().plugins
    return status


@pytest.mark.parametrize("api", [None, 1, 2, 3])
@pytest.mark.parametrize("newest", [1, 2, 3])
def test_each_api_up_to_the_newest_loads_and_a_later_one_is_refused(install, monkeypatch, api, newest):
    versions(monkeypatch, newest)
    install("music", api)
    status = only()
    if api is None or api <= newest:
        assert (status.status, status.reason) == ("loaded", "")
        assert status.provides == {"recipes": 1, "events": 1}
    else:
        remedy = f"asks for plugin API {api}, this polygan has {newest}: pip install --upgrade polygan"
        assert (status.status, status.reason) == ("failed", remedy)


def test_one_that_is_too_old_is_refused_by_name_and_the_others_load(install, monkeypatch):
    versions(monkeypatch, newest=3, oldest=2)
    install("ancient", 1)
    install("music", 2)
    ancient, music = load_catalogue().plugins
    line = "written for plugin API 1, this polygan needs at least 2: upgrade the plugin"
    assert (ancient.status, ancient.reason, music.status) == ("failed", line, "loaded")
    with pytest.raises(PluginError) as raised:
        load_catalogue(strict=True)
    assert str(raised.value) == f"plugin 'ancient' (ancient 1.0): {line}"


def test_both_bounds_are_the_contracts_own(install):
    install("zero", hookspecs.OLDEST_API - 1)
    assert f"needs at least {hookspecs.OLDEST_API}: upgrade the plugin" in only().reason


def test_an_older_plugin_is_told_of_events_that_gained_an_argument(install, monkeypatch):
    def polygan_saved(event, checkpoint, reason): ...

    versions(monkeypatch, 2)
    evolved(monkeypatch, polygan_saved=hookspecs.hookspec(polygan_saved))
    module = install("music", 1)
    load_catalogue(strict=True).emit("polygan_saved", event="an event", checkpoint=None, reason="best")
    assert sys.modules[module].heard == ["an event"]


def test_a_plugin_of_the_next_api_may_bring_its_hooks_as_optional(install, monkeypatch):
    module = install("music", hookspecs.API_VERSION, CODE + NEXT)
    assert (only().status, only().provides["events"]) == ("loaded", 1)

    def polygan_pruned(event, kept): ...

    evolved(monkeypatch, polygan_pruned=hookspecs.hookspec(polygan_pruned))
    assert only().provides["events"] == 2  # heard once polygan has the hook
    assert module in sys.modules


def test_without_the_option_a_hook_of_the_next_api_is_refused(install):
    install("music", hookspecs.API_VERSION, CODE + NEXT.replace("(optionalhook=True)", ""))
    assert "implements an unknown hook 'polygan_pruned'" in only().reason


def test_a_deprecated_hook_loads_and_is_told(install, monkeypatch):
    spec = hookspecs.hookspec(warn_on_impl=DeprecationWarning("polygan_saved ends with API 3:\n use polygan_kept"))

    def polygan_saved(event, checkpoint): ...

    versions(monkeypatch, 2)
    evolved(monkeypatch, polygan_saved=spec(polygan_saved))
    module = install("music", 1)
    catalogue = load_catalogue(strict=True)
    (status,) = catalogue.plugins
    assert (status.status, status.reason) == ("loaded", "polygan_saved ends with API 3: use polygan_kept")
    catalogue.emit("polygan_saved", event=1, checkpoint=None)
    assert sys.modules[module].heard == [1]


def test_a_deprecated_argument_is_told_to_those_who_use_it(install, monkeypatch):
    message = "polygan_saved: argument 'event' ends with API 3, use 'run'"
    spec = hookspecs.hookspec(warn_on_impl_args={"event": DeprecationWarning(message)})

    def polygan_saved(event, run, checkpoint): ...

    versions(monkeypatch, 2)
    evolved(monkeypatch, polygan_saved=spec(polygan_saved))
    install("music", 1)
    install("zz", 2, CODE.replace("event", "run").replace("music/band", "music/choir"))
    assert [(status.status, status.reason) for status in load_catalogue().plugins] == [
        ("loaded", message),
        ("loaded", ""),
    ]


def test_an_argument_that_is_gone_is_refused_with_its_name(install, monkeypatch):
    def polygan_saved(run, checkpoint): ...

    versions(monkeypatch, 2)
    evolved(monkeypatch, polygan_saved=hookspecs.hookspec(polygan_saved))
    install("music", 1)
    assert only().status == "failed"
    assert "polygan_saved" in only().reason
    assert "event" in only().reason
