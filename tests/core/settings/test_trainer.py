"""Every setting of a run is read, every number has a range, and a run's name is a folder's name."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import polygan
from polygan import ConfigError, DataSettings
from polygan.settings.help import meanings
from polygan.settings.parser import option_types
from polygan.settings.ranges import ranges_of
from polygan.settings.trainer import RunSettings


def test_every_setting_is_read_somewhere():
    source = [p.read_text() for p in Path(inspect.getfile(polygan)).parent.rglob("*.py")]
    read = {n.attr for text in source for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute)}
    unread = {f.name for c in (RunSettings, DataSettings) for f in dataclasses.fields(c)} - read
    assert not unread


@pytest.mark.parametrize("config", [RunSettings, polygan.DataSettings])
def test_every_number_of_the_core_s_settings_has_a_range_and_no_docstring_repeats_it(config):
    numbers = {name for name, kind in option_types(config).items() if kind in (int, float)}
    assert numbers == set(ranges_of(config))
    assert not [text for text in meanings(config).values() if re.search(r">=|<=|[\[(]-?\d[\d.]*, ", text)]


@pytest.mark.parametrize("name", ["", "mlp-ring", "a b", "r1-0.5", "größe+2", "2nd"])
def test_a_name_that_a_folder_can_have_is_kept(name):
    assert RunSettings(name=name).name == name


@pytest.mark.parametrize("name", [".hidden", "a/b", "a\\b", " a", "-a", "a\nb", "a:b"])
def test_a_name_that_leads_elsewhere_or_hides_is_refused(name):
    with pytest.raises(
        ConfigError, match=r"is not a folder name: use letters, .* choose the parent folder with --runs"
    ):
        RunSettings(name=name)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, 10**400])
def test_a_seed_that_counters_cannot_hold_is_refused(seed):
    with pytest.raises(ConfigError, match=r"seed = .*; a seed is a whole number from 0 to 2\^63 - 1"):
        RunSettings(seed=seed)
    assert RunSettings(seed=2**63 - 1).seed == 2**63 - 1
