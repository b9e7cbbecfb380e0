"""Before training: given mels on another scale than the front end's are refused, with the command that converts them."""

from __future__ import annotations

import logging
import shlex
from typing import TYPE_CHECKING

import numpy as np
import torch

from polygan import ConfigError

from ..data.facts import info_of
from ..data.mels import FOLDER
from .evidence import Pair
from .scale import loudness, scale_of

if TYPE_CHECKING:
    from polygan import Split

    from ..front_end import MelConfig
    from ..networks.melspec import MelSpec
    from .scale import Scale

_LOGGER = logging.getLogger("polygan")
_COMPARED = 12  # recordings


def check_given(config: MelConfig, split: Split) -> None:
    """Compare given mels of a training split with the mels of their recordings. Without given mels nothing happens.

    Nothing is compared where the mels' own front end is known (``mels_front_end``, `refuse_other_front_end`): a model's mels may be far
    from the recordings' and are on the scale of its front end.
    Raises ConfigError for mels that are surely on another scale. What may be right (louder mels, another front end, frames that
    are late, mels of other recordings) is one warning.
    """
    store, info = split.store, info_of(split.store.info)
    if "mel" not in store.fields or info.get("mels_scale") == "keep" or "mels_front_end" in info:
        return
    spec = config.front_end(info["sample_rate"])
    if (info.get("n_mels"), info.get("mel_hop")) != (spec.n_mels, spec.hop_length):
        return  # the recipe says so
    rows = split.rows[:: max(1, len(split.rows) // _COMPARED)][:_COMPARED].tolist()
    scale = scale_of((_pair(split, row) for row in rows), spec)
    if scale is None:
        return
    told = f"the given mels (data.mels) are {scale.said()}, compared with {scale.files} recordings"
    keep = "--data.mels_scale keep takes them as they are"
    if not scale.known:
        _LOGGER.warning("polygan: %s; check that each NAME.npy is of the recording NAME", told)
    elif not scale.right and scale.sure:
        raise ConfigError(f"{told}, and the front end reads {spec.log}; {_remedy(scale, config, split)}; {keep}")
    elif fault := _doubts(scale):
        remedy = _remedy(scale, config, split)
        _LOGGER.warning("polygan: %s, and the front end reads %s: %s; %s", told, _brief(spec), fault, remedy)


def _pair(split: Split, row: int) -> Pair:
    waveform = torch.from_numpy(split.store.item("waveform", row).astype(np.float32) / 32768)
    return Pair(waveform, torch.from_numpy(split.store.item("mel", row).T.copy()))


def _brief(spec: MelSpec) -> str:
    return f"{spec.log} of magnitudes, {spec.fmin:g} to {spec.top:g} Hz"


def _doubts(scale: Scale) -> str:
    """What is odd with mels that may be right; empty: nothing."""
    found = [] if scale.right else ["another scale"]
    if said := loudness(scale):
        found.append(said)
    if late := scale.found.shift:
        found.append(f"they are {abs(late)} frame{'s' if abs(late) > 1 else ''} {'late' if late > 0 else 'early'}")
    if scale.other_front_end:
        found.append(f"they fit another front end better ({scale.other_front_end})")
    return ", ".join(found)


def _remedy(scale: Scale, config: MelConfig, split: Split) -> str:
    """What to type. Mels of a preset need no conversion."""
    preset = scale.preset()
    if preset and scale.other_front_end:
        return f"these are mels of {preset}"
    if not scale.convertible:
        return "make the mels again with the front end of the recipe"
    read = split.store.read.get("read", {})
    facts = {fact["name"]: fact["text"] for fact in read.get("facts", ())}
    mels, recordings = facts.get(FOLDER, "MELS"), read.get("source", "RECORDINGS")
    words = ["polygan", "mels", "check", mels, "--data", recordings]
    words += [] if config.mel == "hifigan" else ["--mel", config.mel]
    words += [
        word for name, value in config.numbers().items() if value is not None for word in (f"--{name}", f"{value:g}")
    ]
    info = info_of(split.store.info)
    words += ["--sample_rate", str(info["sample_rate"])] if info.get("resampled") else []
    out = f"{mels.rstrip('/')}-converted"
    numbers = scale.numbers
    here = (
        "" if numbers is None or scale.right else f", or set --data.mels_normalised {numbers[0]:.6g} {numbers[1]:.6g}"
    )
    return f"convert them with `{shlex.join([*words, '--out', out])}` and set --data.mels {shlex.quote(out)}{here}"
