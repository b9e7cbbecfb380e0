"""Signals ask the trainer to stop, a second Ctrl-C stops at once, and handlers are the caller's own again afterwards."""

from __future__ import annotations

import signal
import threading

import pytest

from polygan.runs.stopping import stop_signals


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
