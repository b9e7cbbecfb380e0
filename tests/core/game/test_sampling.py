"""Classes by name or number, and whether a recipe is told them."""

from __future__ import annotations

import pytest

from polygan import ConfigError, class_index, classes_of

NAMES = ("0", "1", "10", "2")  # folders in their order


@pytest.mark.parametrize(("label", "index"), [(None, None), ("10", 2), (2, 3), ("2", 3), (1, 1), ("3", 3), (3, 3)])
def test_a_name_comes_before_a_number(label, index):
    assert class_index(label, NAMES) == index


@pytest.mark.parametrize(
    ("label", "classes", "words"),
    [
        ("tow", ("one", "two"), "no such class.*did you mean 'two'.*there are one, two"),
        ("cat", [f"c{i}" for i in range(30)], r"c19, \.\.\.$"),
        (2, ("one", "two"), r"label = 2 is outside \[0, 1\]"),
        (-1, ("one", "two"), r"outside \[0, 1\]"),
        ("x", (), "trained without classes; leave the label out"),
        (0, (), "trained without classes"),
    ],
)
def test_a_class_that_is_not_there_is_one_clear_line(label, classes, words):
    with pytest.raises(ConfigError, match=words) as error:
        class_index(label, classes)
    assert "\n" not in str(error.value)


def test_classes_are_told_if_there_are_two():
    info = {"classes": ["a", "b"]}
    assert classes_of("auto", info, "") == classes_of("yes", info, "") == ("a", "b")
    assert classes_of("no", info, "") == classes_of("auto", {"classes": ["a"]}, "") == classes_of("auto", {}, "") == ()
    with pytest.raises(ConfigError, match=r"this has 1: name a column or --model\.conditional auto"):
        classes_of("yes", {"classes": ["a"]}, "name a column")
