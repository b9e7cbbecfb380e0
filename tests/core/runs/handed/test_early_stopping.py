"""A listener of a script ends a run: early stopping, and pruning as Optuna does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_runs import assert_same, records, state, train

import polygan


class EarlyStopping(polygan.Listener):
    """Stops when the score has not become better ``patience`` times in a row."""

    def __init__(self, patience, scores):
        self.patience, self.left, self.best, self.scores, self.seen = patience, patience, float("inf"), scores, []

    def evaluated(self, trainer, score):
        self.seen.append(score)
        score = self.scores.pop(0)  # of a game that goes wrong
        self.left = self.patience if score < self.best else self.left - 1
        self.best = min(score, self.best)
        if self.left == 0:
            raise polygan.StopTraining(f"no better than {self.best} for {self.patience} scores")


class Pruned(Exception):
    """Stands for optuna.TrialPruned."""


class Trial:
    """Stands for optuna.Trial: takes values, and prunes trials above a limit."""

    def __init__(self, limit):
        self.limit, self.values = limit, {}

    def report(self, value, step):
        self.values[step] = value

    def should_prune(self):
        return max(self.values.values()) > self.limit


class Pruning(polygan.Listener):
    def __init__(self, trial):
        self.trial = trial

    def evaluated(self, trainer, score):
        self.trial.report(score, trainer.step)
        if self.trial.should_prune():
            raise polygan.StopTraining("pruned")


@pytest.fixture(autouse=True)
def _toys(toys, monkeypatch, tmp_path):
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))


def test_early_stopping_ends_a_run_with_a_checkpoint_and_resume_goes_on():
    listener = EarlyStopping(2, [3.0, 1.0, 2.0, 1.0, 0.0])
    run = train(steps=12, evaluate_every=2, listeners=[listener])
    assert (run.step, len(listener.seen)) == (8, 4)
    assert records(run)[-1]["status"] == "stopped by a listener: no better than 1.0 for 2 scores"
    assert "Stopped by a listener: no better" in (run.folder / "report.html").read_text()
    assert polygan.load(run.folder).step == 8
    whole = train(steps=12, evaluate_every=2)
    again = polygan.resume(run.folder, quiet=True)
    assert again.step == 12
    assert_same(state(whole), state(again))


def test_a_score_before_the_stop_still_picks_the_best_checkpoint():
    run = train(steps=12, evaluate_every=2, listeners=[EarlyStopping(1, [1.0, 2.0])])
    assert run.variant("best").step in (2, 4)


def test_a_stop_at_the_last_step_is_a_finished_run():
    run = train(steps=2, evaluate_every=2, listeners=[Pruning(Trial(-1.0))])
    assert records(run)[-1]["status"] == "finished"


def test_a_study_prunes_the_runs_that_are_too_bad():
    ended = {}

    def objective(trial):
        run = train(steps=4, evaluate_every=2, name=f"limit{trial.limit:g}", listeners=[Pruning(trial)])
        if run.step < 4:
            raise Pruned
        return trial.values[4]

    for limit in (-1.0, 1e9):
        trial = Trial(limit)
        try:
            ended[limit] = objective(trial)
        except Pruned:
            ended[limit] = Pruned
            assert list(trial.values) == [2]
    assert ended[-1.0] is Pruned
    assert ended[1e9] >= 0


def test_another_error_of_a_listener_still_fails_the_run():
    class Faulty(polygan.Listener):
        def evaluated(self, trainer, score):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(steps=4, evaluate_every=2, name="faulty", listeners=[Faulty()])
    assert '"status": "failed"' in Path("runs/faulty/log.jsonl").read_text().splitlines()[-1]
