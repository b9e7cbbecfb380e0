"""The settings of sound that are refused."""

from __future__ import annotations

import pytest

from polygan import ConfigError
from polygan_audio.data.settings import TonesSettings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"sample_rate": 100},
            r"data\.sample_rate = 100 is not allowed; use 0 or \[1000, 768000\]; 0 keeps the files' own",
        ),
        ({"segment": -1}, r"data\.segment = -1 is too small; the least is 0"),
        ({"longest_seconds": 0.5}, r"data\.longest_seconds = 0\.5 is outside \[1, 600\]"),
        ({"speakers": "rows"}, r"data\.speakers = 'rows' is unknown; known are none, folders, column"),
        ({"hop_length": 0}, r"data\.hop_length = 0 is too small"),
        ({"size": 1}, r"data\.size = 1 is too small; the least is 2"),
        ({"tones_seed": -1}, r"data\.tones_seed = -1 is too small"),
        ({"trim": -3.0}, r"data\.trim = -3\.0 is too small"),
        ({"short": "cut"}, r"data\.short = 'cut' is unknown; known are pad, drop"),
        ({"normalize": "rms"}, r"data\.normalize = 'rms' is unknown; known are none, peak"),
        ({"piece_seconds": 0.5}, r"data\.piece_seconds = 0\.5 is outside \[1, 600\]; 30 is usual"),
        ({"max_channels": 0}, r"data\.max_channels = 0 is outside \[1, 1024\]"),
        (
            {"mels": "x", "segment": 8000},
            r"data\.segment = 8000 is not a multiple of data\.hop_length = 256 \(8000 / 256 = 31\.25 frames\); use e\.g\. 7936",
        ),
        ({"mels": "x", "trim": 40.0}, r"data\.trim = 40\.0 would change recordings that the mels"),
        ({"mels": "x", "normalize": "peak"}, r"data\.normalize = peak would change recordings that the mels"),
        ({"held_out": 2.0}, r"data\.held_out = 2\.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        TonesSettings(**settings)
