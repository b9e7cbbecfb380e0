"""Lists show what plugins registered, as aligned tables and as JSON, and say which plugins failed."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from dreaming import run

from polygan import Score
from polygan.cli.output import list_plugins, list_registered, print_scores, print_table
from polygan.plugins import Catalogue
from polygan.plugins.discovery import PluginStatus


def test_tags_of_recipes_are_shown_where_any_has_some(dreams, capsys):
    table = run(capsys, "list", "--plugin", dreams).out
    assert "fast, small" in table
    rows = {row["id"]: row for row in json.loads(run(capsys, "list", "--json", "--plugin", dreams).out)}
    assert (rows["a/b"]["tags"], rows["a/c"]["tags"]) == (["fast", "small"], [])


def test_columns_are_as_wide_as_their_longest_cell_and_no_line_ends_in_spaces(capsys):
    print_table("fruit", ("id", "what"), [("apple", "red"), ("fig", "")])
    assert capsys.readouterr().out == "fruit\nid     what\napple  red\nfig\n\n"
    print_table("nothing", ("id", "what"), [])
    assert capsys.readouterr().out == ""


def test_a_terminal_shows_markup_in_a_cell_as_it_is(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table("recipes", ("id", "what"), [("a/b", "[red]loud[/red]")])
    assert "[red]loud[/red]" in capsys.readouterr().out


def test_a_plugin_that_failed_is_mentioned_beside_the_list_and_explained_by_plugins(capsys):
    catalogue = Catalogue()
    catalogue.plugins.append(
        PluginStatus("broken", "broken", "broken-gan", "1.0", "failed", "no module 'b': correct it")
    )
    arguments = SimpleNamespace(json=False)
    list_registered(catalogue, arguments, [])
    out = capsys.readouterr()
    assert "plugin 'broken' failed to load; `polygan plugins` says why" in out.err
    assert "broken" not in out.out
    list_plugins(catalogue, arguments, [])
    assert "broken  broken-gan 1.0  failed  no module 'b': correct it" in capsys.readouterr().out


def test_without_plugins_the_list_says_what_to_install(capsys):
    list_registered(Catalogue(), SimpleNamespace(json=False), [])
    out = capsys.readouterr().out
    assert out.startswith("no recipe, because no plugin brings one: pip install ")
    assert "polygan plugins" in out
    list_registered(Catalogue(), SimpleNamespace(json=True), [])
    assert json.loads(capsys.readouterr().out) == []


def test_a_plugin_that_lost_an_id_to_another_is_mentioned_beside_the_list(capsys):
    catalogue = Catalogue()
    catalogue.plugins.append(PluginStatus("late", "late", "late", "1", "loaded", refused=(("recipe", "a/b"),)))
    list_registered(catalogue, SimpleNamespace(json=False), [])
    assert "plugin 'late' is loaded without recipe 'a/b'; `polygan plugins` says why" in capsys.readouterr().err


@pytest.mark.parametrize("terminal", [True, False])
def test_names_in_a_table_do_not_steer_the_terminal(terminal, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    print_table("runs \x1b[2J", ("id", "what"), [("a\x1b[31m", "two\nlines \x9b \udc80")])
    out = capsys.readouterr().out
    assert "two\\nlines \\x9b \\udc80" in " ".join(out.split())
    assert "a\\x1b[31m" in out
    assert "\x1b[31m" not in out.replace("\\x1b", "")
    assert "\x1b[2J" not in out


def test_scores_stand_beside_their_floor_and_their_baseline(capsys):
    near = Score("points/near", 0.5, note="n", baseline=(0.75, "a copy"), error=0.0125)
    far = Score("points/far", 2.0, 1.0, "higher")
    print_scores("scores", [near, far])
    title, head, first, second = capsys.readouterr().out.splitlines()[:4]
    assert title == "scores"
    assert head.split() == ["name", "value", "floor", "baseline", "note"]
    assert first.split() == ["points/near", "0.5", "+-", "0.013", "0.75", "(a", "copy)", "lower", "is", "better", "n"]
    assert second.split() == ["points/far", "2", "1", "higher", "is", "better"]
    print_scores("scores", [far, Score("points/near", 0.8, 1.0, "near")])
    printed = capsys.readouterr().out
    assert "baseline" not in printed
    assert "near the floor is better" in printed
