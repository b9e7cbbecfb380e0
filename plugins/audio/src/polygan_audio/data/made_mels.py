"""What a folder of mels says of itself that a model made of recordings: its front end, and which recordings the model never saw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from polygan import ConfigError, DataError

from ..networks.melspec import MelSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

FILE = "mels.json"
"""The name of the file beside the mels."""
_FORMAT = 1
_LARGEST = 64 << 20  # bytes


class MadeMels(NamedTuple):
    """The content of `FILE`."""

    maker: str
    """The recipe and the step that made the mels."""
    front_end: MelSpec
    held_out: frozenset[str]
    """The recordings, by `plain_name`, that the maker was not trained on."""


def plain_name(name: str) -> str:
    """A recording's path below the data's root without folders ``wavs``, which some layouts count and others do not."""
    path = PurePath(name)
    return PurePath(*(part for part in path.parts[:-1] if part != "wavs"), path.name).as_posix()


def write_made(folder: Path, maker: str, front_end: MelSpec, held_out: Collection[str]) -> Path:
    """Write `FILE` into a folder; returns its path."""
    facts = {"format": _FORMAT, "maker": maker, "front_end": vars(front_end), "held_out": sorted(held_out)}
    (folder / FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return folder / FILE


def read_made(folder: Path) -> MadeMels | None:
    """What `write_made` wrote; None where the folder has no such file. DataError for a file that is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("too large")
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != _FORMAT:
            raise ValueError(f"format {facts['format']} instead of {_FORMAT}")
        front_end, held_out = MelSpec(**facts["front_end"]), facts["held_out"]
        if not isinstance(held_out, list) or not all(isinstance(name, str) for name in held_out):
            raise ValueError("held_out is no list of names")
        return MadeMels(str(facts["maker"]), front_end, frozenset(held_out))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, ConfigError) as error:
        raise DataError(
            f"{path} cannot be read ({' '.join(str(error).split())}); make the mels again, or remove the file"
        ) from None


def refuse_other_front_end(info: Mapping[str, Any], spec: MelSpec) -> None:
    """ConfigError where the facts of the data name another front end of the given mels than ``spec``; both are printed."""
    if not (facts := info.get("mels_front_end")) or info.get("mels_scale") == "keep":
        return
    theirs, ours = (replace(s, fmax=s.top) for s in (MelSpec(**facts), spec))
    if found := ours.differences(theirs.facts()):
        raise ConfigError(
            f"the given mels (data.mels) were made with another mel front end than this model's ({found}): the mels have {theirs}, the "
            f"model has {ours}; train both models with the same front end (--data.sample_rate, --model.mel, --model.n_fft, ...)"
        )
