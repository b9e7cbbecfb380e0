"""A listener in one file: the values and scores of a run in trackio, which keeps them on this machine.

    pip install trackio
    polygan --plugin ./examples/trackio_listener.py train image/dcgan --data mnist-5k
    trackio show --project polygan

A run that resumes goes on in trackio under its name. The curves have a value ``samples``, the number of real samples so far.
"""

from __future__ import annotations

import polygan

_runs = {}


@polygan.hookimpl
def polygan_run_started(event: polygan.RunEvent) -> None:
    """Training starts or resumes: the settings, and a run under the name of the folder."""
    import trackio

    settings = {"recipe": event.recipe, **event.settings}
    _runs[event.folder] = trackio.init(project="polygan", name=event.folder.name, config=settings, resume="allow")


@polygan.hookimpl
def polygan_logged(event: polygan.RunEvent, values) -> None:
    """Values were logged."""
    if run := _runs.get(event.folder):
        run.log({"samples": event.samples, **values}, step=event.step)


@polygan.hookimpl
def polygan_evaluated(event: polygan.RunEvent, scores) -> None:
    """Scores were computed: each with its floor."""
    if run := _runs.get(event.folder):
        floors = {f"floor/{s.name}": s.floor for s in scores if s.floor is not None}
        run.log({**{f"score/{s.name}": s.value for s in scores}, **floors}, step=event.step)


@polygan.hookimpl
def polygan_run_ended(event: polygan.RunEvent, status: str) -> None:
    """Training ended."""
    if run := _runs.pop(event.folder, None):
        run.finish()
