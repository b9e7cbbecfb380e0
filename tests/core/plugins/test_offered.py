"""Where a plugin of polygan is not installed, the line says how to install the plugin."""

from __future__ import annotations

import pytest

from polygan import ConfigError
from polygan.plugins import Catalogue, discovery, load_catalogue
from polygan.plugins.discovery import PluginStatus

REQUIRED = [
    "torch>=2.10",
    "polygan-music<0.2,>=0.1; extra == 'all'",
    'polygan-music[notes]<0.2,>=0.1; extra == "music"',
    "polygan-dance; python_version >= '3.11' and extra == 'dance'",
    "polygan-other; extra == 'more'",
    "ruff; extra == 'dev'",
]


@pytest.fixture(autouse=True)
def extras(monkeypatch):
    monkeypatch.setattr(discovery.metadata, "requires", lambda name: REQUIRED)


def test_the_plugins_are_those_that_an_extra_of_their_own_name_brings():
    assert discovery.offered() == {"music": "polygan-music", "dance": "polygan-dance"}


def test_a_recipe_of_a_plugin_that_is_not_installed_names_the_line_that_installs_it(site):
    with pytest.raises(ConfigError) as raised:
        load_catalogue().recipe("music/band")
    assert (
        str(raised.value)
        == "no recipe 'music/band'; the plugin polygan-music is not installed: pip install polygan-music"
    )
    for find, id in ((Catalogue().domain, "music"), (Catalogue().metric, "music/swing")):
        with pytest.raises(ConfigError, match=r"pip install polygan-music$"):
            find(id)


def test_a_domain_that_polygan_has_no_plugin_for_names_none(site):
    with pytest.raises(ConfigError, match=r"no recipe 'smell/rose'; no plugin that is loaded brings one"):
        load_catalogue().recipe("smell/rose")


def test_a_plugin_that_is_there_is_not_to_be_installed_again(site):
    site.install("polygan-music", "raise ValueError", name="music")
    with pytest.raises(ConfigError) as raised:
        load_catalogue(strict=False).recipe("music/band")
    assert "is not installed" not in str(raised.value)
    assert "plugin 'music' failed to load: see `polygan plugins`" in str(raised.value)
    with pytest.raises(ConfigError) as raised:
        load_catalogue(disabled=["music"]).recipe("music/band")
    assert str(raised.value).endswith("plugin 'music' disabled")


def test_a_domain_that_another_plugin_brings_is_searched_there(site):
    site.install("my-own-music", site.GOOD)
    with pytest.raises(ConfigError, match=r"\(did you mean 'music/band'\?\); there are music/band$"):
        load_catalogue().recipe("music/bond")


def test_an_empty_list_names_each_plugin():
    assert "(pip install polygan-music, pip install polygan-dance)" in discovery.nothing()


def test_a_polygan_without_metadata_offers_all_of_them(monkeypatch):
    def absent(name):
        raise discovery.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(discovery.metadata, "requires", absent)
    assert discovery.offered() == {}
    assert discovery.missed("music/band", (), [PluginStatus("x", "x", "x", "1", "loaded")]) == ""
    assert 'pip install "polygan[all]"' in discovery.nothing()
    assert "()" not in discovery.nothing()
