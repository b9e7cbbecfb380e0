"""The example of Optuna, with the real package: three trials, of which a listener prunes one."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="optuna is not installed: pip install optuna")


def test_the_study_of_the_example_prunes_by_a_listener(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    spec = importlib.util.spec_from_file_location(
        "optuna_example", Path(__file__).parents[2] / "examples/optuna_pruning.py"
    )
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    study = example.main()
    first, second, third = study.trials
    assert [first.state, second.state] == [optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED]
    assert set(first.intermediate_values) == {100, 200, 300}
    assert set(second.intermediate_values) == {100}
    assert first.value == first.intermediate_values[300] == min(t.value for t in study.trials if t.value is not None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4:-2] == ["learning rate 0.003: complete", "learning rate 1e-06: pruned"]
    assert lines[-1] == "best: 0.003"
    runs = sorted(Path("runs").iterdir(), key=lambda run: run.stat().st_ctime)
    assert len(runs) == 3
    ends = [json.loads((run / "log.jsonl").read_text().splitlines()[-1])["status"] for run in runs]
    assert "stopped by a listener: Optuna prunes the trial" in ends
    assert third.intermediate_values
