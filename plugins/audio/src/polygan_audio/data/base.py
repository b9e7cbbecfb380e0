"""What all sources of sound share."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from polygan import DataError, Field, Source

from . import files
from .facts import AudioInfo, SourceFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import AudioSettings

SILENT = 1e-4
"""Peak below which a sample is silence only: -80 dB of full scale."""
_VERSION = 1  # of what `decode` returns for the same file and settings
_DERIVED = ("longest", "symbols", "mels_scale")  # facts that follow from other things that a fingerprint covers


class SoundSource(Source):
    """Fields, facts and the treatment of samples that all sources share: ``waveform`` int16 (T,), mono."""

    settings: AudioSettings

    def _describe(
        self,
        settings: AudioSettings,
        rate: int,
        seconds: float,
        short: int,
        facts: SourceFacts,
        more: Mapping[str, Field] | None = None,
        longest: int = 0,
    ) -> None:
        """Set ``fields`` and ``info``; ``short`` of the clips are shorter than a segment, the longest has ``longest`` samples."""
        self.settings = settings
        self.fields = {"waveform": Field("int16", (None,)), **(more or {})}
        own = AudioInfo(
            sample_rate=rate,
            segment=settings.segment,
            seconds=round(seconds, 3),
            short=f"{short} {'dropped' if settings.short == 'drop' else 'padded'}",
            longest=longest,
        )
        if settings.crop != "random":
            own["crop"] = settings.crop
        self.info = {**own, **facts}

    def _refuse_empty(self, kept: int, rate: int) -> None:
        if not kept:
            raise DataError(
                f"every clip of {self.settings.source!r} is shorter than a segment of {self.settings.segment} samples "
                f"({self.settings.segment / rate:.3f} s at {rate:,} Hz); lower --data.segment or use --data.short pad"
            )

    def _int16(self, waveform: np.ndarray) -> np.ndarray:
        """Floats (T,) as the store keeps them. DataError for silence, and for one too short where such are dropped."""
        rate, segment = self.info["sample_rate"], self.info["segment"]
        if self.settings.short == "drop" and len(waveform) < segment:
            raise DataError(f"{len(waveform) / rate:.3f} s are left, less than a segment of {segment} samples")
        if not len(waveform) or np.abs(waveform).max() < SILENT:
            raise DataError(f"holds silence only (peak below {20 * np.log10(SILENT):.0f} dB of full scale)")
        return files.to_int16(waveform)[0]

    def _fingerprint(self, *facts: object) -> str:
        facts = (_VERSION, {k: v for k, v in self.info.items() if k not in _DERIVED}, *facts)
        return hashlib.blake2b(repr(facts).encode(), digest_size=16).hexdigest()
