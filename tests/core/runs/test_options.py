"""The keywords of `polygan.train` for editors and type checkers."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import get_args, get_type_hints

import polygan
from polygan.runs.handed.networks import NetworksConfig
from polygan.runs.options import NetworkOptions, RunOptions, TrainOptions
from polygan.settings.trainer import RunSettings


def test_the_keywords_of_train_are_the_settings_of_a_run_with_their_types():
    types = get_type_hints(RunSettings)
    assert list(get_type_hints(RunOptions).items()) == [(f.name, types[f.name]) for f in fields(RunSettings)]
    assert RunOptions.__required_keys__ == frozenset()
    assert inspect.signature(polygan.train).parameters["settings"].annotation == "Unpack[TrainOptions]"
    assert get_type_hints(TrainOptions) == get_type_hints(RunOptions) | get_type_hints(NetworkOptions)


def test_the_keywords_for_two_networks_are_the_settings_of_their_recipe():
    types, keywords = get_type_hints(NetworksConfig), get_type_hints(NetworkOptions)
    assert list(keywords) == [f.name for f in fields(NetworksConfig)]
    assert {k: v for k, v in keywords.items() if k != "loss"} == {k: types[k] for k in keywords if k != "loss"}
    losses = {name.replace("-", "_") for name in get_args(keywords["loss"])} - {"non_saturating"}
    assert losses == set(get_args(types["loss"])) == set(polygan.losses.ADVERSARIAL)
