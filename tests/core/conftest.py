"""The toys as the plugins of the process with an empty working folder; a folder of installed plugins, and a local plugin file."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))  # toy_runs and the toys are modules of this folder


@pytest.fixture
def toys(tmp_path, monkeypatch):
    from polygan.plugins import load_catalogue, set_catalogue

    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=[TESTS / "toy_gan.py"]))
    yield
    set_catalogue(None)


@pytest.fixture
def metrics(toys, monkeypatch):
    """Add metrics of points to the catalogue of the test: functions by name. The ids are returned."""
    import polygan
    from polygan.plugins import get_catalogue

    catalogue = get_catalogue()
    spread = catalogue.resolve(catalogue.metric("points/spread"))

    def add(**functions):
        for name, function in functions.items():
            monkeypatch.setitem(spread.__globals__, name, function)
            spec = polygan.MetricSpec(f"points/{name}", f"{spread.__module__}:{name}", "")
            monkeypatch.setitem(catalogue.metrics, spec.id, spec)
            monkeypatch.setitem(catalogue._owners, ("metric", spec.id), catalogue.owner("metric", "points/spread"))
        return tuple(f"points/{name}" for name in functions)

    return add


HEAD = "from polygan import DatasetSpec, DomainSpec, MetricSpec, RecipeSpec, hookimpl\n"


GOOD = """
@hookimpl
def polygan_domains():
    return [DomainSpec("music", "MODULE_impl:Music", "songs")]

@hookimpl
def polygan_recipes():
    return (RecipeSpec("music/band", "MODULE_impl:Band", "plays", tags=("fun",)),)

@hookimpl
def polygan_datasets():
    return [DatasetSpec("hits", "music", "MODULE_impl:hits", "songs that sell")]

@hookimpl
def polygan_metrics():
    return [MetricSpec("music/swing", "MODULE_impl:Scores.swing", "it don't mean a thing")]
"""


IMPL = """
from dataclasses import dataclass
from polygan import Domain, Recipe
class Music(Domain): pass
class Band(Recipe):
    domain = "music"
    @dataclass
    class Config:
        players: int = 4
def hits(settings): return settings
class Scores:
    def swing(evaluation): return []
number = 3
"""


class Site:
    """A folder of installed distributions, the only ones that are found."""

    HEAD, GOOD, IMPL = HEAD, GOOD, IMPL

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def only(catalogue):
        """The state of the only plugin."""
        (status,) = catalogue.plugins
        return status

    def install(self, dist: str, code: str, *, name: str = "", version: str = "1.0", value: str = "") -> str:
        """Install a distribution with one module and one entry point; returns the module's name."""
        module = f"fake_{dist.replace('-', '_')}"
        (self.root / f"{module}.py").write_text(HEAD + dedent(code).replace("MODULE", module))
        info = self.root / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[polygan]\n{name or dist} = {value or module}\n")
        importlib.invalidate_caches()
        return module


@pytest.fixture
def site(tmp_path, monkeypatch):
    from polygan.plugins import discovery

    root = tmp_path / "site"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    found = partial(metadata.distributions, path=[str(root)])

    def entry_points(group):
        entries = metadata.EntryPoints(entry for dist in found() for entry in dist.entry_points)
        return entries.select(group=group)

    monkeypatch.setattr(discovery, "distributions", found)
    monkeypatch.setattr(discovery, "entry_points", entry_points)
    yield Site(root)
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def my_gan(site, tmp_path):
    path = tmp_path / "my_gan.py"
    path.write_text(HEAD + GOOD.replace("MODULE_impl", "my_gan") + IMPL)
    return path
