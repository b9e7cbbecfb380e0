"""What the components of the page show becomes samples, and samples become HTML. Every fault is one line in the page."""

from __future__ import annotations

import math
import sys
import traceback
from typing import TYPE_CHECKING, Any

from polygan import ConfigError, PolyganError

from . import showing
from .components import ANY
from .options import changed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .stage import Stage

MOST = 16
"""The most samples that the page shows at once."""
SEED, BETWEEN, GIVEN, DATA = "seed", "between", "given", "data"


def play(stage: Stage, values: Mapping[str, Any]) -> Iterator[str]:
    """HTML for the values of the components by name; a fault is one line, and its traceback goes to the terminal if polygan did not expect it."""
    try:
        yield from _played(stage, values)
    except PolyganError as error:
        yield showing.error_html(_line(str(error)))
    except Exception as error:  # a fault of a recipe must not end the page
        traceback.print_exc(file=sys.stderr)
        yield showing.error_html(f"{type(error).__name__}: {_line(str(error))}")


def _line(text: str) -> str:
    return " ".join(text.split())[:1000]


def _played(stage: Stage, values: Mapping[str, Any]) -> Iterator[str]:
    options = changed(stage.offered, (values[f"option/{option.name}"] for option in stage.offered))
    label = _label(stage, values.get("class", ANY))
    moves = [_number("direction", values.get(f"direction/{i}")) for i in range(stage.moves)]
    mode = values["mode"]
    if mode == SEED:
        n = _whole("samples", values["n"], 1, MOST)
        for samples in stage.make(n, _seed(values["seed"]), label, moves, options):
            yield showing.samples_html(stage, samples)
    elif mode == BETWEEN:
        seeds = _seed(values["from"]), _seed(values["to"])
        here, way = stage.between(seeds, _place(values["place"]), label, moves, options)
        yield showing.samples_html(stage, here, title="Here") + showing.samples_html(
            stage, way, title=f"The whole way, from seed {seeds[0]} to seed {seeds[1]}"
        )
    elif mode == GIVEN:
        yield from _from_given(stage, values, label, options)
    elif mode == DATA:
        number = _whole("number", values["number"], 0, 2**31)
        yield _from_data(stage, number, _seed(values["given seed"]), label, options)
    else:
        raise ConfigError(f"mode = {mode!r} is unknown; reload the page")


def _from_given(
    stage: Stage, values: Mapping[str, Any], label: int | None, options: Mapping[str, Any]
) -> Iterator[str]:
    seed = _seed(values["given seed"])
    path = next((values[name] for name in ("file", "picture", "sound") if values.get(name)), None)
    if path:
        made = stage.of_file(path, seed, label, options)
    elif str(values.get("text") or "").strip():
        made = stage.of_text(values["text"], seed, label, options)
    else:
        yield _first(stage, seed, options)
        return
    last = None
    for last in made:
        yield showing.samples_html(stage, last)
    if last is not None and stage.run.domain.writes:
        yield showing.samples_html(stage, last, download=True)


def _first(stage: Stage, seed: int, options: Mapping[str, Any]) -> str:
    """What the page shows before a user hands something in: a sample of the run's data where it is at hand."""
    hint = "Hand something in on the left, and what the run makes of it appears here."
    if stage.can.from_noise or not stage.has_data:
        return showing.hint_html(hint)
    try:
        return showing.hint_html(f"{hint} Until then: a sample of the run's own data.") + _from_data(
            stage, 0, seed, None, options
        )
    except PolyganError:  # the data is elsewhere
        return showing.hint_html(hint)


def _from_data(stage: Stage, number: int, seed: int, label: int | None, options: Mapping[str, Any]) -> str:
    return showing.pieces_html(stage.of_data(number, seed, label, options)[0])


def _label(stage: Stage, value: Any) -> int | None:
    if value in (None, ANY, str(ANY)) or not stage.can.classes:
        return None
    return _whole("class", value, 0, len(stage.can.classes) - 1)


def _place(value: Any) -> float:
    place = _number("place", value)
    if not 0 <= place <= 1:
        raise ConfigError(f"place = {value} is outside [0, 1]")
    return place


def _seed(value: Any) -> int:
    return _whole("seed", value, 0, 2**63 - 1)


def _whole(name: str, value: Any, low: int, high: int) -> int:
    number = _number(name, value)
    if not number.is_integer() or not low <= number <= high:
        raise ConfigError(f"{name} = {value} is no whole number from {low:,} to {high:,}")
    return int(value)


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{name} = {value!r} is no number")
    return number
