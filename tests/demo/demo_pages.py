"""The page of a stage behind a server on the loopback address, and the catalogue with the toys."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parents[1]


def catalogue():
    from polygan.plugins import load_catalogue, set_catalogue

    set_catalogue(load_catalogue(files=[TESTS / "toy_gan.py"]))


@contextmanager
def inside(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def served(stage, host="127.0.0.1"):
    """The address of the page of a stage."""
    import uvicorn

    from polygan_demo.server import application, listening

    listener = listening("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(application(stage, host), log_level="warning", timeout_graceful_shutdown=1, lifespan="on")
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
