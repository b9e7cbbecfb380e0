"""Suggestions name what the user probably meant, messages fit on one line, and each error has its exit code."""

from __future__ import annotations

import errno

import pytest

from polygan import errors
from polygan.errors import DISK_FULL, closest, did_you_mean, one_line

RECIPES = ["image/dcgan", "image/stylegan", "audio/melgan"]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("image/dcgam", RECIPES, "image/dcgan"),
        ("dcgan", RECIPES, "image/dcgan"),
        ("gan", ["image/gan", *RECIPES], "image/gan"),  # the last part alone, however short
        ("r1", ["data.source", "model.r1"], "model.r1"),
        ("stpes", ["seed", "steps", "step_size"], "steps"),
        ("zebra", RECIPES, ""),
        ("zebra", [], ""),
    ],
)
def test_the_name_that_was_meant_is_suggested_and_no_other(name, known, meant):
    assert closest(name, iter(known)) == meant
    assert did_you_mean(name, iter(known)) == (f" (did you mean {meant!r}?)" if meant else "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("two\n  lines\tand tabs "), "ValueError: two lines and tabs"),
        (KeyError("name"), "KeyError: 'name'"),
        (RuntimeError(), "RuntimeError"),
        (ValueError("x" * 1000), "ValueError: " + "x" * 300),
    ],
)
def test_an_exception_is_one_line_of_bounded_length(error, line):
    assert one_line(error) == line


def test_exit_codes_tell_mistakes_from_failures_and_from_preemption():
    found = {
        cls.__name__: cls.exit_code
        for cls in vars(errors).values()
        if isinstance(cls, type) and cls.__module__ == errors.__name__
    }
    own = {"ConfigError": 2, "Preempted": 75}
    assert found == {name: own.get(name, 1) for name in found}
    assert set(own) < set(found)
    assert all(issubclass(getattr(errors, name), errors.PolyganError) for name in found)


def test_a_full_disk_is_told_from_other_faults_of_files():
    assert {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} == set(DISK_FULL)
    assert errno.EACCES not in DISK_FULL
