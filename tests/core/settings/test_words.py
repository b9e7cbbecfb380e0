"""Words of the command line become values of options, and stray words are answered with what was meant."""

from __future__ import annotations

from typing import Literal

import pytest

from polygan import ConfigError
from polygan.settings.words import Each, is_list, nested, read_words, stray, typed

TYPES = {
    "steps": int,
    "scale": float,
    "name": str,
    "compile": bool,
    "metrics": tuple[str, ...],
    "sizes": tuple[int, ...] | None,
    "either": tuple[int, ...] | str,
    "plugin": Each,
    "help": Literal["true", "all"],
    "data.source": str,
    "model.residual": bool,
}
ALIASES = {"--data": "data.source", "-n": "steps"}


@pytest.mark.parametrize(
    ("words", "values", "rest"),
    [
        ("", {}, ""),
        ("--steps 3 --name=x", {"steps": "3", "name": "x"}, ""),
        ("--steps=3 --steps 4", {"steps": "4"}, ""),
        ("--name= --data a=b", {"name": "", "data.source": "a=b"}, ""),
        ("--scale -0.5 -n -3 --name -", {"scale": "-0.5", "steps": "-3", "name": "-"}, ""),
        ("--scale -.5 --name=--x", {"scale": "-.5", "name": "--x"}, ""),
        ("--metrics a b --steps 3 c", {"metrics": ["a", "b"], "steps": "3"}, "c"),
        ("--metrics a/b -n 3", {"metrics": ["a/b"], "steps": "3"}, ""),
        ("--sizes -1 2 --metrics=a", {"sizes": ["-1", "2"], "metrics": ["a"]}, ""),
        ("--sizes=[4,5] --metrics [a,b]", {"sizes": "[4,5]", "metrics": "[a,b]"}, ""),
        ("--sizes null --metrics null", {"sizes": "null", "metrics": ["null"]}, ""),
        ("--either 3 4", {"either": "3"}, "4"),
        ("--compile x --no-compile", {"compile": "false"}, "x"),
        ("--compile False --model.residual true", {"compile": "false", "model.residual": "true"}, ""),
        ("--no-model.residual", {"model.residual": "false"}, ""),
        ("--plugin a --plugin=b list --plugin c", {"plugin": ["a", "b", "c"]}, "list"),
        ("--help all", {"help": "all"}, ""),
        ("x --help y", {"help": "true"}, "x y"),
        ("runs/a --grid 5 --steps 3 --label cat", {"steps": "3"}, "runs/a --grid 5 --label cat"),
        ("--no-steps --no-compile=1 -x", {}, "--no-steps --no-compile=1 -x"),
    ],
)
def test_each_word_goes_to_one_option_or_is_left(words, values, rest):
    assert read_words(words.split(), TYPES, ALIASES) == (values, rest.split())


def test_dashes_and_underscores_are_the_same():
    assert read_words(["--batch-size", "8"], {"batch_size": int}) == ({"batch_size": "8"}, [])
    assert read_words(["--no-plugin", "x"], {"no_plugin": Each, "plugin": bool}) == ({"no_plugin": ["x"]}, [])


@pytest.mark.parametrize("words", ["--steps", "--steps --name x", "--metrics", "--metrics -n 3", "-n", "--plugin"])
def test_an_option_without_its_value_is_refused(words):
    with pytest.raises(ConfigError, match=r"^--?\w+ needs a value"):
        read_words(words.split(), TYPES, ALIASES)


def test_lists():
    assert [is_list(kind) for kind in (list[int], set[str], tuple[int, int] | None, dict[str, int], str, None)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_options_become_a_layer_of_settings():
    assert nested({"steps": "3", "model.width": "4", "model.loss": "x"}) == {
        "steps": "3",
        "model": {"width": "4", "loss": "x"},
    }


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--stepz=3", "unknown option --stepz of it (did you mean --steps?); ask"),
        ("-steps", "unknown option -steps of it (did you mean --steps?); ask"),
        ("--residual", "unknown option --residual of it (did you mean --model.residual?); ask"),
        ("--no-compil", "unknown option --no-compil of it (did you mean --compile?); ask"),
        ("--out", "unknown option --out of it (did you mean --runs?); ask"),
        ("--zzz", "unknown option --zzz of it; ask"),
        ("zzz", "unexpected 'zzz' for it: options begin with --, e.g. --steps 1000; ask"),
    ],
)
def test_stray_words_are_answered_with_what_was_meant(word, message):
    assert str(stray([word], TYPES, "it", "ask", {"out": "runs"})) == message


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", int, 3),
        ("-0.5", float, -0.5),
        ("x", str, "x"),
        ("False", bool, False),
        ("all", Literal["true", "all"], "all"),
        ("5", int | None, 5),
        (["a", "b"], tuple[str, ...], ("a", "b")),
    ],
)
def test_simple_values(text, kind, value):
    assert typed("--x", text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind", "takes"),
    [("1.5", int, "int"), ("yes", bool, "bool"), ("a", float | None, "float"), ("z", Literal["a", "b"], "a, b")],
)
def test_simple_values_of_another_type_are_refused(text, kind, takes):
    with pytest.raises(ConfigError) as error:
        typed("--size", text, kind)
    assert str(error.value) == f"--size = {text!r} is not of the right type; it takes {takes}"
