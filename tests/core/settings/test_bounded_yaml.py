"""YAML that expands, that is deep, or that holds huge numbers is refused; aliases as such are not."""

from __future__ import annotations

import pytest

from polygan.settings.formats import MOST_NODES, parse_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name}\n  <<: [{','.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "more than 20,000 values"),
        (MERGED, "more than 20,000 values"),
        ("&a [*a]", "more than 20,000 values"),
        ("[&a x, &a [*a]]", "more than 20,000 values"),
        ("[" + "x," * MOST_NODES + "]", "more than 20,000 values"),
        ("[" * 100, "more than 64 levels of nesting"),
        ("[" * 100_000, "nesting"),
        ("{a: " * 100 + "}" * 100, "levels of nesting"),
        ("a: " + "9" * 5_000, "digits"),
        ("a: 0x" + "f" * 9_000, "more than 40 digits"),
        ("a: 1:" + "1:" * 500 + "1", "more than 40 digits"),
        ("a: 2001-99-99", "month"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("a: !!int x", "invalid literal"),
        ("? [a]\n: b", "unhashable key"),
        ("a: \0", "(unacceptable|control) character"),
        ("a: *b", "undefined alias"),
        ("a: 1\n--- 2", "expected a single document"),
    ],
)
def test_yaml_is_bounded(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_yaml(text)


def test_usual_yaml_is_read():
    assert parse_yaml("a: &x {b: [1, 2.5, null]}\nc: *x\n") == {"a": {"b": [1, 2.5, None]}, "c": {"b": [1, 2.5, None]}}
    assert parse_yaml("") is None
