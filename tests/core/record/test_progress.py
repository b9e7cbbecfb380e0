"""Progress shows steps, speed, time left and loss terms: a live line on a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from polygan.record import progress
from polygan.record.progress import Progress

VALUES = {"d/real": 0.51234, "g/adversarial": 2.0, "grad/generator": 7.0, "speed/samples_per_second": 1234.4}


def trainer(step):
    return SimpleNamespace(step=step, turns=[SimpleNamespace(name="d"), SimpleNamespace(name="g")])


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test sets."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_a_line_tells_step_speed_time_left_and_the_terms_of_turns_alone(clock, capsys):
    shown = Progress(110)
    shown.start(10)  # a resumed run: its time is that of 100 steps
    clock.seconds += 40
    shown.show(trainer(20), VALUES)
    out = capsys.readouterr()
    assert out.err == "step 20/110  1234 samples/s  6:00 left  d/real 0.512 g/adversarial 2\n"
    assert out.out == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3600, "1:00:00"), (90_061, "25:01:01")]
)
def test_times_have_hours_where_there_are_some(seconds, text):
    assert progress._clock(seconds) == text


def test_a_terminal_has_one_live_line_that_goes_forward(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = Progress(100)
    shown.start(40)
    shown.show(trainer(60), VALUES)
    assert shown._bar.n == 60
    shown.close()
    shown.close()  # a second end is no fault
    err = capsys.readouterr().err
    assert "60/100" in err
    assert "1234 samples/s d/real 0.512" in err
    assert "step 60/100" not in err


def test_quiet_says_nothing_even_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = Progress(100, quiet=True)
    shown.start(0)
    shown.show(trainer(10), VALUES)
    shown.say("a note")
    shown.close()
    assert capsys.readouterr() == ("", "")
    loud = Progress(100)
    loud.say("a note")
    assert capsys.readouterr().err == "a note\n"
