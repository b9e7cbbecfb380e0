"""The examples of trackers: what each sends, seen by a stub, and the real package in its offline mode where it is installed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import polygan

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTINGS = {"steps": 20, "model": {"rate": 0.1}}
SCORES = [polygan.Score("a/far (test)", 2.0, floor=1.0), polygan.Score("a/near", 0.5, better="higher")]


def example(name):
    """The module of an example, loaded without the package that it reports to."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def play(listener, folder, status="finished"):
    """A short run: it starts, logs, goes back a step, is evaluated, and ends."""

    def at(step):
        return polygan.RunEvent(folder, "points/mlp", SETTINGS, step, 8 * step)

    folder.mkdir(parents=True, exist_ok=True)
    listener.polygan_run_started(event=at(0))
    listener.polygan_logged(event=at(10), values={"d/real": 0.7})
    listener.polygan_logged(event=at(5), values={"d/real": 0.9})
    listener.polygan_evaluated(event=at(20), scores=SCORES)
    listener.polygan_run_ended(event=at(20), status=status)


class Stub(ModuleType):
    """A package that keeps what it is told."""

    def __init__(self, name, made):
        super().__init__(name)
        self.told = []
        self.made = made

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*values, **named):
            self.told.append((name, values, named))
            return self.made.get(name, self)

        return call


def stub(monkeypatch, name, **made):
    """Put a stub in the place of a package."""
    package = Stub(name, made)
    monkeypatch.setitem(sys.modules, name, package)
    return package


LOGGED = [
    {"step": 10, "samples": 80, "d/real": 0.7},
    {"step": 5, "samples": 40, "d/real": 0.9},
    {"step": 20, "score/a/far (test)": 2.0, "score/a/near": 0.5, "floor/a/far (test)": 1.0},
]


@pytest.mark.parametrize(("status", "code"), [("finished", 0), ("failed", 1)])
def test_what_wandb_is_told(tmp_path, monkeypatch, status, code):
    package = stub(monkeypatch, "wandb")
    play(example("wandb_listener"), tmp_path / "a", status)
    (init, axis, *logged, end) = package.told
    assert init[2]["config"] == {"recipe": "points/mlp", **SETTINGS}
    assert (init[2]["name"], init[2]["dir"]) == ("a", str(tmp_path / "a"))
    assert axis == ("define_metric", ("*",), {"step_metric": "step"})
    assert [values[0] for _, values, _ in logged] == LOGGED
    assert end == ("finish", (), {"exit_code": code})


def test_what_trackio_is_told(tmp_path, monkeypatch):
    package = stub(monkeypatch, "trackio")
    play(example("trackio_listener"), tmp_path / "a")
    (init, *logged, end) = package.told
    assert init[2] == {
        "project": "polygan",
        "name": "a",
        "config": {"recipe": "points/mlp", **SETTINGS},
        "resume": "allow",
    }
    assert [{"step": named["step"], **values[0]} for _, values, named in logged] == LOGGED
    assert end[0] == "finish"


@pytest.mark.parametrize(
    ("status", "there"), [("finished", "FINISHED"), ("failed", "FAILED"), ("interrupted", "KILLED")]
)
def test_what_mlflow_is_told(tmp_path, monkeypatch, status, there):
    run = SimpleNamespace(info=SimpleNamespace(run_id="r1"))
    package = stub(monkeypatch, "mlflow", get_experiment_by_name=None, create_experiment="7", create_run=run)
    play(example("mlflow_listener"), tmp_path / "a", status)
    told = [(name, values, named) for name, values, named in package.told if name != "MlflowClient"]
    assert told[:3] == [
        ("get_experiment_by_name", ("polygan",), {}),
        ("create_experiment", ("polygan",), {}),
        ("create_run", ("7",), {"run_name": "a"}),
    ]
    parameters = {values[1]: values[2] for name, values, _ in told if name == "log_param"}
    assert parameters == {"recipe": "points/mlp", "steps": "20", "model.rate": "0.1"}
    metrics = [(values[1], values[2], named["step"]) for name, values, named in told if name == "log_metric"]
    assert metrics == [
        ("d/real", 0.7, 10),
        ("d/real", 0.9, 5),
        ("score/a/far _test_", 2.0, 20),
        ("score/a/near", 0.5, 20),
        ("floor/a/far _test_", 1.0, 20),
    ]
    assert told[-1] == ("set_terminated", ("r1", there), {})


@pytest.mark.parametrize("name", ["wandb_listener", "mlflow_listener", "trackio_listener"])
def test_a_tracker_that_is_loaded_as_a_plugin_has_events_and_no_run_means_no_word(name, tmp_path):
    listener = example(name)
    event = polygan.RunEvent(tmp_path, "points/mlp", SETTINGS, 1, 8)
    listener.polygan_logged(event=event, values={"d/real": 0.7})  # a start that failed is not reported again and again
    listener.polygan_evaluated(event=event, scores=SCORES)
    listener.polygan_run_ended(event=event, status="failed")
    from polygan.plugins import load_catalogue

    plugins = load_catalogue(files=[EXAMPLES / f"{name}.py"], allow=()).plugins
    assert {p.name: p.provides for p in plugins if p.status == "loaded"} == {name: {"events": 4}}


# The real packages, offline


def test_the_real_wandb_writes_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    play(example("wandb_listener"), tmp_path / "a")
    assert list((tmp_path / "a/wandb").glob("offline-run-*/*.wandb"))


def test_the_real_mlflow_writes_a_local_store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    mlflow = pytest.importorskip("mlflow")
    play(example("mlflow_listener"), tmp_path / "a")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("polygan").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["model.rate"] == "0.1"
    assert run.data.metrics["score/a/near"] == 0.5
    assert sorted(m.step for m in client.get_metric_history(run.info.run_id, "d/real")) == [5, 10]


def test_the_real_trackio_keeps_values_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    play(example("trackio_listener"), tmp_path / "a")
    assert list((tmp_path / "trackio").glob("polygan*.db"))
