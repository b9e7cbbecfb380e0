"""Reading the words of a command into its places and options."""

from __future__ import annotations

import pytest

import polygan
from polygan.cli.command import Command, Option, Place

EXAMPLE = Command(
    "an example",
    lambda *_: None,
    (Place("run", "a run"), Place("file", "a file", required=False)),
    {
        "out": Option(str, "where", required=True),
        "n": Option(int, "how many", 3),
        "names": Option(tuple[str, ...], "x"),
    },
)


def test_places_and_options_in_any_order():
    for words in ("a b --out o -n 5 --names x y", "-n=5 a --out=o b --names x y", "--names x y --out o a -n 5 b"):
        found, rest = EXAMPLE.read("example", words.split())
        assert (found.run, found.file, found.out, found.n, found.names, rest) == ("a", "b", "o", 5, ("x", "y"), [])
    found, _ = EXAMPLE.read("example", ["a", "--out", "o"])
    assert (found.file, found.n, found.names, found.help) == (None, 3, None, "")


def test_of_an_open_command_only_the_first_word_is_a_place():
    opened = Command("", lambda *_: None, (Place("run", ""),), {"n": Option(int, "", 3)}, open=True)
    found, rest = opened.read("x", ["-n", "5", "runs/a", "--scale", "-0.5", "--grid", "b", "--labels", "1", "2"])
    assert (found.run, found.n, rest) == ("runs/a", 5, ["--scale", "-0.5", "--grid", "b", "--labels", "1", "2"])
    with pytest.raises(polygan.ConfigError, match=r"which run\? `polygan x RUN \[options\]`; RUN comes first"):
        opened.read("x", ["--scale", "2", "runs/a"])


def test_usage_has_places_and_required_options():
    assert EXAMPLE.usage("example") == "polygan example RUN [FILE] --out TEXT [options]"
    assert "-n INT" in EXAMPLE.help("example")
    assert "how many (default: 3)" in EXAMPLE.help("example")


def test_words_after_two_dashes_are_places():
    found, rest = EXAMPLE.read("example", ["--out", "o", "--names", "x", "--", "-dash", "--out"])
    assert (found.run, found.file, found.out, found.names, rest) == ("-dash", "--out", "o", ("x",), [])
    with pytest.raises(polygan.ConfigError, match=r"unknown option -c of polygan example"):
        EXAMPLE.read("example", ["--out", "o", "--", "-a", "-b", "-c"])
    opened = Command("", lambda *_: None, (Place("run", ""),), {"n": Option(int, "", 3)}, open=True)
    found, rest = opened.read("x", ["-n", "5", "--", "-dash"])
    assert (found.run, found.n, rest) == ("-dash", 5, [])
