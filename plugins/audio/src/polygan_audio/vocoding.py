"""From the mels that a recipe makes to sound: a trained vocoder by its name, or Griffin and Lim's iterations."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from polygan import ConfigError, Run, Samples, load

from .networks.excitation import GriffinLim
from .networks.griffinlim import ITERATIONS, UPDATES, griffin_lim, invertible
from .vocoder import Vocoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from .networks.frontend import FrontEnd
    from .networks.melspec import MelSpec

    Decoder = Callable[[Tensor], Tensor]

GRIFFIN_LIM = "griffin-lim"
"""The name of the decoder that needs no training (Perraudin et al. 2013)."""
_RUNS = Path("runs")


def decoder(name: str, spec: MelSpec, device: torch.device | str = "cpu", runs: Path | None = None) -> Decoder:
    """A function from log-mels (n_mels, F) of ``spec`` to sound, float32 (F * hop_length,) in [-1, 1], on the CPU.

    ``name`` is ``griffin-lim``, or a trained vocoder: the folder of a run, an exported file, or the name of a run in ``runs/`` or in
    the folder ``runs``, usually that of the run that makes the mels (`Recipe.runs`).
    Raises ConfigError for what is no vocoder, and for a vocoder of another front end than ``spec``.
    """
    if name == GRIFFIN_LIM:
        _check_hops(spec)
        return lambda mel: _sound(griffin_lim(spec, mel.float().cpu(), mel.shape[1] * spec.hop_length))
    run = _trained(name, spec, device, runs)

    def decode(mel: Tensor) -> Tensor:
        given = {"sample_rate": spec.sample_rate, "mel": [mel.detach().float().cpu()]}
        made = run.generate(given=Samples([torch.zeros(0)], run.domain, extra=given))
        return _sound(cast("list[Tensor]", made.data)[0])

    return decode


def network(name: str, spec: MelSpec, runs: Path | None = None) -> FrontEnd:
    """The network from log-mels (B, n_mels, F) of ``spec`` to sound (B, F * hop_length) that `decoder` runs, on the CPU.

    For ``griffin-lim``, `excitation.GriffinLim`, which an export to ONNX can follow, with half of the usual iterations: browsers are slow.
    Raises ConfigError as `decoder`.
    """
    if name == GRIFFIN_LIM:
        _check_hops(spec)
        return GriffinLim(spec, ITERATIONS // 2, UPDATES // 2).eval()
    return cast("FrontEnd", _trained(name, spec, "cpu", runs).networks["generator"])


def _check_hops(spec: MelSpec) -> None:
    if not invertible(spec):
        raise ConfigError(
            f"vocoder = {GRIFFIN_LIM}: hops of {spec.hop_length} samples do not overlap in windows of {spec.win_length}; name a "
            "trained vocoder with --vocoder RUN"
        )


def _trained(name: str, spec: MelSpec, device: torch.device | str, runs: Path | None) -> Run:
    """The run or the exported file of a vocoder of the front end ``spec``."""
    path = _place(name, runs)
    run = _opened(path, _version(path), str(device))
    recipe = run.recipe
    if not isinstance(recipe, Vocoder):
        raise ConfigError(
            f"vocoder = {name!r} is a run of {run.settings.recipe}, which is no vocoder; name a run of audio/vocos or "
            "audio/hifigan, or griffin-lim"
        )
    if found := recipe.mel.differences(spec.facts()):
        raise ConfigError(
            f"vocoder = {name!r} was trained with another mel front end than these mels ({found}): the mels have {spec}, the vocoder has "
            f"{recipe.mel}; name a vocoder of the same front end, or griffin-lim"
        )
    return run


def _sound(waveform: Tensor) -> Tensor:
    return waveform.float().cpu().clamp(-1, 1)


def _place(name: str, runs: Path | None) -> Path:
    """The run or the exported file that a name means. Raises ConfigError, with every place that was looked at."""
    path = Path(name).expanduser()
    folders = [_RUNS, *([runs] if runs is not None and runs.absolute() != _RUNS.absolute() else [])]
    for place in (path, *(folder / name for folder in folders)) if name else ():
        if place.exists() if place is path else place.is_dir():
            return place
    tried = " and ".join(str(folder / name) for folder in folders)
    raise ConfigError(
        f"vocoder = {name!r} is neither a run nor an exported file, and {tried} {'do' if len(folders) > 1 else 'does'} not exist; "
        "give the path of a trained vocoder, or griffin-lim"
    )


def _version(path: Path) -> int:
    """A number that changes where a run gets another checkpoint, or a file other content."""
    checkpoints = path / "checkpoints"
    return (checkpoints if checkpoints.is_dir() else path).stat().st_mtime_ns


@lru_cache(maxsize=2)
def _opened(path: Path, version: int, device: str) -> Run:
    """The run at ``path``. It is kept: opening takes longer than a short sound."""
    del version
    return load(path, device=device)
