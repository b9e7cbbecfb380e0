"""Settings files have a numbered format: older ones are migrated, later ones are refused."""

from __future__ import annotations

import pytest
import yaml

from polygan import ConfigError, DataSettings
from polygan.settings import formats
from polygan.settings.formats import FORMAT, Names, migrated, with_format
from polygan.settings.parser import Settings, read_yaml
from polygan.settings.trainer import RunSettings


def names(own=("source", "size"), elsewhere=("source", "tones", "size")):
    return Names(own, lambda: elsewhere)


def test_what_is_written_says_its_format_on_top(tmp_path):
    text = Settings("points/x", RunSettings(), DataSettings(), DataSettings()).yaml()
    assert text.startswith(f"format: {FORMAT}\n")
    (tmp_path / "config.yaml").write_text(text)
    assert read_yaml(tmp_path / "config.yaml")["format"] == FORMAT


def test_a_file_without_a_format_is_of_the_first(tmp_path):
    (tmp_path / "config.yaml").write_text("steps: 3\n")
    assert read_yaml(tmp_path / "config.yaml") == {"steps": 3, "format": 1}


@pytest.mark.parametrize("number", [0, -1, "two", 1.0, True, None])
def test_a_format_that_is_no_number_is_refused(number):
    with pytest.raises(ConfigError, match=r"here has format .*: write format: \d+, or leave the line out"):
        with_format({"format": number}, "here")


def test_a_later_format_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"format": FORMAT + 1}))
    with pytest.raises(ConfigError, match=rf"format {FORMAT + 1}, .* up to {FORMAT}: pip install --upgrade polygan"):
        read_yaml(tmp_path / "config.yaml")


def test_the_first_format_loses_the_settings_of_other_data_sets_and_nothing_else():
    layer = {"format": 1, "steps": 3, "judge": "net.pt", "data": {"source": "x", "size": 5, "tones": 7, "typo": 1}}
    assert migrated(layer, names())["data"] == {"source": "x", "size": 5, "typo": 1}
    assert (migrated(layer, names())["steps"], migrated(layer, names())["features"]) == (3, "net.pt")
    assert migrated({**layer, "format": 2}, names())["data"] == layer["data"]


@pytest.mark.parametrize("data", ["folder", None, {"source": "x", "size": 5}])
def test_other_data_sets_are_looked_up_only_where_a_name_is_unknown(data):
    def never():
        raise AssertionError

    layer = {"format": 1, "data": data}
    assert migrated(layer, Names(("source", "size"), never)) == layer


def test_what_is_no_file_is_of_todays_format():
    layer = {"data": {"tones": 7}}
    assert migrated(layer, names()) is layer


def test_migrations_follow_each_other_up_to_the_written_format(monkeypatch):
    def add(number):
        return lambda layer, _: {**layer, "seen": [*layer.get("seen", []), number]}

    monkeypatch.setattr(formats, "FORMAT", 4)
    monkeypatch.setattr(formats, "MIGRATIONS", {1: add(1), 2: add(2), 3: add(3)})
    assert migrated({"format": 2}, names())["seen"] == [2, 3]
    assert migrated({"format": 1}, names())["seen"] == [1, 2, 3]
    assert "seen" not in migrated({"format": 4}, names())


def test_every_earlier_format_has_a_migration():
    assert sorted(formats.MIGRATIONS) == list(range(1, FORMAT))
