"""Players of a report: sound to hear beside its picture, with a caption."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from polygan import Sound

from ..networks.griffinlim import griffin_lim, invertible
from . import drawing, files
from .facts import extra_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from polygan import Samples

    from ..networks.melspec import MelSpec

MOST = 10
"""Players of a view."""
SECONDS = 10
"""Of each that are played."""


def player(samples: Samples, index: int, role: str = "") -> Sound:
    """Up to 10 s of one sample with its picture. ``role`` stands first in the caption: made, recorded."""
    rate, waveform = extra_of(samples)["sample_rate"], samples.data[index]
    shown = waveform[: SECONDS * rate].detach().float().cpu().nan_to_num(0, 0, 0)
    share = len(shown) / max(1, len(waveform))
    picture = drawing.picture(shown.numpy(), rate, _alignment(samples, index, share))
    return Sound(files.wav_bytes(shown, rate), rate, caption(samples, index, role), picture)


def pairs(given: Samples, made: Samples, truth: Samples | None) -> list[Sound]:
    """Each made sample, and behind it the recording of the same words, or the recording that it was made from."""
    other, role = (given, "given") if truth is None else (truth, "recorded")
    shown = range(min(len(made), len(other), MOST))
    return [one for i in shown for one in (player(made, i, "made"), player(other, i, role))]


def resyntheses(made: Samples, truth: Samples) -> list[Sound]:
    """Each made sound, its recording and, where the front end is known, Griffin-Lim from the recording's mel, under one number."""
    spec, found = extra_of(made).get("front_end"), []
    spec = spec if spec is not None and invertible(spec) else None
    for i in range(min(len(made), len(truth), MOST)):
        found += [player(made, i, f"{i + 1} made"), player(truth, i, f"{i + 1} recorded")]
        clip = truth.data[i][: SECONDS * extra_of(truth)["sample_rate"]].detach().float().cpu()
        if spec is not None and len(clip) > spec.pad:
            given = extra_of(truth).get("mel")
            mel = spec(clip) if given is None else given[i][:, : len(clip) // spec.hop_length].float()
            sound = _griffin_lim(spec, mel.contiguous().numpy().tobytes(), len(clip))
            origins = truth.origins[i : i + 1]
            again = replace(
                truth, data=[sound], labels=None, names=(), origins=origins, extra={**truth.extra, "text": ()}
            )
            found.append(player(again, 0, f"{i + 1} Griffin-Lim from its mel, no training"))
    return found


@lru_cache(maxsize=MOST)
def _griffin_lim(spec: MelSpec, mel: bytes, length: int) -> Tensor:
    """Griffin-Lim of a log-mel's float32 numbers; kept, since a report plays the same recordings again and again."""
    numbers = torch.frombuffer(bytearray(mel), dtype=torch.float32)
    return griffin_lim(spec, numbers.view(spec.n_mels, -1), length)


def resynthesised(made: Samples, truth: Samples | None) -> bool:
    """Whether made samples have the lengths of their recordings: the same sound again, whose columns stand side by side."""
    return truth is not None and [len(x) for x in made.data] == [len(x) for x in truth.data]


def _alignment(samples: Samples, index: int, share: float) -> np.ndarray | None:
    """The first ``share`` of the alignment (frames, symbols) of a sample; None where there is none."""
    found = extra_of(samples).get("alignment", ())
    if index >= len(found) or found[index].ndim != 2:
        return None
    frames = math.ceil(share * len(found[index]))
    return found[index][:frames].detach().float().cpu().numpy()


def caption(samples: Samples, index: int, role: str = "") -> str:
    """Role, name or file, speaker, length and transcript, as far as there are such."""
    extra = extra_of(samples)
    seconds = len(samples.data[index]) / extra["sample_rate"]
    length = f"{seconds:.1f} s" if seconds <= SECONDS else f"the first {SECONDS} s of {seconds:.1f} s"
    names = samples.names or samples.origins
    name, text = (str(texts[index]) if texts else "" for texts in (names, extra.get("text", ())))
    speaker = (samples.class_names() or [""] * len(samples))[index]
    return " – ".join(filter(None, (role, name, speaker, length, text)))
