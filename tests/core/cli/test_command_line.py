"""Help, places and options of commands; commands that plugins add, with their words, exit codes and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dreaming import DREAM, run

import polygan
from polygan.cli.commands import VERBS
from polygan.plugins import load_catalogue
from polygan.plugins.kinds import COMMANDS

# Commands of plugins


def test_a_plugin_s_command_is_given_its_words_and_its_code_is_the_exit_code(dreams, capsys):
    words = ["sheep", "--help", "--depth", "-1"]
    out = run(capsys, "--plugin", dreams, "muse", *words)
    assert out.out == f"dreaming of {words}\n"
    assert run(capsys, "muse", "x", "--plugin", dreams, "--traceback").out == "dreaming of ['x']\n"
    run(capsys, "--plugin", dreams, "muse", "badly", code=7)


def test_what_goes_wrong_in_it_is_one_line_as_for_every_command(dreams, capsys):
    err = run(capsys, "--plugin", dreams, "muse", "nothing", code=1).err
    assert err == "polygan: DataError: nothing to dream of; name something\n"
    err = run(capsys, "--plugin", dreams, "muse", "oddly", code=1).err
    assert "command 'muse' of plugin 'dreams'" in err
    assert "returned 'odd': return an exit code or None" in err
    err = run(capsys, "--plugin", dreams, "nap", code=1).err
    assert "command 'nap' of plugin 'dreams'" in err
    assert "cannot import 'dreams:nap'" in err


def test_it_is_shown_in_help_list_and_plugins_and_suggested(dreams, capsys):
    text = run(capsys, "--help", "--plugin", dreams).out
    own, _, added = text.partition("commands of plugins:")
    assert "  muse" in added
    assert "dreams of NAME" in added
    assert "muse" not in own
    assert "muse" not in run(capsys, "--help").out
    rows = json.loads(run(capsys, "list", "--json", "--plugin", dreams).out)
    (row,) = [row for row in rows if row["id"] == "muse"]
    assert (row["kind"], row["summary"], row["plugin"]) == ("command", "dreams of NAME", "dreams")
    assert "dreams of NAME" in run(capsys, "list", "--plugin", dreams).out
    assert "2 recipes, 2 commands" in run(capsys, "plugins", "--plugin", dreams).out.replace(
        "2 commands, 2 recipes", "x"
    )
    assert "(did you mean 'muse'?)" in run(capsys, "--plugin", dreams, "msue", code=2).err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_name_that_polygan_has_is_refused(name, dreams):
    dreams.write_text(DREAM.replace('"nap"', f'"{name}"'))
    with pytest.raises(polygan.PluginError, match=f"command '{name}' is already registered by polygan itself: rename"):
        load_catalogue(files=[dreams])


def test_a_name_that_another_plugin_has_is_refused(dreams, tmp_path):
    other = tmp_path / "other_dreams.py"
    other.write_text("\n".join(DREAM.splitlines()[:6]))
    with pytest.raises(polygan.PluginError, match=r"command 'muse' is already registered by plugin 'dreams'"):
        load_catalogue(files=[dreams, other])


def test_a_command_of_two_installed_plugins_is_an_error_that_names_both(site, monkeypatch, capsys):
    for dist in ("good-dreams", "bad-dreams"):
        code = "import polygan\n" + "\n".join(DREAM.splitlines()[:6]).partition("import polygan")[2]
        site.install(dist, code)
    err = run(capsys, "muse", "x", code=2).err
    assert "command 'muse' is both of plugin 'bad-dreams' (bad-dreams 1.0) and of plugin 'good-dreams'" in err
    assert "leave one out, e.g. with --no-plugin 'good-dreams'" in err


@pytest.mark.parametrize("name", ["--dream", "Dream", "a/b", ""])
def test_a_name_that_no_command_can_have_is_refused(name, dreams):
    dreams.write_text(DREAM.replace('"nap"', repr(name)))
    with pytest.raises(polygan.PluginError, match=r"polygan_commands\(\): id .* is not allowed: use one name of a-z"):
        load_catalogue(files=[dreams])


# The commands of polygan


def test_the_names_that_plugins_cannot_take_are_those_of_the_commands():
    assert set(COMMANDS) == set(VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_each_command_says_how_it_is_written_what_it_does_and_its_options(name, capsys):
    text = run(capsys, name, "--help").out
    command = VERBS[name]
    assert text.startswith(f"polygan {name} ")
    assert command.summary in " ".join(text.split())
    for place in command.places:
        assert f"  {place.name.upper()} " in text
    for option in command.options:
        assert f"  {'-n' if option == 'n' else '--' + option.replace('_', '-')}" in text
    assert run(capsys, name, "-h").out == text


def test_input_may_be_a_dash(monkeypatch):
    found, _ = VERBS["generate"].read("generate", ["runs/a", "--input", "-", "--label", "x"])
    assert (found.input, found.run) == ("-", "runs/a")
    assert Path(found.run).name == "a"
