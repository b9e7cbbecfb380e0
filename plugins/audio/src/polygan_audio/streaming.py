"""Sound while its mels still come: a trained vocoder as an iterator from frames to pieces of sound."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch

from polygan import ConfigError, DataError, Noise, did_you_mean

from .vocoder import Sampling, Vocoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from torch import Tensor

    from polygan import Run

    from .synthesis import Synthesis


def stream(run: Run, mels: Iterable[Tensor | np.ndarray], *, seed: int = 0, **options: Any) -> Iterator[Tensor]:
    """Pieces (t,) of float32 sound on the CPU, from log-mels (n_mels, f) of the run's front end that follow each other.

    ``run`` is a vocoder that `polygan.load` opened. ``mels`` may have any lengths, a single frame too, and are asked for one by one: a
    piece comes as soon as its frames are there. Joined, the pieces are the sound of the joined mels, whole hops of it: to the bit for
    Parallel WaveGAN, within 1e-5 for others. ``seed``: of noise, where the vocoder hears any. ``options``: those of `Sampling`, e.g.
    ``latency="low"``. Raises ConfigError for a run that is no vocoder, DataError for a mel of other bands or with NaN.
    """
    recipe, synthesiser = _opened(run, options)

    def checked() -> Iterator[Tensor]:
        for i, mel in enumerate(mels):
            found = torch.as_tensor(mel).detach().float().cpu()
            if found.ndim != 2 or found.shape[0] != recipe.mel.n_mels:
                raise DataError(
                    f"mel {i} of the stream has the shape {[*found.shape]}; this vocoder takes [{recipe.mel.n_mels}, frames]"
                )
            if not bool(found.isfinite().all()):
                raise DataError(f"mel {i} of the stream holds values that are not finite (NaN or infinite)")
            yield found

    return synthesiser.stream(checked(), recipe.seeds(Noise("cpu", block=64).reset(seed), 1)[0])


def delay(run: Run, **options: Any) -> float:
    """Seconds of mel that `stream` with these options hears, at most, before the sound of the first of them comes.

    The time that the network computes comes on top. Raises ConfigError for a run that is no vocoder.
    """
    recipe, synthesiser = _opened(run, options)
    return synthesiser.delay * recipe.mel.hop_length / recipe.mel.sample_rate


def _opened(run: Run, options: Mapping[str, Any]) -> tuple[Vocoder[Any], Synthesis]:
    recipe = run.recipe
    if not isinstance(recipe, Vocoder):
        raise ConfigError(
            f"{run.folder} is of {run.settings.recipe}, which is no vocoder; name a run of audio/hifigan or another"
        )
    known = [field.name for field in fields(Sampling)]
    for name in options:
        if name not in known:
            raise ConfigError(
                f"unknown option {name!r} of a stream{did_you_mean(name, known)}; there are {', '.join(known)}"
            )
    return recipe, recipe.synthesiser(run.networks, Sampling(**options))
