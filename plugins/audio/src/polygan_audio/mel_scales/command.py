"""The command ``polygan mels check``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from polygan import Checked, ConfigError, load, ranged, read_options

from ..data.domain import AudioDomain
from ..data.settings import AudioSettings
from ..data.sources import RecordingSource
from ..front_end import MelConfig
from ..vocoder import Vocoder
from .folder import Comparison, Mels, compare

if TYPE_CHECKING:
    from ..networks.melspec import MelSpec

_RATE = 22_050  # where neither recordings nor a run tell


@dataclass(frozen=True, kw_only=True)
class Check(MelConfig, Checked, group=""):
    """Find the scale of a folder of mels, and convert the mels to what a recipe reads."""

    action: Literal["check"] = "check"
    """`check`."""
    mels: str = ""
    """The folder of mels, NAME.npy or NAME.safetensors of shape (bands, frames)."""
    data: str = ""
    """The recordings that the mels were made of, NAME.wav and so on; the mels are compared with the recordings' own."""
    run: str = ""
    """A run, or an exported or imported vocoder, whose front end the mels are for; empty: the front end of the options below."""
    out: str = ""
    """A new folder for the converted mels."""
    normalised: tuple[float, ...] = ()
    """Mean and deviation of a scale that is known: mels become mel * DEVIATION + MEAN. Recordings are not needed then."""
    sample_rate: int = ranged(0, "[0, inf)")
    """Hz that recordings are resampled to; 0: their own."""
    files: int = ranged(100, "[1, inf)")
    """Mels that are compared with their recordings, at even distances."""
    each: bool = False
    """A line for each file that was compared."""


def main(words: list[str]) -> None:
    """Print how mels differ from what a front end reads, and write the converted ones."""
    options = read_options("mels", Check, words, first=("action", "mels"))
    if options is None:
        return
    if options.normalised and (len(options.normalised) != 2 or options.normalised[1] <= 0):
        raise ConfigError(
            f"normalised = {list(options.normalised)} is not a mean and a deviation above 0; write e.g. --normalised -5.2 2.1"
        )
    if options.normalised and not options.data and not options.out:
        raise ConfigError("--normalised alone compares nothing; add --data RECORDINGS, or --out FOLDER to convert")
    if not options.data and not options.normalised:
        raise ConfigError(
            "mels are compared with recordings: add --data RECORDINGS (or --normalised MEAN DEVIATION and --out)"
        )
    mels = Mels(Path(options.mels).expanduser())
    mels.check_place(options.out)
    spec = _of_run(options)
    found = None
    if options.data:
        source = _recordings(options, spec)
        found = compare(source, spec or _of_options(options, source.rate), options.files)
        for line in found.lines(each=options.each):
            print(line)
    if options.out:
        made = mels.convert(
            Path(options.out).expanduser(), found, spec or _of_options(options, _RATE), options.normalised
        )
        print(f"converted: {made:,} mels in {options.out}")
        if found and not options.normalised:
            again = compare(_recordings(options, found.spec, options.out), found.spec, options.files)
            print(f"now: {again.summary()}")


def _of_options(options: Check, rate: int) -> MelSpec:
    config = {f.name: getattr(options, f.name) for f in fields(MelConfig)}
    return MelConfig(**config).front_end(rate)


def _of_run(options: Check) -> MelSpec | None:
    """The front end of a vocoder, if the user names one. ConfigError for what is no vocoder."""
    if not options.run:
        return None
    recipe = load(options.run, device="cpu").recipe
    if not isinstance(recipe, Vocoder):
        raise ConfigError(
            f"run = {options.run!r} is no vocoder; name a run of audio/vocos, audio/hifigan or audio/parallel-wavegan"
        )
    return recipe.mel


def _recordings(options: Check, spec: MelSpec | None, mels: str = "") -> RecordingSource:
    """The recordings with their mels. DataError as for training: no mels, turned mels, another hop."""
    hop = spec.hop_length if spec else options.hop_length or 256
    rate = options.sample_rate or (spec.sample_rate if spec else 0)
    settings = AudioSettings(
        source=options.data, mels=mels or options.mels, hop_length=hop, segment=32 * hop, sample_rate=rate,
        mels_normalised=() if mels else options.normalised,
    )  # fmt: skip
    source = AudioDomain().open(settings)
    if not isinstance(source, RecordingSource):
        raise ConfigError(f"data = {options.data!r} are no recordings; name a folder")
    return source


__all__ = ["Check", "Comparison", "main"]
