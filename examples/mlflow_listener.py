"""A listener in one file: the settings, values and scores of a run in MLflow.

    pip install mlflow-skinny
    export MLFLOW_TRACKING_URI=./mlruns MLFLOW_ALLOW_FILE_STORE=true
    polygan --plugin ./examples/mlflow_listener.py train image/dcgan --data mnist-5k

`mlflow ui` of the package ``mlflow`` shows the folder ./mlruns. MLFLOW_TRACKING_URI may also name a server.
Without MLFLOW_ALLOW_FILE_STORE, MLflow 3 refuses a folder, and takes a server or a database (package ``mlflow``).
"""

from __future__ import annotations

import re

import polygan

_runs = {}


@polygan.hookimpl
def polygan_run_started(event: polygan.RunEvent) -> None:
    """Training starts or resumes: a new run of MLflow with the settings as parameters."""
    from mlflow import MlflowClient

    client = MlflowClient()
    found = client.get_experiment_by_name("polygan")
    experiment = found.experiment_id if found else client.create_experiment("polygan")
    run = client.create_run(experiment, run_name=event.folder.name).info.run_id
    _runs[event.folder] = client, run
    for name, value in flat({"recipe": event.recipe, **event.settings}):
        client.log_param(run, clean(name), str(value)[:500])


@polygan.hookimpl
def polygan_logged(event: polygan.RunEvent, values) -> None:
    """Values were logged."""
    write(event, values)


@polygan.hookimpl
def polygan_evaluated(event: polygan.RunEvent, scores) -> None:
    """Scores were computed: each with its floor."""
    write(event, {f"score/{s.name}": s.value for s in scores})
    write(event, {f"floor/{s.name}": s.floor for s in scores if s.floor is not None})


@polygan.hookimpl
def polygan_run_ended(event: polygan.RunEvent, status: str) -> None:
    """Training ended."""
    if event.folder in _runs:
        client, run = _runs.pop(event.folder)
        client.set_terminated(run, {"finished": "FINISHED", "failed": "FAILED"}.get(status, "KILLED"))


def write(event, values):
    if event.folder in _runs:
        client, run = _runs[event.folder]
        for name, value in values.items():
            client.log_metric(run, clean(name), float(value), step=event.step)


def flat(settings, prefix=""):
    """(dotted name, value) of nested settings."""
    for name, value in settings.items():
        yield from flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(f"{prefix}{name}", value)]


def clean(name):
    """A name in the characters that MLflow takes."""
    return re.sub(r"[^\w./ -]", "_", name, flags=re.ASCII)
