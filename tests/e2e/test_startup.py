"""What lists, helps and reports versions never imports torch: in a process of its own, where importing it is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import survival

pytestmark = pytest.mark.e2e
FORBIDDEN = ("torch", "transformers", "torchmetrics", "matplotlib", "scipy", "pandas", "jsonargparse", "numpy")
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


def guarded(*words):
    return subprocess.run([sys.executable, "-c", GUARDED, *words], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--help"], "polygan train image/dcgan"),
        (["--version"], "polygan "),
        (["list"], "recipes"),
        (["list", "--json"], '"kind"'),
        (["plugins"], "tensorboard"),
        (["train", "--help"], "RECIPE"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, list) else "",
)
def test_listing_needs_no_torch(words, shown):
    result = guarded(*words)
    assert result.returncode == 0, result.stderr
    assert shown in result.stdout
    assert "was imported at start-up" not in result.stdout + result.stderr
    assert " failed " not in result.stdout.replace("disabled or failed", "")


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
