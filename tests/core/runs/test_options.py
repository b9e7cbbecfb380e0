"""The keywords of `polygan.train` for editors and type checkers."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import get_type_hints

import polygan
from polygan.runs.options import RunOptions
from polygan.settings.trainer import RunSettings


def test_the_keywords_of_train_are_the_settings_of_a_run_with_their_types():
    types = get_type_hints(RunSettings)
    assert list(get_type_hints(RunOptions).items()) == [(f.name, types[f.name]) for f in fields(RunSettings)]
    assert RunOptions.__required_keys__ == frozenset()
    assert inspect.signature(polygan.train).parameters["settings"].annotation == "Unpack[RunOptions]"
