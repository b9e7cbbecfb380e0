"""What the type of a setting allows: the members of a union, the values of a Literal."""

from __future__ import annotations

from typing import Literal, Optional, Union

import pytest

from polygan.settings.ranges import choices, parts


@pytest.mark.parametrize(
    ("hint", "members"),
    [
        (int, (int,)),
        (int | str | None, (int, str, type(None))),
        (Union[int, str], (int, str)),  # noqa: UP007 - the older way to write a union
        (Optional[float], (float, type(None))),  # noqa: UP045
        (tuple[int, ...], (tuple[int, ...],)),
    ],
)
def test_the_members_of_a_union(hint, members):
    assert parts(hint) == members


@pytest.mark.parametrize(
    ("hint", "values"),
    [
        (Literal["a", "b"], ("a", "b")),
        (Literal["a", 3] | None, ("a", 3)),
        (Literal["a"] | Literal["c"] | int, ("a", "c")),
        (str, ()),
        (list[Literal["a"]], ()),
    ],
)
def test_the_values_of_a_literal(hint, values):
    assert choices(hint) == values
