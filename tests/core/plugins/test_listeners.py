"""Telling plugins about run events."""

from __future__ import annotations

import sys

import pytest

from polygan import PluginError
from polygan.plugins import load_catalogue

LISTENER = """
heard = []

@hookimpl
def polygan_logged(values):
    heard.append(dict(values))
    RAISE

@hookimpl
def polygan_run_ended(event, status):
    heard.append(status)
"""


def test_emit_tells_everyone_and_reports_each_fault_once(site, capsys):
    bad = site.install("bad", LISTENER.replace("RAISE", "raise ValueError('no\\ndisk')"))
    good = site.install("good", LISTENER.replace("RAISE", ""))
    catalogue = load_catalogue()
    assert [p.provides for p in catalogue.plugins] == [{"events": 2}] * 2
    for i in range(3):
        catalogue.emit("polygan_logged", event=None, values={"a": i})
    catalogue.emit("polygan_saved", event=None, checkpoint=None)  # that nobody listens to
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("plugin 'bad' (bad 1.0): polygan_logged raised ValueError: no disk at ")
    assert f"{bad}.py:8" in line
    catalogue.emit("polygan_run_ended", event=None, status="finished")
    assert capsys.readouterr().err == "plugin 'bad' (bad 1.0): polygan_logged raised 3 times\n"
    for module in (bad, good):
        assert sys.modules[module].heard == [{"a": 0}, {"a": 1}, {"a": 2}, "finished"]
    catalogue.emit("polygan_logged", event=None, values={})  # the next run of the process reports it again
    assert "no disk" in capsys.readouterr().err


def test_emit_strict_raises_and_interrupts_pass(site):
    site.install("bad", LISTENER.replace("RAISE", "raise ValueError('boom')"))
    with pytest.raises(PluginError, match=r"plugin 'bad' \(bad 1.0\): polygan_logged raised ValueError: boom at .*:8"):
        load_catalogue(strict=True).emit("polygan_logged", event=None, values={})
    site.install("stop", LISTENER.replace("RAISE", "raise values['what']"))
    catalogue = load_catalogue(disabled=["bad"])
    for what in (KeyboardInterrupt, SystemExit):
        with pytest.raises(what):
            catalogue.emit("polygan_logged", event=None, values={"what": what})
    with pytest.raises(ValueError, match="did you mean 'polygan_logged'"):
        catalogue.emit("polygan_loged", event=None)


def test_ctrl_c_in_a_listener_passes_is_no_fault_of_the_plugin_and_all_hear_of_the_end(site, capsys):
    ended = LISTENER.replace(
        "    heard.append(status)", "    heard.append(status)\n    raise KeyboardInterrupt('by the user')"
    )
    modules = [
        site.install("stopped", ended.replace("RAISE", "raise KeyboardInterrupt('by the user')")),
        site.install("tail", LISTENER.replace("RAISE", "")),
    ]
    for strict in (False, True):
        catalogue = load_catalogue(strict=strict)
        for hook, arguments in (("logged", {"values": {"a": 1}}), ("run_ended", {"status": "interrupted"})):
            with pytest.raises(KeyboardInterrupt, match="by the user"):
                catalogue.emit(f"polygan_{hook}", event=None, **arguments)
    assert sys.modules[modules[0]].heard == [{"a": 1}, "interrupted"] * 2
    assert sys.modules[modules[1]].heard[-1] == "interrupted"
    assert capsys.readouterr().err == ""
