"""Options of generation on a page: what is offered, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

import polygan
from polygan import Checked, ConfigError, ranged
from polygan_demo.components import buttons, option_component
from polygan_demo.options import changed, options_of, typed


@dataclass(frozen=True, kw_only=True)
class Base(Checked):
    """Options."""

    typed_only: ClassVar[tuple[str, ...]] = ("weights",)

    label: str | int | None = None
    """The class."""
    weights: str = ""
    """A file."""


@dataclass(frozen=True, kw_only=True)
class Sampling(Base):
    """Options."""

    truncation: float = ranged(1.0, "[0, 2]")
    """Distance from the mean;
    0 is the ``<mean>``."""
    top_k: int = ranged(0, "[0, inf)")
    chunk: int | None = ranged(None, "[1, inf)")
    mix: Literal["none", "coarse"] = "none"
    unknown: bool = False
    prefix: str = ""
    words: tuple[str, ...] = ()


def offered():
    return {option.name: option for option in options_of(Sampling)}


def test_options_tell_kind_bounds_and_help():
    found = offered()
    assert {name: option.kind for name, option in found.items()} == {
        "label": "text", "truncation": "number", "top_k": "whole", "chunk": "whole", "mix": "choice",
        "unknown": "switch", "prefix": "text",
    }  # fmt: skip
    assert (found["truncation"].low, found["truncation"].high) == (0, 2)
    assert found["truncation"].help == "Distance from the mean; 0 is the <mean>."
    assert found["label"].help == "The class."
    assert found["chunk"].optional
    assert not found["top_k"].optional
    assert found["mix"].choices == ("none", "coarse")


def test_what_opens_files_is_not_offered():
    assert "weights" not in offered()


@pytest.mark.parametrize("recipe", ["image/stylegan", "audio/wavegan", "audio/tacotron2", "audio/voice-conversion"])
def test_no_recipe_offers_an_option_that_opens_files(recipe):
    from polygan.plugins import get_catalogue

    sampling = get_catalogue().resolve(get_catalogue().recipe(recipe)).Sampling
    names = {option.name for option in options_of(sampling)}
    assert names.isdisjoint({"vocoder", "project"})
    assert names


def test_only_changed_values_come_back():
    found = offered()
    shown = {
        "label": "", "truncation": 0.7, "top_k": 5.0, "chunk": None, "mix": "none", "unknown": True, "prefix": "",
    }  # fmt: skip
    values = changed(found.values(), (shown[name] for name in found))
    assert values == {"truncation": 0.7, "top_k": 5, "unknown": True}
    assert isinstance(values["top_k"], int)
    assert Sampling(**values).top_k == 5


def test_a_text_that_names_a_file_is_refused(tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    prefix = offered()["prefix"]
    assert changed([prefix], ["and/or a dog"]) == {"prefix": "and/or a dog"}
    with pytest.raises(ConfigError, match=r"names a file of this machine.*--set prefix=PATH"):
        changed([prefix], [str(tmp_path / "secret.txt")])


def test_options_of_the_command_line_are_typed():
    assert typed(Sampling, ["truncation=0.5", "prefix=3", "mix=coarse", "unknown=true", "weights=a=b"]) == {
        "truncation": 0.5, "prefix": "3", "mix": "coarse", "unknown": True, "weights": "a=b",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="--set truncation: write NAME=VALUE"):
        typed(Sampling, ["truncation"])
    with pytest.raises(ConfigError, match=r"no option 'truncatoin' \(did you mean 'truncation'\?\)"):
        typed(Sampling, ["truncatoin=1"])


def test_a_component_fits_its_option():
    found = offered()
    slider, number = option_component(found["truncation"]), option_component(found["top_k"])
    assert (type(slider).__name__, slider.minimum, slider.maximum, slider.value) == ("Slider", 0, 2, 1.0)
    assert slider.info == "Distance from the mean; 0 is the <mean>."
    assert (type(number).__name__, number.precision) == ("Number", 0)
    assert type(option_component(found["unknown"])).__name__ == "Checkbox"
    assert [type(option_component(found[name])).__name__ for name in ("mix", "prefix")] == ["Radio", "Textbox"]


def test_buttons_cut_long_names():
    assert buttons(["a" * 100, "b"], [0, 1]) == [("any class", -1), (f"{'a' * 60}…", 0), ("b", 1)]


def test_a_recipe_without_options_offers_none():
    assert options_of(polygan.Recipe.Sampling) == ()
