"""Changed settings are found by name, shown with both values, and each has an effect."""

from __future__ import annotations

import math

import pytest

from polygan.settings.changes import EFFECTS, PLACES, Change, changes, reach_optimizers, trained_with
from polygan.settings.parser import option_types
from polygan.settings.trainer import RunSettings


def test_only_what_both_have_and_what_differs_is_a_change():
    before = {"steps": 5, "gone": 1, "model": {"a": 1, "b": math.nan, "c": {"d": [1]}}, "name": "x"}
    after = {"steps": 6, "new": 2, "model": {"a": 1.0, "b": math.nan, "c": {"d": [2]}}, "name": "y"}
    found = changes(before, after, PLACES)
    assert [str(c) for c in found] == ["steps 5 -> 6", "model.c.d [1] -> [2]"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2e-4, "0.0002"), (0.1 + 0.2, repr(0.1 + 0.2)), ("", "''"), ("x" * 99, "x" * 60 + "…"), (None, "None")],
)
def test_values_are_short(value, shown):
    assert str(Change("x", value, 1)) == f"x {shown} -> 1"


def test_effects_are_of_settings_that_exist():
    assert EFFECTS.keys() <= option_types(RunSettings).keys()
    assert Change("log_every", 1, 2).effect == "does not change the networks"
    assert Change("init_from", "", "x").effect.startswith("has no effect")
    assert "optimizers" in Change("model.learning_rate", 1, 2).effect


def test_what_reaches_optimizers():
    for name, reaches in (("model.beta1", True), ("batch_size", True), ("log_every", False), ("data.flip", False)):
        assert reach_optimizers([Change(name, 1, 2)]) is reaches


@pytest.mark.parametrize("odd", [None, 3, [], "text"])
def test_a_checkpoint_without_settings_counts_as_trained_with_others(odd):
    assert trained_with({"settings": odd}, {"steps": 1}) == {"steps": 1}
    assert trained_with({"settings": {"steps": 2}}, {"steps": 1}) == {"steps": 2}
