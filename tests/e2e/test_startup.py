"""What lists, helps and reports versions never imports torch: in a process of its own, where importing it is an error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import survival

GOLDEN = Path(__file__).parents[1] / "golden/runs-of-format-1"
pytestmark = pytest.mark.e2e
FORBIDDEN = (
    "torch",
    "transformers",
    "torchmetrics",
    "matplotlib",
    "scipy",
    "pandas",
    "jsonargparse",
    "numpy",
    "jinja2",
)
GUARDED = f"""
import runpy, sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FORBIDDEN!r}:
            raise ImportError(f"{{name}} was imported at start-up")
sys.meta_path.insert(0, Guard())
sys.argv[0] = "polygan"
runpy.run_module("polygan", run_name="__main__", alter_sys=True)
"""


PLUGIN = """\
from polygan import RecipeSpec, hookimpl


@hookimpl
def polygan_recipes():
    names = [f"many/{chr(97 + NUMBER)}{i}" for i in range(5)]
    return [RecipeSpec(name, "many_NUMBER.networks:It", "one of many", "A paper, 2020") for name in names]
"""


def install_hundred(folder):
    """20 installed plugins with 5 recipes each, as pip leaves them; returns the environment that finds them."""
    for number in range(20):
        (folder / f"many_{number}.py").write_text(PLUGIN.replace("NUMBER", str(number)))
        info = folder / f"many_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: many-{number}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[polygan]\nmany-{number} = many_{number}\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


def guarded(*words, env=None):
    command = [sys.executable, "-c", GUARDED, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--help"], "polygan train image/dcgan"),
        (["--version"], "polygan "),
        (["list"], "recipes"),
        (["list", "--json"], '"kind"'),
        (["plugins"], "tensorboard"),
        (["train", "--help"], "RECIPE"),
        (["new", "--help"], "NAME"),
        (["runs", "--help"], "FOLDER"),
        (["runs", str(GOLDEN)], "text/seqgan"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_listing_needs_no_torch(words, shown):
    result = guarded(*words)
    assert result.returncode == 0, result.stderr
    assert shown in result.stdout
    assert "was imported at start-up" not in result.stdout + result.stderr
    assert " failed " not in result.stdout.replace("disabled or failed", "")


def test_a_new_plugin_is_written_without_torch(tmp_path):
    result = guarded("new", "music", "--out", str(tmp_path / "music"))
    assert result.returncode == 0, result.stderr
    assert "polygan train music/mlp --data music-example" in result.stdout
    assert (tmp_path / "music/src/polygan_music/domain.py").is_file()


def test_the_guard_guards():
    result = guarded(*survival.PLUGIN, "train", "points/mlp", "--data", "ring", "--dry-run")
    assert result.returncode != 0
    assert "was imported at start-up" in result.stdout + result.stderr


def test_mistakes_in_words_are_answered_without_torch_too():
    result = guarded("trian")
    assert (result.returncode, result.stdout) == (2, "")
    assert (
        result.stderr
        == "polygan: ConfigError: unknown command 'trian' (did you mean 'train'?); `polygan --help` lists them\n"
    )


def test_a_hundred_recipes_of_twenty_plugins_are_listed_without_torch(tmp_path):
    """How long it takes is printed by `tests/bench/run.py start`: a time is no test on a shared machine."""
    environment = install_hundred(tmp_path)
    listed = guarded("list", "--json", env=environment)
    assert listed.returncode == 0, listed.stderr
    assert re.sub("^plugin .* still being loaded after .*\n", "", listed.stderr, flags=re.M) == ""  # a busy machine
    found = [row for row in json.loads(listed.stdout) if row["id"].startswith("many/")]
    assert (len(found), len({row["distribution"] for row in found})) == (100, 20)
    table = guarded("list", env=environment)
    assert table.returncode == 0, table.stderr
    assert len([line for line in table.stdout.splitlines() if line.startswith("many/")]) == 100
