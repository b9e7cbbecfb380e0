"""A listener in one file: the values and scores of a run in Weights & Biases.

    pip install wandb
    WANDB_MODE=offline polygan --plugin ./examples/wandb_listener.py train image/dcgan --data mnist-5k

Offline, wandb writes into RUN/wandb, and `wandb sync` uploads this folder later. Without WANDB_MODE=offline, wandb uploads at once.
The curves are drawn over ``step``, so that a run that goes back to an earlier step is drawn rightly.
"""

from __future__ import annotations

import polygan

_runs = {}


@polygan.hookimpl
def polygan_run_started(event: polygan.RunEvent) -> None:
    """Training starts or resumes: a new run of wandb, in a group with earlier attempts."""
    import wandb

    told = {"project": "polygan", "name": event.folder.name, "group": event.folder.name, "dir": str(event.folder)}
    _runs[event.folder] = run = wandb.init(**told, config={"recipe": event.recipe, **event.settings})
    run.define_metric("*", step_metric="step")


@polygan.hookimpl
def polygan_logged(event: polygan.RunEvent, values) -> None:
    """Values were logged."""
    if run := _runs.get(event.folder):
        run.log({"step": event.step, "samples": event.samples, **values})


@polygan.hookimpl
def polygan_evaluated(event: polygan.RunEvent, scores) -> None:
    """Scores were computed: each with its floor."""
    if run := _runs.get(event.folder):
        floors = {f"floor/{s.name}": s.floor for s in scores if s.floor is not None}
        run.log({"step": event.step, **{f"score/{s.name}": s.value for s in scores}, **floors})


@polygan.hookimpl
def polygan_run_ended(event: polygan.RunEvent, status: str) -> None:
    """Training ended: all that is not ``finished`` is a failed run there."""
    if run := _runs.pop(event.folder, None):
        run.finish(exit_code=0 if status == "finished" else 1)
