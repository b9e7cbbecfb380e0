"""The settings of a mel front end, which vocoders and all that makes mels share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from polygan import Checked

from .networks import melspec

if TYPE_CHECKING:
    from .networks.melspec import MelSpec


@dataclass(frozen=True, kw_only=True)
class MelConfig(Checked, group="model"):
    """The mel front end, whose numbers None leaves to the preset."""

    mel: Literal["hifigan", "tacotron2", "vocos", "parallel_wavegan", "speecht5", "bigvgan_44k", "vocos_48k"] = (
        "hifigan"
    )
    """Preset of the mel front end, at the data's sample rate."""
    n_fft: int | None = None
    """Samples of the Fourier transform."""
    win_length: int | None = None
    """Samples of the window; where only n_fft is set: as many as n_fft."""
    hop_length: int | None = None
    """Samples between frames."""
    n_mels: int | None = None
    """Bands."""
    fmin: float | None = None
    """Lower end of the lowest band in Hz."""
    fmax: float | None = None
    """Upper end of the highest band in Hz."""

    def front_end(self, rate: int) -> MelSpec:
        """The front end for sound of ``rate`` Hz. ConfigError for numbers that cannot work."""
        return melspec.resolve(self.mel, rate, **self.numbers())

    def numbers(self) -> dict[str, float | None]:
        """The numbers of the front end that may be set."""
        names = ("n_fft", "win_length", "hop_length", "n_mels", "fmin", "fmax")
        return {name: getattr(self, name) for name in names}
