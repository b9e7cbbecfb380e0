"""The contract has one version, hooks that say what they are for, specs that can be compared, and no heavy imports."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from polygan import hookspecs
from polygan.plugins import discovery


def test_what_is_supported_today_is_said_in_one_place():
    assert (discovery.API_VERSION, discovery.OLDEST_API) == (hookspecs.API_VERSION, hookspecs.OLDEST_API)
    assert 1 <= hookspecs.OLDEST_API <= hookspecs.API_VERSION


HOOKS = [value for name, value in vars(hookspecs).items() if name.startswith("polygan_")]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_every_hook_is_marked_for_pluggy_and_says_when_it_is_called(hook):
    assert hasattr(hook, "polygan_spec")
    assert hook.__doc__.strip().endswith(".")
    assert "return" in hook.__annotations__
    if list(inspect.signature(hook).parameters):  # an event
        assert next(iter(inspect.signature(hook).parameters)) == "event"
        assert hook.__annotations__["return"] == "None"


def test_a_format_is_named_by_recipe_format_and_direction():
    specs = [
        hookspecs.FormatSpec(recipe, format, direction, "a:b", "")
        for recipe in ("image/a", "image/b")
        for format in ("onnx", "pt")
        for direction in ("export", "import")
    ]
    assert specs[0].id == "image/a:onnx:export"
    assert len({spec.id for spec in specs}) == 8


def test_a_plugin_that_imports_the_contract_loads_neither_torch_nor_numpy():
    code = "import sys, polygan.hookspecs; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
