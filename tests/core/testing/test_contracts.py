"""Where two values differ, as the checks show it."""

from __future__ import annotations

import pytest
import torch

from polygan.testing.watched import difference


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]), ("[1]", "2.0", "2.5")),
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")]), None),
        (torch.tensor([1.0]), torch.tensor([float("nan")]), ("[0]", "1.0", "nan")),
        (torch.zeros(2), torch.zeros(3), ("", "torch.float32 (2,)", "torch.float32 (3,)")),
        ([torch.zeros(1), torch.tensor(3)], [torch.zeros(1), torch.tensor(4)], ("[1]", "3", "4")),
        ({"a": [1, "x"]}, {"a": [1, "y"]}, (".a[1]", "'x'", "'y'")),
        ({"a": 1}, {"b": 1}, ("", "the names a", "the names b")),
        ([1], [1, 2], ("", "1 entries", "2 entries")),
        (1, True, ("", "1", "True")),
        ({"a": (1, 2)}, {"a": (1, 2)}, None),
    ],
)
def test_where_two_values_differ(a, b, found):
    assert difference(a, b) == found


def test_a_tolerance_is_absolute():
    assert difference(torch.tensor([1.0]), torch.tensor([1.1]), tolerance=0.2) is None
    assert difference(torch.tensor([1.0]), torch.tensor([1.3]), tolerance=0.2) == (
        "[0]",
        "1.0",
        repr(torch.tensor(1.3).item()),
    )
