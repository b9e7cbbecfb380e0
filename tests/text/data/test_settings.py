"""The settings of data that are refused."""

from __future__ import annotations

import pytest

from polygan import ConfigError
from polygan_text.data.settings import MadeUpSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocabulary": 4}, "data.vocabulary = 4 is too small"),
        ({"max_length": 1}, "data.max_length = 1"),
        ({"max_megabytes": 0}, "data.max_megabytes = 0"),
        ({"too_long": "keep"}, "known are cut, drop"),
        ({"min_count": 0}, "data.min_count"),
        ({"size": 1}, "data.size"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(ConfigError, match=message):
        MadeUpSettings(**settings)
