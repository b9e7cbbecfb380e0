"""Several listeners hear each event in order, and the first score counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_runs import train

import polygan
from polygan.runs.stopping import Listeners

pytestmark = pytest.mark.usefixtures("toys")


def test_listeners_from_python_hear_what_plugins_hear():
    heard = []

    class Ears(polygan.Listener):
        def logged(self, trainer, values):
            heard.append(("logged", trainer.step))

        def sample(self, trainer):
            heard.append(("sample", trainer.step))

        def saved(self, trainer, path):
            heard.append(("saved", path.name))

    run = train(steps=4, log_every=2, sample_every=2, save_every=4, listeners=[Ears()])
    assert heard == [
        ("logged", 2),
        ("sample", 2),
        ("logged", 4),
        ("sample", 4),
        ("saved", "step-00000004"),
    ]
    polygan.resume(run.folder, steps=5, listeners=[Ears()], quiet=True)
    assert heard[5:] == [("logged", 5), ("sample", 5), ("saved", "step-00000005")]
    assert run.report().exists()  # the run's own record is kept beside


def test_each_event_reaches_every_listener_in_order():
    heard = []

    class Ears(polygan.Listener):
        def __init__(self, name):
            self.name = name

        def logged(self, trainer, values):
            heard.append((self.name, "logged", trainer, values))

        def sample(self, trainer):
            heard.append((self.name, "sample", trainer))

        def saved(self, trainer, path):
            heard.append((self.name, "saved", trainer, path))

        def diverged(self, trainer, message):
            heard.append((self.name, "diverged", trainer, message))

    both = Listeners([Ears("a"), Ears("b")])
    for event, more in (("logged", [{"d/x": 1.0}]), ("sample", []), ("saved", [Path("c")]), ("diverged", ["bad"])):
        getattr(both, event)("trainer", *more)
        assert heard == [("a", event, "trainer", *more), ("b", event, "trainer", *more)]
        heard.clear()


@pytest.mark.parametrize(
    ("scores", "first"), [((None, 2.0, 1.0), 2.0), ((0.0, 2.0), 0.0), ((None, None), None), ((), None)]
)
def test_the_first_score_counts_and_everyone_is_asked(scores, first):
    asked = []

    class Judge(polygan.Listener):
        def __init__(self, score):
            self.score = score

        def evaluate(self, trainer):
            asked.append(self.score)
            return self.score

    assert Listeners([Judge(score) for score in scores]).evaluate(None) == first
    assert tuple(asked) == scores
