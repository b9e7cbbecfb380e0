"""The catalogue: what was registered, found and resolved, and what a miss says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from polygan import ConfigError, DomainSpec, PluginError, RecipeSpec
from polygan.plugins import Catalogue, get_catalogue, load_catalogue, set_catalogue
from polygan.plugins import catalogue as plugins_module


def test_a_good_plugin_is_listed_with_what_it_provides(site):
    module = site.install("music", site.GOOD, version="2.3")
    catalogue = load_catalogue()
    status = site.only(catalogue)
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


def test_only_the_id_that_is_taken_is_left_out_of_the_later_plugin(site, capsys):
    """A plugin that takes one id of another, in good or in bad faith, must not cost the user the whole of the other."""
    site.install("amusic", site.GOOD)
    site.install("bmusic", site.GOOD.replace('"music"', '"tunes"').replace('"hits"', '"charts"'), version="7")
    catalogue = load_catalogue()
    first, second = catalogue.plugins
    assert (first.status, second.status, second.name) == ("loaded", "loaded", "bmusic")
    assert "recipe 'music/band' is already registered by plugin 'amusic' (amusic 1.0): rename one" in second.reason
    assert second.refused == (("recipe", "music/band"), ("metric", "music/swing"))
    assert second.provides == {"domains": 1, "datasets": 1}
    assert (list(catalogue.domains), list(catalogue.datasets)) == (["music", "tunes"], ["hits", "charts"])
    assert catalogue.owner("dataset", "charts") is second
    assert capsys.readouterr().err == ""
    for _ in range(2):
        assert catalogue.recipe("music/band").target.startswith("fake_amusic")
    line = "recipe 'music/band' is that of plugin 'amusic' (amusic 1.0); plugin 'bmusic' (bmusic 7) has another, which is left out"
    assert capsys.readouterr().err.splitlines() == [line]


def test_a_plugin_of_which_nothing_is_left_has_failed(site):
    site.install("amusic", site.GOOD)
    site.install("bmusic", site.GOOD)
    site.install("cmusic", site.GOOD + "\n@hookimpl\ndef polygan_logged(values): ...\n")
    _, second, third = load_catalogue().plugins
    assert (second.status, second.provides, second.refused) == ("failed", {}, ())
    assert (third.status, third.provides) == ("loaded", {"events": 1})  # its listener is left
    with pytest.raises(PluginError, match=r"^plugin 'bmusic' .* 'music' is already registered"):
        load_catalogue(strict=True)


def test_disabled_and_not_allowed_plugins_are_never_imported(site, monkeypatch):
    music = site.install("music", site.GOOD)
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
    site.install("music", site.GOOD)
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
    assert site.only(load_catalogue(strict=False)).status == "failed"


def test_a_miss_says_what_was_meant_and_what_is_not_loaded(site):
    site.install("music", site.GOOD)
    site.install("broken", "raise ValueError")
    site.install("silent", site.GOOD)
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
    with pytest.raises(
        ConfigError, match=r"no plugin that is loaded brings one: `polygan plugins` shows them, pip install .*own$"
    ):
        load_catalogue().recipe("music/band")
    site.install("many", "@hookimpl\ndef polygan_domains(): return [DomainSpec(f'd{i}', 'a:b', '') for i in range(9)]")
    with pytest.raises(ConfigError, match="there are 9 of them in `polygan list`"):
        load_catalogue().domain("music")


def test_resolve_imports_the_target(site):
    module = site.install("music", site.GOOD)
    (site.root / f"{module}_impl.py").write_text(site.IMPL)
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
    module = site.install("music", site.GOOD, version="4.5")
    if impl is not None:
        (site.root / f"{module}_impl.py").write_text(impl)
    catalogue = load_catalogue()
    with pytest.raises(PluginError) as raised:
        catalogue.resolve(catalogue.recipe("music/band"))
    message = str(raised.value)
    assert message.startswith("recipe 'music/band' of plugin 'music' (music 4.5): ")
    assert "'fake_music_impl:Band'" in message
    assert str(Path(plugins_module.__file__).parent) not in message  # the place is the plugin's own, or none
    assert expected in message


def test_resolve_of_a_spec_that_nobody_registered_and_of_a_value(site):
    with pytest.raises(PluginError, match="recipe 'a/b': cannot import 'no_such:C'"):
        Catalogue().resolve(RecipeSpec("a/b", "no_such:C", ""))
    with pytest.raises(PluginError, match=r"domain 'a': 'os:path' is not a subclass of polygan.Domain"):
        Catalogue().resolve(DomainSpec("a", "os:path", ""))


def test_a_local_file_with_an_id_that_is_taken_is_refused(site, my_gan):
    site.install("music", site.GOOD)
    with pytest.raises(PluginError, match=r"domain 'music' is already registered by plugin 'music' \(music 1.0\)"):
        load_catalogue(files=[my_gan])


def test_the_process_has_one_catalogue(site, monkeypatch):
    monkeypatch.setattr(plugins_module, "_catalogue", None)
    site.install("music", site.GOOD)
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
