"""Finding and reading plugins: a fault of a stranger's package is one line with its name, and never stops the rest."""

from __future__ import annotations

import pytest

from polygan import API_VERSION, PluginError
from polygan.plugins import load_catalogue

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
    site.install("zz-music", site.GOOD)
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


def test_an_entry_point_without_its_module_or_attribute_fails(site):
    site.install("music", site.GOOD, value="fake_musik")
    site.install("noise", site.GOOD, value="fake_noise:plugin")
    music, noise = load_catalogue().plugins
    assert "there is no module 'fake_musik': correct the import string" in music.reason
    assert "no attribute 'plugin'" in noise.reason
    assert (music.status, noise.status) == ("failed", "failed")


def test_malformed_metadata_of_one_distribution_hides_no_plugin(site, capsys):
    site.install("music", site.GOOD)
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
    site.install("music", site.GOOD)
    site.install("noise", site.GOOD)
    (site.root / "noise-1.0.dist-info" / "entry_points.txt").write_bytes(b"[polygan]\n\xff\xfe = x\n")
    (site.root / "music-1.0.dist-info" / "METADATA").write_bytes(b"Name: \xff\n")
    music, noise = load_catalogue().plugins
    assert (music.status, music.distribution) == ("loaded", "unknown")
    assert (noise.name, noise.status) == ("noise", "failed")
    assert "entry_points.txt is malformed: install noise again (UnicodeDecodeError" in noise.reason


def test_missing_metadata_is_no_failure(site):
    site.install("music", site.GOOD)
    (site.root / "music-1.0.dist-info" / "METADATA").unlink()
    assert (site.only(load_catalogue()).status, site.only(load_catalogue()).distribution) == ("loaded", "unknown")


def test_same_entry_point_name_in_two_distributions(site):
    site.install("one", site.GOOD, name="music")
    site.install("two", site.GOOD.replace("music", "noise").replace("hits", "booms"), name="music")
    catalogue = load_catalogue()
    assert [(p.name, p.status) for p in catalogue.plugins] == [("music (one)", "loaded"), ("music (two)", "loaded")]
    assert [p.status for p in load_catalogue(disabled=["music (two)"]).plugins] == ["loaded", "disabled"]
    assert [p.status for p in load_catalogue(disabled=["music"]).plugins] == ["disabled", "disabled"]


def test_optional_hooks_of_a_later_api_are_allowed(site):
    site.install("music", site.GOOD + "\n@hookimpl(optionalhook=True)\ndef polygan_dreamt(event): pass\n")
    assert (site.only(load_catalogue()).status, "events" in site.only(load_catalogue()).provides) == ("loaded", False)


def test_an_unmarked_hook_beside_marked_ones_is_a_warning(site):
    site.install("music", site.GOOD + "\ndef polygan_logged(event): pass\n")
    status = site.only(load_catalogue())
    assert status.status == "loaded"
    assert status.reason == "not marked as a hook and ignored: polygan_logged; add @polygan.hookimpl"


def test_keyboard_interrupt_passes(site):
    site.install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_catalogue()
