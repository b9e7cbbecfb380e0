"""Loading plugins: what a stranger's package can do wrong is one line with its name, and never stops the rest."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import threading
import time
from functools import partial
from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest

from polygan import API_VERSION, ConfigError, DomainSpec, PluginError, RecipeSpec
from polygan.plugins import Catalogue, discovery, get_catalogue, load_catalogue, set_catalogue
from polygan.plugins import catalogue as plugins_module

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

    def __init__(self, root: Path) -> None:
        self.root = root

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


def only(catalogue: Catalogue):
    (status,) = catalogue.plugins
    return status


def test_a_good_plugin_is_listed_with_what_it_provides(site):
    module = site.install("music", GOOD, version="2.3")
    catalogue = load_catalogue()
    status = only(catalogue)
    assert (status.name, status.module, status.distribution, status.version) == ("music", module, "music", "2.3")
    assert (status.status, status.reason) == ("loaded", "")
    assert status.provides == {"domains": 1, "recipes": 1, "datasets": 1, "metrics": 1}
    assert catalogue.domain("music").summary == "songs"
    assert catalogue.recipe("music/band").tags == ("fun",)
    assert catalogue.dataset("hits").domain == "music"
    assert catalogue.metric("music/swing").id == "music/swing"
    kinds = {"domain": "music", "recipe": "music/band", "dataset": "hits", "metric": "music/swing"}
    assert all(catalogue.owner(kind, id) is status for kind, id in kinds.items())
    assert f"{module}_impl" not in sys.modules  # listing imports no networks


FAILURES = {
    "raises at import": ("raise ValueError('bo\\nom')", ["ValueError: bo om at ", "broken.py:2", "--no-plugin"]),
    "exits at import": ("import sys; sys.exit(3)", ["SystemExit: 3", "--no-plugin"]),
    "syntax": ("def (:", ["SyntaxError", "broken.py:2"]),
    "missing package": ("import PIL_of_nobody", ["'PIL_of_nobody' is not installed: pip install PIL_of_nobody"]),
    "missing submodule": ("import json.nothing", ["the installed 'json' has no module 'json.nothing'"]),
    "newer API": (
        f"POLYGAN_API = {API_VERSION + 1}\nimport os",
        [f"API {API_VERSION + 1}", f"has {API_VERSION}", "upgrade polygan"],
    ),
    "API no integer": ("POLYGAN_API = '1'", ["POLYGAN_API is '1'", f"set POLYGAN_API = {API_VERSION}"]),
    "unknown hook": (
        "@hookimpl\ndef polygan_recipe(): return []",
        ["'polygan_recipe'", "did you mean 'polygan_recipes'?"],
    ),
    "wrong argument": ("@hookimpl\ndef polygan_logged(evnt): pass", ["polygan_logged", "evnt", "polygan.hookspecs"]),
    "generator": ("@hookimpl\ndef polygan_logged(event): yield", ["polygan_logged is a generator"]),
    "coroutine": ("@hookimpl\nasync def polygan_logged(event): pass", ["or a coroutine"]),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef polygan_recipes():\n  return (yield)",
        ["polygan_recipes is a generator"],
    ),
    "no hook": ("x = 1", ["implements no hook", "@polygan.hookimpl"]),
    "no marker": ("def polygan_recipes(): return []", ["polygan_recipes", "add @polygan.hookimpl"]),
    "hook raises": ("@hookimpl\ndef polygan_recipes(): raise KeyError('k')", ["KeyError: 'k' at ", "broken.py:3"]),
    "hook exits": ("@hookimpl\ndef polygan_recipes(): raise SystemExit", ["SystemExit at"]),
    "returns None": (
        "@hookimpl\ndef polygan_recipes(): pass",
        ["polygan_recipes() returned None", "list of RecipeSpec"],
    ),
    "returns a spec": ("@hookimpl\ndef polygan_domains(): return DomainSpec('a', 'b:c', '')", ["returned DomainSpec"]),
    "returns text": ("@hookimpl\ndef polygan_domains(): return 'ab'", ["returned str"]),
    "returns strings": ("@hookimpl\ndef polygan_metrics(): return ['ab']", ["a list with 'ab': return MetricSpec"]),
    "other spec": (
        "@hookimpl\ndef polygan_recipes(): return [DomainSpec('a', 'b:c', '')]",
        ["return RecipeSpec objects"],
    ),
    "id of a number": (
        "@hookimpl\ndef polygan_domains(): return [DomainSpec(3, 'b:c', '')]",
        ["id of 3 is 3", "string"],
    ),
    "tags of a string": (
        "@hookimpl\ndef polygan_recipes(): return [RecipeSpec('a/b', 'b:c', '', tags=('fun'))]",
        ["tags of 'a/b' are 'fun'", "tuple"],
    ),
    "target without attribute": (
        "@hookimpl\ndef polygan_domains(): return [DomainSpec('a', 'b.c', '')]",
        ["'b.c'", "'module:name'"],
    ),
    "same id twice": (
        "@hookimpl\ndef polygan_domains(): return [DomainSpec('a', 'b:c', ''), DomainSpec('a', 'b:d', '')]",
        ["registers 'a' twice"],
    ),
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("code", "expected"), FAILURES.values(), ids=FAILURES)
def test_each_failure_names_cause_and_remedy_and_stops_nothing(site, monkeypatch, code, expected, strict):
    site.install("broken", code)
    site.install("zz-music", GOOD)
    if strict:
        monkeypatch.setenv("POLYGAN_STRICT", "1")
        with pytest.raises(PluginError) as raised:
            load_catalogue()
        assert str(raised.value).startswith("plugin 'broken' (broken 1.0): ")
        reason = str(raised.value)
    else:
        failed, loaded = load_catalogue().plugins
        assert (failed.name, failed.distribution, failed.version, failed.status) == (
            "broken",
            "broken",
            "1.0",
            "failed",
        )
        assert (loaded.name, loaded.status, failed.provides) == ("zz-music", "loaded", {})
        reason = failed.reason
    assert "\n" not in reason
    assert [part for part in expected if part not in reason] == [], reason


@pytest.mark.parametrize("id", ["band", "music/", "/band", "a/b/c", "music/my band", "music/../x", "Music/Band", ""])
@pytest.mark.parametrize("kind", ["Recipe", "Metric"])
def test_ids_of_recipes_and_metrics_are_domain_and_name(site, kind, id):
    site.install("broken", f"@hookimpl\ndef polygan_{kind.lower()}s(): return [{kind}Spec({id!r}, 'a:b', '')]")
    assert f"id {id!r} is not allowed: use domain/name" in only(load_catalogue()).reason


@pytest.mark.parametrize("id", ["music/x", "..", "a b", "-a", "Music"])
def test_ids_of_domains_are_one_name(site, id):
    site.install("broken", f"@hookimpl\ndef polygan_domains(): return [DomainSpec({id!r}, 'a:b', '')]")
    assert f"id {id!r} is not allowed: use one name" in only(load_catalogue()).reason


def test_an_entry_point_without_its_module_or_attribute_fails(site):
    site.install("music", GOOD, value="fake_musik")
    site.install("noise", GOOD, value="fake_noise:plugin")
    music, noise = load_catalogue().plugins
    assert "there is no module 'fake_musik': correct the import string" in music.reason
    assert "no attribute 'plugin'" in noise.reason
    assert (music.status, noise.status) == ("failed", "failed")


def test_malformed_metadata_of_one_distribution_hides_no_plugin(site, capsys):
    site.install("music", GOOD)
    for name, text in {"bad": "[polygan]\nfoo bar\n", "other": "[console_scripts]\nfoo bar\n"}.items():
        info = site.root / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(text)
    bad, music = load_catalogue().plugins
    assert (bad.name, bad.status, music.status) == ("bad", "failed", "loaded")
    assert "entry_points.txt is malformed: install bad again" in bad.reason
    said = capsys.readouterr().err
    for name in ("bad", "other"):
        assert f"distribution {name!r}: its entry_points.txt is malformed: install {name} again (" in said
    with pytest.raises(PluginError, match=r"plugin 'bad' \(bad 1.0\): its entry_points.txt is malformed"):
        load_catalogue(strict=True)


def test_metadata_that_is_no_text_hides_no_plugin(site):
    site.install("music", GOOD)
    site.install("noise", GOOD)
    (site.root / "noise-1.0.dist-info" / "entry_points.txt").write_bytes(b"[polygan]\n\xff\xfe = x\n")
    (site.root / "music-1.0.dist-info" / "METADATA").write_bytes(b"Name: \xff\n")
    music, noise = load_catalogue().plugins
    assert (music.status, music.distribution) == ("loaded", "unknown")
    assert (noise.name, noise.status) == ("noise", "failed")
    assert "entry_points.txt is malformed: install noise again (UnicodeDecodeError" in noise.reason


def test_missing_metadata_is_no_failure(site):
    site.install("music", GOOD)
    (site.root / "music-1.0.dist-info" / "METADATA").unlink()
    assert (only(load_catalogue()).status, only(load_catalogue()).distribution) == ("loaded", "unknown")


def test_a_duplicate_id_refuses_the_later_plugin_as_a_whole(site):
    site.install("amusic", GOOD)
    site.install("bmusic", GOOD.replace('"music"', '"tunes"').replace('"hits"', '"charts"'), version="7")
    catalogue = load_catalogue()
    first, second = catalogue.plugins
    assert (first.status, second.status, second.name) == ("loaded", "failed", "bmusic")
    assert "recipe 'music/band' is already registered by plugin 'amusic' (amusic 1.0): rename one" in second.reason
    assert (list(catalogue.domains), list(catalogue.datasets)) == (["music"], ["hits"])  # nothing of the second
    assert catalogue.recipe("music/band").target.startswith("fake_amusic")


def test_same_entry_point_name_in_two_distributions(site):
    site.install("one", GOOD, name="music")
    site.install("two", GOOD.replace("music", "noise").replace("hits", "booms"), name="music")
    catalogue = load_catalogue()
    assert [(p.name, p.status) for p in catalogue.plugins] == [("music (one)", "loaded"), ("music (two)", "loaded")]
    assert [p.status for p in load_catalogue(disabled=["music (two)"]).plugins] == ["loaded", "disabled"]
    assert [p.status for p in load_catalogue(disabled=["music"]).plugins] == ["disabled", "disabled"]


def test_optional_hooks_of_a_later_api_are_allowed(site):
    site.install("music", GOOD + "\n@hookimpl(optionalhook=True)\ndef polygan_dreamt(event): pass\n")
    assert (only(load_catalogue()).status, "events" in only(load_catalogue()).provides) == ("loaded", False)


def test_an_unmarked_hook_beside_marked_ones_is_a_warning(site):
    site.install("music", GOOD + "\ndef polygan_logged(event): pass\n")
    status = only(load_catalogue())
    assert status.status == "loaded"
    assert status.reason == "not marked as a hook and ignored: polygan_logged; add @polygan.hookimpl"


def test_what_a_plugin_prints_goes_to_stderr(site, capsys):
    loud = GOOD.replace("return [DomainSpec", "print('in a hook')\n    return [DomainSpec")
    module = site.install("music", "print('at import')\n" + loud)
    (site.root / f"{module}_impl.py").write_text("print('at use')\n" + IMPL)
    catalogue = load_catalogue()
    catalogue.resolve(catalogue.recipe("music/band"))
    print("after")
    assert capsys.readouterr() == ("after\n", "at import\nin a hook\nat use\n")


@pytest.mark.parametrize("naps", [True, False])
def test_a_plugin_that_is_still_being_loaded_is_named_meanwhile(site, capsys, monkeypatch, naps):
    """The plugin itself waits until stderr names it, so that a line that comes afterwards is too late."""
    monkeypatch.setattr(discovery, "PATIENCE", 0.05 if naps else 30)
    named = threading.Event()
    stderr = sys.stderr

    class Seen:
        def write(self, text):
            stderr.write(text)
            if "still being loaded" in text:
                named.set()

        def flush(self):
            stderr.flush()

    monkeypatch.setattr(sys, "stderr", Seen())
    monkeypatch.setattr(sys, "named", named, raising=False)
    wait = "import sys\nassert sys.named.wait(20)\n" if naps else ""
    site.install("slow", wait + GOOD, version="3")
    status = only(load_catalogue())
    assert status.status == "loaded"
    line = (
        "plugin 'slow' (slow 3): still being loaded after 0.05 s; if it hangs, leave it out with --no-plugin 'slow'\n"
    )
    assert capsys.readouterr().err == (line if naps else "")
    assert ("s to load: do less at import" in status.reason) == naps


def test_a_plugin_that_fails_in_time_is_not_called_slow(site, capsys, monkeypatch):
    monkeypatch.setattr(discovery, "PATIENCE", 0.1)
    site.install("broken", "raise ValueError")
    load_catalogue()
    time.sleep(0.3)
    assert capsys.readouterr().err == ""


def test_a_local_file_may_import_torch_and_has_more_time(site, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    code = HEAD + GOOD.replace("MODULE_impl", "slow_gan")
    path = tmp_path / "slow_gan.py"
    path.write_text(f"import sys, time\nsys.modules['torch'] = sys\ntime.sleep(0.3)\n{code}")
    monkeypatch.setattr(discovery, "PATIENCE", 0.2)
    assert only(load_catalogue(files=[path])).reason == ""
    assert capsys.readouterr().err == ""
    del sys.modules["slow_gan"]
    monkeypatch.setattr(discovery, "PATIENCE", 0.01)
    assert re.fullmatch(r"took 0\.\d s to load: do less at import", only(load_catalogue(files=[path])).reason)
    line = f"plugin 'slow_gan' ({path}): still being loaded after 0.1 s; if it hangs, leave its --plugin out\n"
    assert capsys.readouterr().err == line


def test_the_plugin_that_imports_torch_is_told_so_and_no_other(site, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    other = GOOD.replace("music", "noise").replace("hits", "booms")
    site.install("amusic", GOOD)
    site.install("heavy", "import sys\nsys.modules['torch'] = sys\n" + other)
    site.install("tail", other.replace("noise", "tail").replace("booms", "ends"))
    reasons = [status.reason for status in load_catalogue().plugins]
    text = "imports torch, for which every command now waits: import it where the specs' targets are"
    assert reasons == ["", text, ""]


def test_disabled_and_not_allowed_plugins_are_never_imported(site, monkeypatch):
    music = site.install("music", GOOD)
    noise = site.install("noise", "raise ValueError")
    assert [(p.status, p.reason) for p in load_catalogue(disabled=["music", "noise"]).plugins] == [
        ("disabled", "--no-plugin")
    ] * 2
    assert [p.status for p in load_catalogue(allow=[]).plugins] == ["disabled"] * 2
    monkeypatch.setenv("POLYGAN_PLUGINS", "")
    assert [p.reason for p in load_catalogue(strict=True).plugins] == ["not in POLYGAN_PLUGINS"] * 2
    assert not {music, noise} & set(sys.modules)
    monkeypatch.setenv("POLYGAN_PLUGINS", " music ,")
    assert [p.status for p in load_catalogue(strict=True).plugins] == ["loaded", "disabled"]
    assert [p.status for p in load_catalogue(allow=["noise"]).plugins] == ["disabled", "failed"]  # over the variable


def test_unknown_names_are_errors_with_a_suggestion(site, monkeypatch):
    site.install("music", GOOD)
    with pytest.raises(
        ConfigError, match=r"--no-plugin: no plugin 'musik' \(did you mean 'music'\?\); installed: music"
    ):
        load_catalogue(disabled=["musik"])
    with pytest.raises(ConfigError, match="allow list: no plugin 'x'; installed: music"):
        load_catalogue(allow=["music", "x"])
    monkeypatch.setenv("POLYGAN_PLUGINS", "musci")
    with pytest.raises(ConfigError, match=r"POLYGAN_PLUGINS: no plugin 'musci' \(did you mean 'music'\?\)"):
        load_catalogue()


def test_strict_is_off_for_0_and_the_argument_wins(site, monkeypatch):
    site.install("broken", "x = 1")
    for value in ("0", ""):
        monkeypatch.setenv("POLYGAN_STRICT", value)
        assert not load_catalogue().strict
    with pytest.raises(PluginError):
        load_catalogue(strict=True)
    monkeypatch.setenv("POLYGAN_STRICT", "1")
    assert only(load_catalogue(strict=False)).status == "failed"


def test_keyboard_interrupt_passes(site):
    site.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_catalogue()


def test_a_miss_says_what_was_meant_and_what_is_not_loaded(site):
    site.install("music", GOOD)
    site.install("broken", "raise ValueError")
    site.install("silent", GOOD)
    catalogue = load_catalogue(disabled=["silent"])
    with pytest.raises(ConfigError) as raised:
        catalogue.recipe("music/bond")
    assert str(raised.value) == (
        "no recipe 'music/bond' (did you mean 'music/band'?); there are music/band; plugin 'broken' failed to load: "
        "see `polygan plugins`; plugin 'silent' disabled"
    )
    for find, id in ((catalogue.domain, "musik"), (catalogue.dataset, "hit"), (catalogue.metric, "swing")):
        with pytest.raises(ConfigError, match="did you mean"):
            find(id)
    with pytest.raises(ConfigError, match="no recipe 'x'"):
        catalogue.owner("recipe", "x")
    with pytest.raises(ConfigError, match=r"no kind 'recipes' \(did you mean 'recipe'\?\)"):
        catalogue.owner("recipes", "x")


def test_a_miss_among_none_and_among_many(site):
    with pytest.raises(ConfigError, match=r"no plugin that is loaded brings one: see `polygan plugins`$"):
        load_catalogue().recipe("music/band")
    site.install("many", "@hookimpl\ndef polygan_domains(): return [DomainSpec(f'd{i}', 'a:b', '') for i in range(9)]")
    with pytest.raises(ConfigError, match="there are 9 of them in `polygan list`"):
        load_catalogue().domain("music")


def test_resolve_imports_the_target(site):
    module = site.install("music", GOOD)
    (site.root / f"{module}_impl.py").write_text(IMPL)
    catalogue = load_catalogue()
    assert catalogue.resolve(catalogue.domain("music")).__name__ == "Music"
    assert catalogue.resolve(catalogue.recipe("music/band")).__name__ == "Band"
    assert catalogue.resolve(catalogue.dataset("hits"))(5) == 5
    assert catalogue.resolve(catalogue.metric("music/swing"))(None) == []


@pytest.mark.parametrize(
    ("impl", "expected"),
    [
        (None, "there is no module 'fake_music_impl': correct the import string"),
        ("", "AttributeError: module 'fake_music_impl' has no attribute 'Band'"),
        ("import nobody_has_this", "package 'nobody_has_this' is not installed: pip install nobody_has_this"),
        ("raise SystemExit('bye')", "SystemExit: bye at "),
        ("raise ValueError('boom')", "ValueError: boom at "),
        ("class Band: pass", "is not a subclass of polygan.Recipe: correct the spec's target"),
        ("def Band(): pass", "is not a subclass of polygan.Recipe: correct the spec's target"),
    ],
)
def test_resolve_names_spec_plugin_and_remedy(site, impl, expected):
    module = site.install("music", GOOD, version="4.5")
    if impl is not None:
        (site.root / f"{module}_impl.py").write_text(impl)
    catalogue = load_catalogue()
    with pytest.raises(PluginError) as raised:
        catalogue.resolve(catalogue.recipe("music/band"))
    message = str(raised.value)
    assert message.startswith("recipe 'music/band' of plugin 'music' (music 4.5): ")
    assert "'fake_music_impl:Band'" in message
    assert expected in message


SETTINGS = {
    "nothing": ("pass", "Band.Config is not a dataclass: decorate it"),
    "no dataclass": ("class Config: pass", "Band.Config is not a dataclass: decorate it with @dataclass(frozen=True)"),
    "no class": ("Config = 3", "Band.Config is not a dataclass"),
    "no type": (
        "@dataclass\n    class Config:\n        width = 8",
        "Band.Config.width has no type: write width: int = 8",
    ),
    "no default": (
        "@dataclass\n    class Config:\n        width: int",
        "Band.Config.width has no default: give it one",
    ),
    "a type that is not there": (
        "@dataclass\n    class Config:\n        width: 'Width' = 8",
        "the types of fake_music_impl:Band.Config cannot be read (NameError: name 'Width' is not defined)",
    ),
    "an object": (
        "@dataclass\n    class Config:\n        net: object = print",
        "Band.Config.net = <built-in function print> is not plain data: use numbers, text, booleans",
    ),
    "an object in a tuple": (
        "@dataclass\n    class Config:\n        nets: tuple = (1, {2, 3})",
        "Band.Config.nets = (1, {2, 3}) is not plain data",
    ),
    "a default of another type": (
        "@dataclass\n    class Config:\n        width: int = 'eight'",
        "Band.Config.width = 'eight' does not fit its type: correct the default or the type",
    ),
    "a default that is no choice": (
        "@dataclass\n    class Config:\n        loss: Literal['hinge'] = 'mse'",
        "Band.Config.loss = 'mse' does not fit its type",
    ),
    "defaults that it refuses": (
        "@dataclass\n    class Config:\n        width: int = 8\n        def __post_init__(self): raise ValueError('odd')",
        "Band.Config() raises ValueError: odd: correct its defaults",
    ),
    "no domain": ("@dataclass\n    class Config: pass\n    domain = None", "Band' names no domain: set domain = "),
    "options of sampling": (
        "@dataclass\n    class Config: pass\n    class Sampling: pass",
        "Band.Sampling is not a dataclass",
    ),
}


@pytest.mark.parametrize(("body", "expected"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_cannot_be_read_are_named_with_their_plugin_and_the_remedy(site, body, expected):
    module = site.install("music", GOOD, version="4.5")
    head = "from dataclasses import dataclass\nfrom typing import Literal\nfrom polygan import Recipe\n"
    (site.root / f"{module}_impl.py").write_text(f"{head}class Band(Recipe):\n    domain = 'music'\n    {body}\n")
    catalogue = load_catalogue()
    with pytest.raises(PluginError) as raised:
        catalogue.resolve(catalogue.recipe("music/band"))
    message = str(raised.value)
    assert message.startswith("recipe 'music/band' of plugin 'music' (music 4.5): ")
    assert "\n" not in message
    assert expected in message


def test_settings_of_a_domain_are_checked_and_sound_ones_of_every_kind_pass(site):
    module = site.install("music", GOOD)
    code = f"{IMPL}\nclass Plain: pass\nMusic.Settings = Plain\n"
    code += """
from pathlib import Path
from typing import Annotated, ClassVar, Literal
@dataclass(frozen=True)
class Inner:
    depth: int = 3
@dataclass(frozen=True, slots=True)
class Config:
    MOST: ClassVar[int] = 9
    rate: float = 1
    place: Path = Path()
    sizes: tuple[int, ...] = (1, 2)
    inner: Inner = Inner()
    loss: Literal["hinge", 3] = 3
    marked: Annotated[int, []] = 1
    none: str | None = None
    @property
    def twice(self): return 2 * self.rate
    def method(self): pass
Band.Config = Config
"""
    (site.root / f"{module}_impl.py").write_text(code)
    catalogue = load_catalogue()
    assert catalogue.resolve(catalogue.recipe("music/band")).Config.MOST == 9
    with pytest.raises(PluginError, match=r"domain 'music' of plugin .*Music.Settings is not a dataclass: decorate it"):
        catalogue.resolve(catalogue.domain("music"))


def test_resolve_of_a_spec_that_nobody_registered_and_of_a_value(site):
    with pytest.raises(PluginError, match="recipe 'a/b': cannot import 'no_such:C'"):
        Catalogue().resolve(RecipeSpec("a/b", "no_such:C", ""))
    with pytest.raises(PluginError, match=r"domain 'a': 'os:path' is not a subclass of polygan.Domain"):
        Catalogue().resolve(DomainSpec("a", "os:path", ""))


LISTENER = """
heard = []

@hookimpl
def polygan_logged(values):
    heard.append(dict(values))
    RAISE

@hookimpl
def polygan_run_ended(event, status):
    heard.append(status)
"""


def test_emit_tells_everyone_and_reports_each_fault_once(site, capsys):
    bad = site.install("bad", LISTENER.replace("RAISE", "raise ValueError('no\\ndisk')"))
    good = site.install("good", LISTENER.replace("RAISE", ""))
    catalogue = load_catalogue()
    assert [p.provides for p in catalogue.plugins] == [{"events": 2}] * 2
    for i in range(3):
        catalogue.emit("polygan_logged", event=None, values={"a": i})
    catalogue.emit("polygan_saved", event=None, checkpoint=None)  # that nobody listens to
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("plugin 'bad' (bad 1.0): polygan_logged raised ValueError: no disk at ")
    assert f"{bad}.py:8" in line
    catalogue.emit("polygan_run_ended", event=None, status="finished")
    assert capsys.readouterr().err == "plugin 'bad' (bad 1.0): polygan_logged raised 3 times\n"
    for module in (bad, good):
        assert sys.modules[module].heard == [{"a": 0}, {"a": 1}, {"a": 2}, "finished"]
    catalogue.emit("polygan_logged", event=None, values={})  # the next run of the process reports it again
    assert "no disk" in capsys.readouterr().err


def test_emit_strict_raises_and_interrupts_pass(site):
    site.install("bad", LISTENER.replace("RAISE", "raise ValueError('boom')"))
    with pytest.raises(PluginError, match=r"plugin 'bad' \(bad 1.0\): polygan_logged raised ValueError: boom at .*:8"):
        load_catalogue(strict=True).emit("polygan_logged", event=None, values={})
    site.install("stop", LISTENER.replace("RAISE", "raise values['what']"))
    catalogue = load_catalogue(disabled=["bad"])
    for what in (KeyboardInterrupt, SystemExit):
        with pytest.raises(what):
            catalogue.emit("polygan_logged", event=None, values={"what": what})
    with pytest.raises(ValueError, match="did you mean 'polygan_logged'"):
        catalogue.emit("polygan_loged", event=None)


@pytest.fixture
def my_gan(site, tmp_path):
    path = tmp_path / "my_gan.py"
    path.write_text(HEAD + GOOD.replace("MODULE_impl", "my_gan") + IMPL)
    return path


def test_a_local_file_is_a_plugin(site, my_gan):
    catalogue = load_catalogue(files=[my_gan, str(my_gan)])  # the same file twice is one plugin
    status = only(catalogue)
    assert (status.name, status.module, status.distribution, status.status) == ("my_gan", str(my_gan), "", "loaded")
    assert str(status) == f"plugin 'my_gan' ({my_gan})"
    band = catalogue.resolve(catalogue.recipe("music/band"))
    assert band is sys.modules["my_gan"].Band
    again = load_catalogue(files=[my_gan])
    assert again.resolve(again.recipe("music/band")) is band  # one class a process


def test_a_local_file_may_share_the_name_of_an_entry_point(site, my_gan):
    site.install("my_gan", GOOD.replace("music", "noise").replace("hits", "booms"))
    assert [p.name for p in load_catalogue(files=[my_gan]).plugins] == ["my_gan", "my_gan.py"]


def test_a_local_file_found_on_the_path_is_no_clash(site, my_gan, monkeypatch):
    monkeypatch.syspath_prepend(str(my_gan.parent))
    assert only(load_catalogue(files=[my_gan])).status == "loaded"


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("gone_gan.py", None, "missing: name a Python file"),
        ("bad_gan.py", "def (:", r"SyntaxError: .* at .*bad_gan.py:1: correct the file"),
        ("bad_gan.py", "1 / 0", r"ZeroDivisionError: division by zero at .*bad_gan.py:1: correct the file"),
        ("bad_gan.py", "import no_such_thing", "pip install no_such_thing"),
        ("bad_gan.py", "x = 1", "implements no hook"),
        ("json.py", "x = 1", r"another module 'json' \(.*json/__init__.py\): rename the file"),
        ("colorsys.py", "x = 1", r"another module 'colorsys' \(.*colorsys.py\): rename the file"),
        ("sys.py", "x = 1", "another module 'sys' .*: rename the file"),
        ("my-gan.py", "x = 1", "call it something like my_gan.py"),
        ("my.gan.py", "x = 1", "call it something like my_gan.py"),
        ("__init__.py", "x = 1", "install it if it is a package"),
        ("my_gan.txt", "x = 1", "call it something like my_gan.py"),
    ],
)
def test_a_local_file_that_fails_raises_at_once(site, tmp_path, name, code, expected):
    path = tmp_path / name
    if code is not None:
        path.write_text(code)
    before = dict(sys.modules)
    with pytest.raises(PluginError, match=expected) as raised:
        load_catalogue(files=[path], strict=False)
    assert str(raised.value).startswith(f"plugin {path.stem!r} ({path}): ")
    assert "\n" not in str(raised.value)
    assert sys.modules.get(path.stem) is before.get(path.stem)


def test_a_folder_and_two_files_of_one_name_are_refused(site, my_gan, tmp_path):
    with pytest.raises(PluginError, match="it is a folder: name a Python file"):
        load_catalogue(files=[tmp_path])
    other = tmp_path / "sub" / "my_gan.py"
    other.parent.mkdir()
    other.write_text(my_gan.read_text())
    with pytest.raises(PluginError, match=r"another module 'my_gan' \(.*my_gan.py\): rename the file"):
        load_catalogue(files=[my_gan, other])


def test_a_local_file_with_an_id_that_is_taken_is_refused(site, my_gan):
    site.install("music", GOOD)
    with pytest.raises(PluginError, match=r"domain 'music' is already registered by plugin 'music' \(music 1.0\)"):
        load_catalogue(files=[my_gan])


def test_the_process_has_one_catalogue(site, monkeypatch):
    monkeypatch.setattr(plugins_module, "_catalogue", None)
    site.install("music", GOOD)
    first = get_catalogue()
    assert first.recipe("music/band")
    assert get_catalogue() is first
    set_catalogue(mine := Catalogue())
    assert get_catalogue() is mine
    set_catalogue(None)
    assert get_catalogue() is not mine


def test_listing_what_is_installed_imports_no_torch():
    code = """
        import sys
        from polygan.plugins import load_catalogue
        c = load_catalogue(allow=["image"], strict=True)
        assert c.recipe("image/dcgan") and c.owner("domain", "image").distribution == "polygan-image"
        print([m for m in ("torch", "numpy", "PIL", "rich", "matplotlib") if m in sys.modules])
    """
    ran = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, env=os.environ, check=False
    )
    assert (ran.stdout, ran.stderr) == ("[]\n", "")
