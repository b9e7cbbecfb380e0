"""JSON stands alone on stdout, whatever plugins write: by print, to the file descriptor, from C."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys

import pytest

from polygan.cli.output import only_json, print_json

LOUD = """
import ctypes, os, sys
import polygan

print("printed")
os.write(1, b"written at import\\n")
ctypes.CDLL(None).printf(b"from C\\n")


@polygan.hookimpl
def polygan_recipes():
    os.write(1, b"written in a hook\\n")
    os.system("echo from a child")
    return [polygan.RecipeSpec("loud/gan", "loud_gan:It", "shouts")]
"""


@pytest.mark.parametrize("verb", ["list", "plugins"])
def test_a_plugin_that_writes_to_descriptor_1_does_not_break_json(verb, tmp_path):
    path = tmp_path / "loud_gan.py"
    path.write_text(LOUD)
    words = [sys.executable, "-m", "polygan", "--plugin", str(path), verb, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "loud" in {
        row["id" if verb == "list" else "name"].partition("/")[0].partition("_")[0] for row in json.loads(done.stdout)
    }
    for said in ("printed", "written at import", "from C", "written in a hook", "from a child"):
        assert said in done.stderr


def test_only_what_is_printed_as_json_reaches_stdout(capfd):
    with only_json():
        os.write(1, b"to the descriptor\n")
        print("printed")
        ctypes.CDLL(None).puts(b"from C")
        print_json({"a": 1})
    print("after")
    out, err = capfd.readouterr()
    assert out == '{\n "a": 1\n}\nafter\n'
    assert sorted(err.splitlines()) == ["from C", "printed", "to the descriptor"]


def test_an_error_leaves_stdout_empty_and_open(capfd):
    def fails():
        with only_json():
            print_json([1])
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    print("after")
    assert capfd.readouterr().out == "after\n"


def test_json_has_no_number_that_json_does_not_know(capsys):
    with only_json(False):
        print_json([{"value": float("nan"), "floor": float("-inf"), "name": "\udc80", "all": (1, 2.5)}])
    text = capsys.readouterr().out
    assert json.loads(text, parse_constant=pytest.fail) == [
        {"value": None, "floor": None, "name": "\udc80", "all": [1, 2.5]}
    ]
