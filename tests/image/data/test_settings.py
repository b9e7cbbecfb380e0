"""The settings of data that are refused."""

import pytest

from polygan import ConfigError
from polygan_image.domain import ImageSettings


def test_settings_are_checked():
    for options in (
        {"resolution": -1},
        {"channels": 2},
        {"fit": "stretch"},
        {"labels": "yes"},
        {"max_pixels": 0},
        {"max_pixels": 10**9},
        {"held_out": 2.0},
    ):
        with pytest.raises(ConfigError, match=f"data.{next(iter(options))}"):
            ImageSettings(**options)
