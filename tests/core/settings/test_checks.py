"""A plugin's class that cannot be read as settings is refused with the field and the remedy, and sound classes pass."""

from __future__ import annotations

import pytest

from polygan import PluginError
from polygan.plugins import load_catalogue

SETTINGS = {
    "nothing": ("pass", "Band.Config is not a dataclass: decorate it"),
    "no dataclass": ("class Config: pass", "Band.Config is not a dataclass: decorate it with @dataclass(frozen=True)"),
    "no class": ("Config = 3", "Band.Config is not a dataclass"),
    "no type": (
        "@dataclass\n    class Config:\n        width = 8",
        "Band.Config.width has no type: write width: int = 8",
    ),
    "no default": (
        "@dataclass\n    class Config:\n        width: int",
        "Band.Config.width has no default: give it one",
    ),
    "a type that is not there": (
        "@dataclass\n    class Config:\n        width: 'Width' = 8",
        "the types of fake_music_impl:Band.Config cannot be read (NameError: name 'Width' is not defined)",
    ),
    "an object": (
        "@dataclass\n    class Config:\n        net: object = print",
        "Band.Config.net = <built-in function print> is not plain data: use numbers, text, booleans",
    ),
    "an object in a tuple": (
        "@dataclass\n    class Config:\n        nets: tuple = (1, {2, 3})",
        "Band.Config.nets = (1, {2, 3}) is not plain data",
    ),
    "a default of another type": (
        "@dataclass\n    class Config:\n        width: int = 'eight'",
        "Band.Config.width = 'eight' does not fit its type: correct the default or the type",
    ),
    "a default that is no choice": (
        "@dataclass\n    class Config:\n        loss: Literal['hinge'] = 'mse'",
        "Band.Config.loss = 'mse' does not fit its type",
    ),
    "defaults that it refuses": (
        "@dataclass\n    class Config:\n        width: int = 8\n        def __post_init__(self): raise ValueError('odd')",
        "Band.Config() raises ValueError: odd: correct its defaults",
    ),
    "no domain": ("@dataclass\n    class Config: pass\n    domain = None", "Band' names no domain: set domain = "),
    "options of sampling": (
        "@dataclass\n    class Config: pass\n    class Sampling: pass",
        "Band.Sampling is not a dataclass",
    ),
}


@pytest.mark.parametrize(("body", "expected"), SETTINGS.values(), ids=SETTINGS)
def test_settings_that_cannot_be_read_are_named_with_their_plugin_and_the_remedy(site, body, expected):
    module = site.install("music", site.GOOD, version="4.5")
    head = "from dataclasses import dataclass\nfrom typing import Literal\nfrom polygan import Recipe\n"
    (site.root / f"{module}_impl.py").write_text(f"{head}class Band(Recipe):\n    domain = 'music'\n    {body}\n")
    catalogue = load_catalogue()
    with pytest.raises(PluginError) as raised:
        catalogue.resolve(catalogue.recipe("music/band"))
    message = str(raised.value)
    assert message.startswith("recipe 'music/band' of plugin 'music' (music 4.5): ")
    assert "\n" not in message
    assert expected in message


def test_settings_of_a_domain_are_checked_and_sound_ones_of_every_kind_pass(site):
    module = site.install("music", site.GOOD)
    code = f"{site.IMPL}\nclass Plain: pass\nMusic.Settings = Plain\n"
    code += """
from pathlib import Path
from typing import Annotated, ClassVar, Literal
@dataclass(frozen=True)
class Inner:
    depth: int = 3
@dataclass(frozen=True, slots=True)
class Config:
    MOST: ClassVar[int] = 9
    rate: float = 1
    place: Path = Path()
    sizes: tuple[int, ...] = (1, 2)
    inner: Inner = Inner()
    loss: Literal["hinge", 3] = 3
    marked: Annotated[int, []] = 1
    none: str | None = None
    @property
    def twice(self): return 2 * self.rate
    def method(self): pass
Band.Config = Config
"""
    (site.root / f"{module}_impl.py").write_text(code)
    catalogue = load_catalogue()
    assert catalogue.resolve(catalogue.recipe("music/band")).Config.MOST == 9
    with pytest.raises(PluginError, match=r"domain 'music' of plugin .*Music.Settings is not a dataclass: decorate it"):
        catalogue.resolve(catalogue.domain("music"))
