"""A run whose recipe no plugin brings: the message names the plugins that it was trained with, and loads none."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from toy_runs import TOY, command, train

import polygan
from polygan.plugins import Catalogue, load_catalogue, set_catalogue
from polygan.runs.folder import plugin_remedy

pytestmark = pytest.mark.usefixtures("toys")


def remedy(folder, environment):
    text = environment if isinstance(environment, str) else json.dumps(environment)
    (folder / "environment.json").write_text(text)
    return plugin_remedy(folder, Catalogue())


def test_a_run_that_a_local_file_trained_names_the_file_and_does_not_load_it():
    run = train(steps=1)
    set_catalogue(load_catalogue(allow=()))
    sys.modules.pop("toy_gan", None)
    for use in (polygan.load, polygan.resume):
        with pytest.raises(polygan.ConfigError, match="no recipe 'points/mlp'") as error:
            use(run.folder)
        option = f"--plugin {TOY}"
        assert f"the run was trained with {option}: add this to the command if you trust the file" in str(error.value)
    assert "toy_gan" not in sys.modules


def test_the_command_is_kept_for_a_module_too(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/x/polygan/__main__.py", "--plugin", str(TOY), "train"])
    command("train", "points/mlp", "--data", "ring", "--steps", "1", "--name", "a", capsys=capsys)
    assert json.loads(Path("runs/a/environment.json").read_text())["command"] == f"polygan --plugin {TOY} train"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"plugins": {"my_gan": "/a b/my_gan.py"}}, "--plugin '/a b/my_gan.py': add this"),
        ({"plugins": {"my_gan": "~/a b/my_gan.py"}}, "--plugin ~/'a b/my_gan.py': add this"),  # the shell opens the home
        # Runs of older versions have a blank instead of the file; the command has it.
        ({"plugins": {"my_gan": " "}, "command": "polygan --plugin ./my_gan.py train x"}, "--plugin ./my_gan.py: add this"),
        ({"command": "polygan train x --plugin=a.py --plugin b.py"}, "--plugin a.py --plugin b.py: add this"),
        ({"plugins": {"music": "polygan-music 1.0"}}, "polygan-music 1.0, which is not loaded: install it"),
    ],
)  # fmt: skip
def test_what_is_absent_is_named(tmp_path, environment, said):
    assert said in remedy(tmp_path, environment)


@pytest.mark.parametrize(
    "environment",
    ["", "[]", "{", "null", '{"plugins": 3, "command": [1]}', '{"command": "polygan --plugin"}', '{"command": "a \'"}', "[" * 100_000],
)  # fmt: skip
def test_a_file_that_says_nothing_adds_nothing(tmp_path, environment):
    assert remedy(tmp_path, environment) == ""


def test_a_missing_or_odd_file_adds_nothing(tmp_path):
    assert plugin_remedy(tmp_path, Catalogue()) == ""
    os.mkfifo(tmp_path / "environment.json")
    assert plugin_remedy(tmp_path, Catalogue()) == ""
