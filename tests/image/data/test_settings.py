"""The settings of data that are refused."""

import pytest

from polygan import ConfigError
from polygan.settings.parser import build
from polygan_image.domain import ImageSettings


def test_settings_are_checked():
    for options in (
        {"resolution": -1},
        {"channels": 2},
        {"fit": "squeeze"},
        {"labels": "yes"},
        {"max_pixels": 0},
        {"background": "whit"},
        {"min_class": -1},
        {"min_class": 2, "labels": "none"},
        {"resolution": "0x64"},
        {"resolution": "64x9999"},
        {"resolution": "64 by 96"},
        {"resolution": ""},
        {"held_out": 2.0},
    ):
        with pytest.raises(ConfigError, match=f"data.{next(iter(options))}"):
            ImageSettings(**options)


@pytest.mark.parametrize(
    ("said", "kept", "size"),
    [(0, 0, (0, 0)), (64, 64, (64, 64)), ("64", 64, (64, 64)), ("96x64", "96x64", (96, 64)), ("64 X 64", 64, (64, 64)),
     ("96×64", "96x64", (96, 64))],
)  # fmt: skip
def test_a_resolution_is_a_side_or_width_x_height(said, kept, size):
    settings = ImageSettings(resolution=said)
    assert (settings.resolution, settings.size) == (kept, size)
    assert build(ImageSettings, {"resolution": str(said)}, "data").size == size  # as on the command line
    assert build(ImageSettings, {"resolution": settings.resolution}, "data") == settings  # as in config.yaml
