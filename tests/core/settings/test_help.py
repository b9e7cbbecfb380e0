"""Help shows each option with its type, meaning, range and default, as wide as the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

import polygan
from polygan.settings.help import Entry, kind_text, listing, meanings, option_entries


@dataclass(frozen=True)
class Base:
    width: int = polygan.ranged(4, "[1, inf)")
    """Channels of the
    first layer."""
    quiet: bool = False
    """Say nothing."""
    said = "no field"


@dataclass(frozen=True)
class Config(Base):
    width: int = 8
    rates: tuple[float, ...] = (0.1, 0.2)
    """Rates."""
    loss: Literal["a", "b"] | None = None
    """Loss."""


def test_an_entry_has_type_meaning_range_and_default():
    entries = option_entries(Config, "model.", {"model.rates": (0.5,)})
    assert entries == {
        "model.width": Entry("--model.width INT", "(default: 8)"),
        "model.quiet": Entry("--[no-]model.quiet", "Say nothing. (default: false)"),
        "model.rates": Entry("--model.rates NUMBER ...", "Rates. (default: 0.5)"),
        "model.loss": Entry("--model.loss a|b", "Loss."),
    }
    assert option_entries(Base)["width"].said == "Channels of the first layer. (at least 1; default: 4)"


def test_classes_without_source_have_no_meanings():
    made = {}
    exec("from dataclasses import dataclass\n@dataclass\nclass Made:\n    x: int = 1\n    '''Said.'''", made)
    assert meanings(made["Made"]) == {}
    assert option_entries(made["Made"])["x"] == Entry("--x INT", "(default: 1)")


@pytest.mark.parametrize(
    ("kind", "text"),
    [(int | str | None, "INT|TEXT"), (list, "TEXT ..."), (tuple[int, str], "VALUE ..."), (dict[str, int], "VALUE")],
)
def test_types(kind, text):
    assert kind_text(kind) == text


def test_a_list_is_as_wide_as_the_terminal(monkeypatch):
    entries = [Entry("--x INT", "word " * 60), Entry("--a-very-long-name-of-an-option INT", "Said.")]
    for columns, widest in ((80, 80), (40, 60), (500, 110)):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = listing("options", entries).splitlines()
        assert widest - 10 < max(map(len, lines)) <= widest
        assert lines[-1] == f"{'':28}Said."
