"""The table of kinds: one row says all that depends on a kind, also for specs that have neither id nor target."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest

from polygan import hookspecs
from polygan.plugins import Catalogue, kinds
from polygan.plugins.discovery import HOOKS, Refused
from polygan.plugins.kinds import KINDS, Kind, _check, counted, kind_of


@dataclass(frozen=True)
class LinkSpec:
    """A spec of another shape."""

    recipe: str
    direction: str
    code: str
    other: str = ""
    marks: tuple[str, ...] = ()


LINK = Kind(
    "link",
    "links",
    "polygan_links",
    LinkSpec,
    id=lambda spec: f"{spec.recipe} {spec.direction}",
    shape="RECIPE in or RECIPE out",
    pattern=r"\w+ (in|out)",
    imports=("code", "other"),
)


def test_every_registering_hook_has_a_row_and_every_row_what_it_names():
    events = {"run_started", "logged", "sampled", "evaluated", "saved", "diverged", "run_ended"}
    assert {kind.hook for kind in KINDS.values()} == set(HOOKS) - {f"polygan_{event}" for event in events}
    for name, kind in KINDS.items():
        assert kind.name == name
        assert Catalogue().table(name) == {}
        assert kind.spec in vars(hookspecs).values()
        fields = {field.name for field in dataclasses.fields(kind.spec)}
        assert set(kind.imports) <= fields
        assert "summary" in fields


def test_a_spec_of_another_shape_is_a_matter_of_its_row(monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "link", LINK)
    spec = LinkSpec("gan", "in", "a.b:c")
    _check(spec, LINK)
    assert kind_of(spec) is LINK
    assert LINK.id(spec) == "gan in"
    assert (counted(1, "links"), counted(2, "links")) == ("1 link", "2 links")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (LinkSpec("gan", "up", "a:b"), "id 'gan up' is not allowed: use RECIPE in or RECIPE out of a-z"),
        (LinkSpec("gan", "in", "a.b"), "code 'a.b' of 'gan in' is no import string: use 'module:name'"),
        (LinkSpec("gan", "in", ""), "code '' of 'gan in' is no import string"),
        (LinkSpec("gan", "in", "a:b", "c"), "other 'c' of 'gan in' is no import string"),
        (LinkSpec("gan", "in", "a:b", marks="x"), "marks of 'gan in' are 'x': make them a tuple of strings"),
        (LinkSpec("gan", "in", 3), "code of 'gan in' is 3: make it a string"),
    ],
)
def test_what_a_row_asks_for_is_checked(spec, message):
    with pytest.raises(Refused) as error:
        _check(spec, LINK)
    assert message in str(error.value)


def test_events_are_counted_too():
    assert (counted(1, "events"), counted(3, "events"), counted(1, "recipes")) == ("1 event", "3 events", "1 recipe")
