"""From one sample rate to another, by the filter of resampy and librosa."""

from __future__ import annotations

import math
from functools import lru_cache

from torchaudio.transforms import Resample

from polygan import DataError

_KERNEL = 1 << 22  # weights of a resampling filter
# "Kaiser best" of resampy and librosa: 64 zero crossings, stop band below -100 dB.
_FILTER = {
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}


def grid(own: int, rate: int) -> int:
    """Samples of a file at ``own`` Hz between moments that are samples at ``rate`` Hz too."""
    return own // math.gcd(own, rate)


def resampler(own: int, rate: int) -> tuple[Resample, int, int]:
    """The filter, `grid`, and the samples that it sees to each side. DataError where the filter would be too large."""
    unit, out = grid(own, rate), grid(rate, own)
    width = math.ceil(_FILTER["lowpass_filter_width"] * unit / (min(unit, out) * _FILTER["rolloff"]))
    if out * (2 * width + unit) > _KERNEL:
        raise DataError(
            f"{own:,} Hz cannot be resampled to {rate:,} Hz, their common divisor {math.gcd(own, rate)} is too small; "
            "resample it with another program"
        )
    return _cached_resample(own, rate), unit, width


@lru_cache(maxsize=16)
def _cached_resample(own: int, rate: int) -> Resample:
    return Resample(own, rate, **_FILTER)
