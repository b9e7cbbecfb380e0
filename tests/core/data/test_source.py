"""A field knows whether its samples differ in length, a source names its samples, and shares of data have bounds."""

from __future__ import annotations

import pytest
from listed_source import numbers

from polygan.data.source import DataSettings, Field, Source
from polygan.errors import ConfigError


@pytest.mark.parametrize(
    ("shape", "ragged"), [((), False), ((3,), False), ((None,), True), ((None, 80), True), ((80, None), False)]
)
def test_a_field_is_ragged_where_its_first_length_is_open(shape, ragged):
    assert Field("float32", shape).ragged is ragged


def test_a_sample_without_a_file_is_named_by_its_number():
    assert Source.name(numbers(8), 7) == "sample 7"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"held_out": 0.95}, r"data.held_out = 0.95 is outside \[0, 0.9\]"),
        ({"held_out": -0.1}, r"data.held_out = -0.1 is outside"),
        ({"max_bad": 1.5}, r"data.max_bad = 1.5 is outside \[0, 1\]"),
    ],
)
def test_shares_outside_their_range_are_refused_as_users_type_them(values, message):
    with pytest.raises(ConfigError, match=message):
        DataSettings(**values)
    assert DataSettings(held_out=0.9, max_bad=1).max_bad == 1
