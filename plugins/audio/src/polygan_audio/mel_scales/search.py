"""Which front end and which map explain given mels best."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from polygan import ConfigError

from ..networks.melspec import NORMS, PADDINGS, PRESETS, SCALES
from .evidence import SHIFTS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..networks.melspec import MelSpec
    from .evidence import Evidence, Map

_CLEAR = 0.7
"""Share of the residual that a front end with other numbers must leave to be named: mels that a network made fit all about as well."""
_SIMPLER = 0.6
"""Share of the residual that a map by band or by file must leave."""
_EXACT = 0.05
"""Residual in nats that mels of the very front end do not exceed."""


class Explained(NamedTuple):
    """The front end and the map that explain given mels best."""

    kind: Kind
    shift: int
    """Frames by which the mels are late."""
    by: str
    """``all``, ``bands`` or ``files``: whose map it is."""
    map: Map


def explain(evidence: Evidence, spec: MelSpec) -> Explained | None:
    """The simplest explanation of given mels, ``spec`` first. None where the recordings are too short or silent to tell."""
    ours = Kind(spec)
    if (found := _explained(evidence, ours)) is None:
        return None
    if found.map.residual < _EXACT and found.map.correlation > 0.99:
        return found
    positive = bool((evidence.values >= 0).all())
    starts = [
        kind
        for kind in _starts(spec)
        for kind in ([kind, dataclasses.replace(kind, logged=False)] if positive else [kind])
    ]
    usual, found = found, _aligned(evidence, [ours, *starts], found)
    tried = [e for kind in [ours, *starts] if (e := _explained(evidence, kind, found.shift))]
    best = _descended(evidence, min(tried or [usual], key=lambda e: e.map.residual))
    plain = _explained(evidence, ours, found.shift)
    if plain is not None and best.map.residual > _CLEAR * plain.map.residual:
        best = plain
    for by in ("files", "bands"):
        for kind in _with_power(ours, best.kind, found.kind) if best.map.residual > _EXACT else ():
            other = _explained(evidence, kind, best.shift, by)
            if other and other.map.residual < _SIMPLER * best.map.residual:
                best = other
    return best


def _with_power(*kinds: Kind) -> list[Kind]:
    """Each kind, and the same of magnitudes or of power."""
    return [*dict.fromkeys(dataclasses.replace(kind, power=power) for kind in kinds for power in (False, True))]


def _explained(evidence: Evidence, kind: Kind, shift: int = 0, by: str = "all") -> Explained | None:
    try:
        found = evidence.fit(kind, shift, by)
    except ConfigError:  # a preset that this sample rate or these short clips do not allow
        return None
    return found and Explained(kind, shift, by, found)


def _aligned(evidence: Evidence, kinds: list[Kind], usual: Explained) -> Explained:
    """The best kind and shift under maps by band, which any of the scales fits."""
    tried = [_explained(evidence, kind, 0, "some") for kind in kinds]
    known = [e for e in tried if e]
    if not known:
        return usual
    best = min(known, key=lambda e: e.map.residual)
    padded = [dataclasses.replace(best.kind, spec=spec) for spec in _padded(best.kind.spec)]
    shifted = [_explained(evidence, kind, shift, "some") for kind in padded for shift in SHIFTS if shift]
    late = min([best, *(e for e in shifted if e)], key=lambda e: e.map.residual)
    return late if late.map.residual < _CLEAR * best.map.residual else best


def _padded(spec: MelSpec) -> Iterator[MelSpec]:
    """The front end with each padding that it can have."""
    for padding in PADDINGS:
        with suppress(ConfigError):
            yield dataclasses.replace(spec, padding=padding)


def _starts(spec: MelSpec) -> Iterator[Kind]:
    """Magnitudes and power of each preset at the sample rate, hop and number of bands of ``spec``."""
    own = {name: getattr(spec, name) for name in ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels")}
    for preset in (spec, *PRESETS.values()):
        for power in (False, True):
            with suppress(ConfigError):
                yield Kind(dataclasses.replace(preset, **own, log=spec.log, floor=spec.floor), power)


def _changes(spec: MelSpec) -> Iterator[dict[str, Any]]:
    """Other numbers that front ends in use have, one change at a time."""
    yield from ({"padding": p} for p in PADDINGS)
    yield from ({"scale": s, "norm": n} for s in SCALES for n in NORMS)
    yield from ({"fmin": float(f)} for f in (0, 20, 40, 50, 55, 60, 70, 80, 90, 95, 125))
    yield from ({"fmax": f} for f in (None, 7000.0, 7600.0, 8000.0, 10_000.0, 11_000.0, 11_025.0, 12_000.0, 16_000.0))
    for n_fft, window in (
        (512, 400),
        (512, 512),
        (1024, 600),
        (1024, 800),
        (1024, 1024),
        (2048, 1024),
        (2048, 1100),
        (2048, 1200),
        (2048, 2048),
    ):
        yield {"n_fft": n_fft, "win_length": window}


def _descended(evidence: Evidence, best: Explained) -> Explained:
    """One number after the other, twice, each where it leaves least."""
    for _ in range(2):
        before = best.map.residual
        for change in _changes(best.kind.spec):
            try:
                kind = dataclasses.replace(best.kind, spec=dataclasses.replace(best.kind.spec, **change))
            except ConfigError:
                continue
            other = _explained(evidence, kind, best.shift)
            if other and other.map.residual < 0.98 * best.map.residual:
                best = other
        if best.map.residual > 0.98 * before or best.map.residual < 1e-3:
            break
    return best
