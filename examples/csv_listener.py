"""A listener in one file: the values of a run as a table, and a notice to a webhook when it ends.

    polygan --plugin ./examples/csv_listener.py train image/dcgan --data mnist-5k
    export POLYGAN_WEBHOOK=https://chat.example/hooks/...
    polygan --plugin ./examples/csv_listener.py resume runs/dcgan-mnist-5k --steps 20000

From Python, a table alone needs no plugin:

    polygan.train("image/dcgan", data="mnist-5k", listeners=[csv_listener.table_listener("values.csv")])

`RUN/values.csv` has a line for each time that values were logged: ``step``, ``samples``, then a column for each value under its name in
log.jsonl. A value that is logged for the first time later becomes a column on the right, empty above.

A listener is a module with some of the event hooks. This listener has four of them; `polygan_sampled`, `polygan_evaluated` and
`polygan_saved` are of no use for a table of values. polygan calls the hooks on the first process only, between iterations, one plugin
after another. If a hook raises (the disk is full, say), polygan prints one line that names the plugin, and the run goes on. With
POLYGAN_STRICT=1 the run ends. A listener from Python is part of its script: what it raises ends the run.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import threading
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import polygan

TIMEOUT = 5  # seconds for the whole notice, from the name of the host to the last byte: the process waits for it


@polygan.hookimpl
def polygan_run_started(event: polygan.RunEvent) -> None:
    """Training starts (``event.step`` 0) or resumes: what an interrupted attempt wrote after its checkpoint goes."""
    keep(table(event), event.step)


@polygan.hookimpl
def polygan_logged(event: polygan.RunEvent, values) -> None:
    """Values were logged, each the mean since the last time. The names may differ from call to call."""
    add(table(event), {"step": event.step, "samples": event.samples, **values})


@polygan.hookimpl
def polygan_diverged(event: polygan.RunEvent, message: str) -> None:
    """The run went back to an earlier step, now ``event.step``, or gave up where it is: later lines are void."""
    keep(table(event), event.step)


@polygan.hookimpl
def polygan_run_ended(event: polygan.RunEvent, status: str) -> None:
    """Training ended: ``status`` is finished, preempted, interrupted or failed. Told to $POLYGAN_WEBHOOK, if set."""
    if url := os.environ.get("POLYGAN_WEBHOOK"):
        notify(url, event, status)


# From Python


def table_listener(path) -> polygan.Listener:
    """What writes the table to ``path``: one of the ``listeners`` of `polygan.train`."""
    file = Path(path)

    class Table(polygan.Listener):  # made here: the class needs torch, and loading a plugin must not import torch
        def logged(self, trainer, values) -> None:
            add(file, {"step": trainer.step, "samples": trainer.samples, **values})

        def diverged(self, trainer, message: str) -> None:
            keep(file, trainer.step)

    return Table()


# The table


def table(event):
    return event.folder / "values.csv"


def add(path, row):
    """Append a row."""
    columns = header(path)
    if row.keys() <= set(columns):
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(lines(columns, [row]))
    else:  # a new name: the file is written anew with the wider header
        columns += [name for name in row if name not in columns]
        write(path, columns, [*read(path), row])


def header(path):
    """The columns of the table; none where there is no file yet."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])


def read(path):
    """The rows as {column: text}, but for a last one that was cut off."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return list(csv.DictReader(io.StringIO(whole)))


def lines(columns, rows):
    """Rows as CSV. A value that was not logged is an empty cell, one that is not finite is nan or inf."""
    text = io.StringIO()
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()


def write(path, columns, rows):
    """Replace the file in one move, so that a kill leaves the old one or the new one."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(lines(columns, [dict(zip(columns, columns, strict=True)), *rows]), encoding="utf-8")
    temporary.replace(path)


def keep(path, step):
    """Drop the rows after ``step``, which the run is about to play again."""
    if path.exists():
        write(path, header(path), [row for row in read(path) if int(row["step"]) <= step])


# The webhook

NO_ADDRESS = "it is no http(s) address, or no answer"


def notify(url, event, status):
    """POST a JSON object; ``text`` is what chat programs show. Whatever goes wrong is one warning and no more."""
    facts = {"run": str(event.folder), "recipe": event.recipe, "status": status, "step": event.step}
    facts["text"] = f"polygan: {event.folder} ({event.recipe}) {status} at step {event.step}"
    host, problem = "", []
    try:
        host = urlsplit(url).hostname or ""  # all that is printed: the rest of such an address is often a secret
    except ValueError:
        problem.append(NO_ADDRESS)
    else:
        # The timeout of a socket holds for one operation: a server that sends a byte a second would stop the run for good.
        thread = threading.Thread(target=lambda: problem.append(post(url, facts)), daemon=True)
        thread.start()
        thread.join(TIMEOUT)
    reason = problem[0] if problem else f"no answer in {TIMEOUT:g} s"
    if reason:
        logging.getLogger("polygan").warning(
            f"csv_listener: the webhook at {host!r} was not told that run {event.folder} {status} ({reason}): "
            "check POLYGAN_WEBHOOK"
        )


def post(url, facts):
    """POST a JSON object; what went wrong, in words, or nothing."""
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            return NO_ADDRESS
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(facts).encode(), headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            return ""
    except OSError as error:  # no such host, nobody listens, or a status of 400 or more
        return " ".join(str(error).split())
    except (ValueError, HTTPException):
        return NO_ADDRESS
