"""Signals ask the trainer to stop, a second Ctrl-C stops at once, and handlers are the caller's own again afterwards."""

from __future__ import annotations

import faulthandler
import signal
import threading

import pytest
from toy_runs import assert_same, command, records, state, train

import polygan
from polygan.runs.stopping import Listeners, stop_signals


class Stopped:
    """Counts the requests to stop."""

    def __init__(self):
        self.requests = 0

    def request_stop(self):
        self.requests += 1


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)


@pytest.mark.parametrize("name", [n for n in ("SIGTERM", "SIGUSR1") if hasattr(signal, n)])
def test_a_signal_asks_to_stop_and_is_told(name, capsys):
    number, trainer = getattr(signal, name), Stopped()
    before = signal.getsignal(number)
    with stop_signals(trainer) as came:
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert (came, trainer.requests) == ([number, number], 2)
    assert signal.getsignal(number) == before
    assert capsys.readouterr().err == ""


def test_the_second_ctrl_c_stops_at_once_and_handlers_come_back(capsys):
    trainer, before = Stopped(), signal.getsignal(signal.SIGINT)
    with stop_signals(trainer) as came:
        signal.raise_signal(signal.SIGINT)
        assert (came, trainer.requests) == ([signal.SIGINT], 1)
        assert capsys.readouterr().err == "stopping after this iteration; Ctrl-C again stops at once\n"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert trainer.requests == 1
    assert signal.getsignal(signal.SIGINT) == before


def test_under_torchrun_two_signals_for_one_ctrl_c_still_save(monkeypatch, capsys):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    trainer = Stopped()
    with stop_signals(trainer) as came:
        try:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            pytest.fail("the second signal of one Ctrl-C ended the process without a checkpoint")
    assert (came, trainer.requests) == ([signal.SIGINT] * 2, 2)
    assert capsys.readouterr().err == ""


def test_in_another_thread_signals_are_left_alone():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def train():
        with stop_signals(Stopped()) as came:
            seen.append((came, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert seen == [([], before)]


@pytest.mark.parametrize("name", [n for n in ("SIGTERM", "SIGUSR1", "SIGINT", "SIGHUP") if hasattr(signal, n)])
def test_a_signal_that_is_ignored_stays_ignored(name):
    """`nohup` ignores SIGHUP, a shell ignores Ctrl-C for jobs in the background, a launcher may ignore more."""
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stop_signals(Stopped()) as came:
            assert signal.getsignal(number) == signal.SIG_IGN
            signal.raise_signal(number)
        assert came == []
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(not hasattr(faulthandler, "register"), reason="needs faulthandler.register")
def test_a_handler_that_python_does_not_know_is_put_back(tmp_path):
    with open(tmp_path / "stacks.txt", "w+") as file:
        faulthandler.register(signal.SIGUSR1, file)
        try:
            trainer = Stopped()
            with stop_signals(trainer):
                signal.raise_signal(signal.SIGUSR1)
            assert trainer.requests == 1
            assert file.read() == ""
            signal.raise_signal(signal.SIGUSR1)
            file.seek(0)
            assert "test_a_handler_that_python_does_not_know_is_put_back" in file.read()
        finally:
            faulthandler.unregister(signal.SIGUSR1)


# KeyboardInterrupt of a listener


class Interrupting(polygan.Listener):
    """Raises KeyboardInterrupt in one event, as a plugin that asks a question and gets Ctrl-C does."""

    def __init__(self, event):
        self.event = event

    def __getattribute__(self, name):
        if name == object.__getattribute__(self, "event"):
            raise KeyboardInterrupt
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("event", ["logged", "sample", "evaluate", "saved", "diverged"])
def test_ctrl_c_inside_any_event_asks_to_stop(event):
    came, trainer = [], Stopped()
    arguments = {"logged": [{}], "saved": ["path"], "diverged": ["why"]}.get(event, [])
    assert getattr(Listeners([Interrupting(event)], came), event)(trainer, *arguments) is None
    assert (came, trainer.requests) == ([signal.SIGINT], 1)


@pytest.mark.usefixtures("toys")
def test_ctrl_c_inside_a_listener_saves_and_resumes_to_the_bit():
    settings = {"steps": 10, "evaluate_every": 3, "sample_every": 4}
    with pytest.raises(KeyboardInterrupt, match=r"a checkpoint is saved; `polygan resume runs/a` continues"):
        train(name="a", listeners=[Interrupting("evaluate")], **settings)
    run = polygan.load("runs/a")
    ended = records(run)[-1]
    assert (ended["event"], ended["status"], ended["step"]) == ("ended", "interrupted", run.step)
    assert run.step < 10
    assert_same(state(polygan.resume("runs/a", quiet=True)), state(train(name="whole", **settings)))


def test_the_second_ctrl_c_stops_at_once_inside_a_listener():
    came, trainer = [signal.SIGINT] * 2, Stopped()
    with pytest.raises(KeyboardInterrupt):
        Listeners([Interrupting("logged")], came).logged(trainer, {})
    assert trainer.requests == 0


@pytest.mark.parametrize(
    ("hook", "step"), [("polygan_run_started", 0), ("polygan_logged", 5), ("polygan_run_ended", 10)]
)
@pytest.mark.usefixtures("toys")
def test_ctrl_c_inside_a_hook_ends_as_ctrl_c(hook, step, tmp_path, capsys):
    (tmp_path / f"asks_{step}.py").write_text(
        f"import polygan\n@polygan.hookimpl\ndef {hook}(event):\n    if event.step == {step}:\n        raise KeyboardInterrupt\n"
    )
    words = ("train", "points/mlp", "--data", "ring", "--steps", "10", "--precision", "fp32", "--name", "a")
    out = command("--plugin", f"asks_{step}.py", *words, code=130, capsys=capsys)
    said = (
        "`polygan resume runs/a` continues" if step < 10 else "polygan: interrupted after run runs/a ended (finished)"
    )
    assert said in out.err.splitlines()[-1]
    assert "Traceback" not in out.err
    run = polygan.load("runs/a") if step else None
    if run:
        assert records(run)[-1]["status"] == ("interrupted" if step < 10 else "finished")
    command("resume", "runs/a", "--steps", "12", capsys=capsys)
    assert polygan.load("runs/a").step == 12
