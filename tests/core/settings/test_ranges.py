"""Settings outside their range are refused by the name that users type, with the remedy."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

import pytest

import polygan
from polygan import ConfigError
from polygan.settings.parser import build
from polygan.settings.ranges import Interval


@dataclass(frozen=True)
class Config(polygan.Checked, group="model"):
    learning_rate: float = polygan.ranged(2e-4, "(0, 1]", usual="2e-4")
    """Of Adam."""
    width: int = polygan.ranged(64, "[1, inf)", usual=64)
    """Channels."""
    walk: int = polygan.ranged(0, "0 or [2, inf)")
    """Pictures in a walk."""
    betas: tuple[float, ...] = polygan.ranged((0.5, 0.9), "[0, 1)")
    """Of Adam."""
    limit: float | None = polygan.ranged(None, "(0, inf)", hint="leave it out for no limit")
    """Largest norm."""
    wait: float = polygan.ranged(1.0, "[0, inf]")
    """Seconds."""
    loss: Literal["hinge", "minimax"] = "hinge"
    """Loss."""
    channels: Literal[0, 1, 3] = 0
    """Channels."""
    label: Literal["auto"] | int | None = "auto"
    """A class."""


GOOD = [
    {"learning_rate": 1}, {"learning_rate": 1e-9}, {"width": 1}, {"walk": 0}, {"walk": 2}, {"betas": ()}, {"limit": None},
    {"limit": 1e30}, {"wait": math.inf}, {"loss": "minimax"}, {"channels": 3}, {"label": 7}, {"label": None},
]  # fmt: skip
BAD = [
    ({"learning_rate": 7}, "model.learning_rate = 7 is outside (0, 1]; 2e-4 is usual"),
    ({"learning_rate": 0.0}, "model.learning_rate = 0.0 is outside (0, 1]; 2e-4 is usual"),
    ({"learning_rate": math.nan}, "model.learning_rate = nan is not finite; use a number in (0, 1]; 2e-4 is usual"),
    ({"width": 0}, "model.width = 0 is too small; the least is 1; 64 is usual"),
    ({"width": math.inf}, "model.width = inf is not finite; use at least 1; 64 is usual"),
    ({"walk": 1}, "model.walk = 1 is not allowed; use 0 or at least 2"),
    ({"betas": (0.5, 1.0)}, "model.betas = (0.5, 1.0) is outside [0, 1)"),
    ({"limit": 0}, "model.limit = 0 is too small; use more than 0; leave it out for no limit"),
    ({"limit": math.inf}, "model.limit = inf is not finite; use more than 0; leave it out for no limit"),
    ({"wait": -math.inf}, "model.wait = -inf is not finite; use at least 0"),
    ({"loss": "hing"}, "model.loss = 'hing' is unknown (did you mean 'hinge'?); known are hinge, minimax"),
    ({"channels": 2}, "model.channels = 2 is unknown; known are 0, 1, 3"),
    ({"channels": True}, "model.channels = True is unknown; known are 0, 1, 3"),
    ({"label": "atuo"}, "model.label = 'atuo' is unknown (did you mean 'auto'?); known are auto"),
]


@pytest.mark.parametrize("values", GOOD, ids=str)
def test_what_is_inside_passes(values):
    assert {name: getattr(Config(**values), name) for name in values} == values


@pytest.mark.parametrize(("values", "message"), BAD, ids=[str(values) for values, _ in BAD])
def test_what_is_outside_is_named_as_users_type_it_with_the_remedy(values, message):
    with pytest.raises(ConfigError) as error:
        Config(**values)
    assert str(error.value) == message


def test_the_parser_takes_checked_settings_and_their_errors_pass_through_it():
    assert build(Config, {"betas": ["0.1", "0.2"], "learning_rate": "1e-3"}, "x").betas == (0.1, 0.2)
    with pytest.raises(ConfigError, match=r"^model.learning_rate = 7.0 is outside \(0, 1\]; 2e-4 is usual$"):
        build(Config, {"learning_rate": "7"}, "x")


def test_a_subclass_keeps_the_group_and_adds_fields_checks_and_ranges_of_its_own():
    @dataclass(frozen=True, slots=True)
    class More(Config):
        depth: int = polygan.ranged(2, "[1, 8]")

        def __post_init__(self):
            Config.__post_init__(self)
            if self.depth > self.width:
                raise ConfigError("deeper than wide")

    with pytest.raises(ConfigError, match=r"^model.depth = 9 is outside \[1, 8\]$"):
        More(depth=9)
    with pytest.raises(ConfigError, match=r"^model.width = 0 is too small"):
        dataclasses.replace(More(), width=0)
    with pytest.raises(ConfigError, match="deeper than wide"):
        More(width=1)


def test_settings_without_a_group_are_named_alone():
    @dataclass(frozen=True)
    class Sampling(polygan.Checked):
        scale: float = polygan.ranged(1.0, "[0, inf)")

    with pytest.raises(ConfigError, match=r"^scale = -1 is too small; the least is 0$"):
        Sampling(scale=-1)


@pytest.mark.parametrize("text", ["", "1 to 3", "[1, 3", "[3, 1]", "(a, b)", "[1; 3]", "0 | 1"])
def test_a_range_that_cannot_be_read_is_refused_where_it_is_written(text):
    with pytest.raises(ValueError, match=r"is not a range: write e.g. '\(0, 1\]'"):
        polygan.ranged(1, text)


@pytest.mark.parametrize(
    ("text", "inside", "outside", "said"),
    [
        ("[-1, 1)", (-1, 0.5), (1, -1.5), "[-1, 1)"),
        ("(1e-3, 2.5e2]", (0.01, 250), (1e-3, 251), "(1e-3, 2.5e2]"),
        ("(-inf, inf)", (-1e300, 1e300), (math.inf, -math.inf), "more than -inf"),
        ("4", (4,), (3, 5), "4"),
    ],
)
def test_intervals(text, inside, outside, said):
    interval = Interval.read(text)
    assert all(map(interval.holds, inside))
    assert not any(map(interval.holds, (*outside, math.nan)))
    assert str(interval) == said
