"""The example of a listener: its table is the run's log, after a resume and a rollback too; a webhook stops nothing."""

from __future__ import annotations

import csv
import json
import math
import socket
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import polygan
from polygan.plugins import load_catalogue, set_catalogue
from polygan.record.log import read_log

LISTENER = Path(__file__).parents[2] / "examples/csv_listener.py"
TOY = Path(__file__).parents[1] / "toy_gan.py"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    set_catalogue(None)


def use(*files):
    """Load these files alone as the plugins of this process; the module of the first."""
    set_catalogue(load_catalogue(files=files, allow=()))
    return sys.modules[files[0].stem]


def play(steps, resume="", **settings):
    """A run of the toy with the listener beside; its folder."""
    use(TOY, LISTENER)
    if resume:
        return polygan.resume(resume, steps=steps, quiet=True).folder
    return polygan.train("points/mlp", data="ring", steps=steps, sample_every=0, quiet=True, **settings).folder


def rows(folder):
    with (folder / "values.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def assert_is_the_log(folder):
    """The table holds each logged step once, and what log.jsonl says of it."""
    logged = {r["step"]: r for r in read_log(folder / "log.jsonl") if r["event"] == "logged"}
    assert [int(row["step"]) for row in rows(folder)] == sorted(logged)
    for row in rows(folder):
        record = logged[int(row.pop("step"))]
        assert int(row.pop("samples")) == record["samples"]
        found = {name: float(text) for name, text in row.items() if text}
        assert {k: v if math.isfinite(v) else None for k, v in found.items()} == record["values"]


def test_the_table_is_the_log_of_a_run_and_of_a_resumed_one():
    folder = play(10, save_every=4, log_every=1, model={"r1": 1.0, "r1_every": 3})
    assert_is_the_log(folder)
    assert [bool(row["r1/r1"]) for row in rows(folder)] == [i % 3 == 0 for i in range(10)]  # every third step
    newest = folder / "checkpoints" / "step-00000010"
    newest.rename(folder / "lost")
    with (folder / "values.csv").open("a") as file:
        file.write("11,352,0.5")  # cut off by a kill
    play(12, resume=str(folder))
    assert_is_the_log(folder)
    assert len(rows(folder)) == 12


def test_the_table_follows_a_rollback():
    model = {"poison_at": 6, "poison_rollbacks": 1}
    folder = play(10, save_every=5, log_every=2, max_skips=2, model=model)
    assert any(r["event"] == "diverged" for r in read_log(folder / "log.jsonl"))
    assert_is_the_log(folder)


def test_a_script_gets_the_table_without_a_plugin(tmp_path):
    example = use(LISTENER)
    set_catalogue(load_catalogue(files=[TOY], allow=()))
    model = {"poison_at": 6, "poison_rollbacks": 1}
    run = polygan.train(
        "points/mlp", data="ring", steps=10, save_every=5, log_every=2, max_skips=2, sample_every=0, quiet=True, model=model,
        listeners=[example.table_listener(tmp_path / "values.csv")],
    )  # fmt: skip
    (tmp_path / "values.csv").rename(run.folder / "values.csv")
    assert any(r["event"] == "diverged" for r in read_log(run.folder / "log.jsonl"))
    assert_is_the_log(run.folder)


def test_a_name_that_comes_later_is_a_column_on_the_right(tmp_path):
    example = use(LISTENER)

    def log(step, **values):
        event = polygan.RunEvent(tmp_path, "points/mlp", {}, step, 10 * step)
        example.polygan_logged(event=event, values=values)

    log(1, a=0.1)
    log(2, a=float("nan"), b=1 / 3)
    log(3, b=2.0)
    text = (tmp_path / "values.csv").read_text()
    assert text == f"step,samples,a,b\n1,10,0.1,\n2,20,nan,{1 / 3!r}\n3,30,,2.0\n"


@contextmanager
def webhook(status=200):
    """The address of a server in a thread, and what was posted to it."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks/secret", posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_webhook_is_told_how_a_run_ended(monkeypatch, caplog):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with webhook() as (url, posted):
        monkeypatch.setenv("POLYGAN_WEBHOOK", url)
        folder = play(3)
    facts = {"run": str(folder), "recipe": "points/mlp", "status": "finished", "step": 3}
    facts["text"] = f"polygan: {folder} (points/mlp) finished at step 3"
    assert posted == [("/hooks/secret", "application/json", facts)]
    assert "csv_listener" not in caplog.text


def test_a_webhook_that_cannot_be_reached_is_one_line_and_the_run_is_finished(monkeypatch, caplog):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv(
            "POLYGAN_WEBHOOK", f"http://127.0.0.1:{free.getsockname()[1]}/hooks/secret"
        )  # nobody listens
        folder = play(3)
    (line,) = [x for x in caplog.messages if "csv_listener" in x]
    assert f"the webhook at '127.0.0.1' was not told that run {folder} finished" in line
    assert "refused" in line
    assert line.endswith("check POLYGAN_WEBHOOK")
    assert "secret" not in line
    assert read_log(folder / "log.jsonl")[-1]["status"] == "finished"


@pytest.mark.parametrize("url", ["ftp://x/secret", "http://[secret", "http://x:port/secret", "nonsense secret"])
def test_an_address_that_is_none_is_one_line(url, monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("POLYGAN_WEBHOOK", url)
    use(LISTENER).polygan_run_ended(event=polygan.RunEvent(tmp_path, "points/mlp", {}, 1, 2), status="failed")
    (line,) = caplog.messages
    assert "failed (it is no http(s) address, or no answer)" in line
    assert "secret" not in line


def test_a_webhook_that_refuses_is_said(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with webhook(404) as (url, posted):
        monkeypatch.setenv("POLYGAN_WEBHOOK", url)
        use(LISTENER).polygan_run_ended(event=polygan.RunEvent(tmp_path, "points/mlp", {}, 1, 2), status="finished")
    assert len(posted) == 1
    assert "(HTTP Error 404: Not Found)" in caplog.text


@contextmanager
def dripping():
    """The address of a server that sends its answer byte by byte and never ends."""
    done = threading.Event()

    def answer(server):
        connection, _ = server.accept()
        with connection:
            while not done.wait(0.05):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/hooks/secret"
        finally:
            done.set()
            thread.join()


def test_a_webhook_that_answers_without_end_has_a_total_of_seconds(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    example = use(LISTENER)
    monkeypatch.setattr(example, "TIMEOUT", 0.3)
    with dripping() as url:
        monkeypatch.setenv("POLYGAN_WEBHOOK", url)
        begin = time.monotonic()
        example.polygan_run_ended(event=polygan.RunEvent(tmp_path, "points/mlp", {}, 1, 2), status="finished")
        assert time.monotonic() - begin < 5
    (line,) = caplog.messages
    assert "(no answer in 0.3 s): check POLYGAN_WEBHOOK" in line
