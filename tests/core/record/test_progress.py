"""Progress shows steps, speed, time left and loss terms: a live line on a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import io
import sys
from types import ModuleType, SimpleNamespace

import pytest
from tqdm import tqdm

from polygan import Turn
from polygan.record import progress
from polygan.record.progress import Progress, TimeLeft

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


def turns(*stretches):
    return [Turn(f"t{i}", (), lambda ctx: {}, start=start, stop=stop) for i, (start, stop) in enumerate(stretches)]


@pytest.mark.parametrize(
    ("stretches", "speeds", "expected"),
    [
        # One phase: seconds a step times steps.
        ([(0, None)], {0: 1.0}, {100: "5:00 left", 200: "3:20 left", 400: "0:00 left"}),
        # A slow phase follows: a bound while its speed is unknown, exact afterwards.
        (
            [(0, 200), (200, None)],
            {0: 0.125, 200: 8.0},
            {50: "at least 0:18 left", 200: "time left unknown", 250: "20:00 left", 390: "1:20 left"},
        ),
        # A turn that starts while another goes on makes a phase too.
        ([(0, None), (300, None)], {0: 1.0, 300: 2.0}, {100: "at least 3:20 left", 300: "time left unknown", 310: "3:00 left"}),
        # Two edges: the last phase is still unknown.
        ([(0, 100), (100, 300), (300, 400)], {0: 1.0, 100: 2.0, 300: 1.0}, {150: "at least 5:00 left", 310: "1:30 left"}),
        # A start or stop after the last step is no edge.
        ([(0, 1000), (900, None)], {0: 1.0}, {100: "5:00 left"}),
    ],
)  # fmt: skip
def test_the_time_left_is_that_of_each_phase(clock, stretches, speeds, expected):
    left, said = TimeLeft(turns(*stretches), 400, 0), {}
    for step in range(1, 401):
        clock.seconds += speeds[max(first for first in speeds if first < step)]
        if step % 10 == 0:
            left.reached(step)
            said[step] = str(left)
    assert {step: said[step] for step in expected} == expected


def test_a_log_line_that_spans_two_phases_measures_the_one_that_is_new(clock):
    left = TimeLeft(turns((0, 150), (150, None)), 300, 0)
    clock.seconds += 100
    left.reached(100)
    assert str(left) == "at least 0:50 left"
    clock.seconds += 50 + 50 * 4
    left.reached(200)
    assert str(left) == "6:40 left"


def test_two_new_phases_in_one_log_line_are_not_told_apart(clock):
    left = TimeLeft(turns((0, 50), (50, None)), 300, 0)
    clock.seconds += 100
    left.reached(100)
    assert str(left) == "time left unknown"
    clock.seconds += 100
    left.reached(200)
    assert str(left) == "1:40 left"


def test_a_rollback_is_not_counted_as_progress(clock):
    left = TimeLeft(turns((0, None)), 300, 0)
    clock.seconds += 100
    left.reached(100)
    clock.seconds += 500  # to step 120 and back
    left.reached(60)
    assert str(left) == "4:00 left"


def test_a_machine_that_slept_is_not_taken_for_slow(clock):
    left = TimeLeft(turns((0, None)), 1000, 0)
    for step in range(10, 210, 10):
        clock.seconds += 10 if step != 100 else 36_000
        left.reached(step)
    assert str(left) == "19:20 left"  # ten usual stretches for the one of ten hours


def test_names_from_plugins_do_not_steer_the_terminal(clock, capsys):
    shown = Progress(10)
    shown.start(0)
    evil = "d/\x1b[2J\n\udc80"
    shown.show(trainer(5), {**VALUES, evil: 1.0})
    assert "d/\\x1b[2J\\n\\udc80 1" in capsys.readouterr().err


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
    assert "0:00 left, 1234 samples/s d/real 0.512" in err
    assert "step 60/100" not in err


@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_with_widgets_has_a_bar_and_plain_lines_without(monkeypatch, capsys, widgets):
    class Bar(tqdm):
        def __init__(self, **options):
            super().__init__(file=io.StringIO(), **options)

    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", ModuleType("ipykernel.zmqshell"))
    monkeypatch.setitem(sys.modules, "tqdm.notebook", SimpleNamespace(tqdm=Bar))
    monkeypatch.setattr(progress, "find_spec", {"ipywidgets": "found" if widgets else None}.get)
    shown = Progress(100)
    shown.start(40)
    shown.show(trainer(60), VALUES)
    if widgets:
        assert isinstance(shown._bar, Bar)
        assert shown._bar.n == 60
    shown.close()
    assert ("step 60/100" in capsys.readouterr().err) != widgets


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
