"""A listener in one file: the values of a run as a table, and a notice to a webhook when it ends.

    polygan --plugin ./examples/csv_listener.py train image/dcgan --data mnist-5k
    export POLYGAN_WEBHOOK=https://chat.example/hooks/...
    polygan --plugin ./examples/csv_listener.py resume runs/dcgan-mnist-5k --steps 20000

`RUN/values.csv` has a line for each time that values were logged: ``step``, ``samples``, then a column for each
value, under its name in log.jsonl. What is logged for the first time later becomes a column on the right, empty
above.

A listener is a module with some of the event hooks: the four below, and `polygan_sampled`, `polygan_evaluated` and
`polygan_saved`, which a table of values has no use for. They are called on the first process only, between
iterations, one plugin after another. What a hook raises is one line on stderr that names the plugin, and the run goes
on (POLYGAN_STRICT=1 raises): here that is a full disk, say.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import urllib.request
from http.client import HTTPException
from urllib.parse import urlsplit

import polygan

TIMEOUT = 5  # seconds that a webhook has to answer: the process waits for it


@polygan.hookimpl
def polygan_run_started(event: polygan.RunEvent) -> None:
    """Training starts (``event.step`` 0) or resumes: what an interrupted attempt wrote after its checkpoint goes."""
    keep(event)


@polygan.hookimpl
def polygan_logged(event: polygan.RunEvent, values) -> None:
    """Values were logged, each the mean since the last time. The names may differ from call to call."""
    path, row = table(event), {"step": event.step, "samples": event.samples, **values}
    columns = header(path)
    if row.keys() <= set(columns):
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(lines(columns, [row]))
    else:  # a new name: the file is written anew with the wider header
        columns += [name for name in row if name not in columns]
        write(path, columns, [*read(path), row])


@polygan.hookimpl
def polygan_diverged(event: polygan.RunEvent, message: str) -> None:
    """The run went back to an earlier step, now ``event.step``, or gave up where it is: later lines are void."""
    keep(event)


@polygan.hookimpl
def polygan_run_ended(event: polygan.RunEvent, status: str) -> None:
    """Training ended: ``status`` is finished, preempted, interrupted or failed. Told to $POLYGAN_WEBHOOK, if set."""
    if url := os.environ.get("POLYGAN_WEBHOOK"):
        notify(url, event, status)


# The table


def table(event):
    return event.folder / "values.csv"


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


def keep(event):
    """Drop the rows after ``event.step``, which the run is about to play again."""
    path = table(event)
    if path.exists():
        write(path, header(path), [row for row in read(path) if int(row["step"]) <= event.step])


# The webhook


def notify(url, event, status):
    """POST a JSON object; ``text`` is what chat programs show. Whatever goes wrong is one line and no more."""
    facts = {"run": str(event.folder), "recipe": event.recipe, "status": status, "step": event.step}
    facts["text"] = f"polygan: {event.folder} ({event.recipe}) {status} at step {event.step}"
    host = ""
    try:
        host = urlsplit(url).hostname or ""  # all that is printed: the rest of such an address is often a secret
        if urlsplit(url).scheme not in ("http", "https"):
            raise ValueError
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(facts).encode(), headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            pass
    except (OSError, ValueError, HTTPException) as error:
        # An OSError is no answer in time, no such host, or a status of 400 or more.
        known = isinstance(error, OSError)
        reason = " ".join(str(error).split()) if known else "it is no http(s) address, or no answer"
        print(
            f"csv_listener: the webhook at {host!r} was not told that run {event.folder} {status} ({reason}): "
            "check POLYGAN_WEBHOOK",
            file=sys.stderr,
        )
