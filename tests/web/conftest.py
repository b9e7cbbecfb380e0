"""The fixtures of a small registry of npm with an empty cache, and of pages in Chromium, by http and from the disk."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import os
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the modules of this folder
from small_registry import Registry

from polygan import CheckpointError
from polygan_web import export as exporting
from polygan_web import runtime

SHOTS = os.environ.get("POLYGAN_WEB_SHOTS", "")  # a folder for pictures of the pages, to be looked at
_packed = functools.lru_cache(8)(exporting.packed)  # packing onnxruntime-web takes seconds
_LOCAL = ("http://127.0.0.1:", "file:", "blob:", "data:")


@pytest.fixture
def registry(tmp_path, monkeypatch):
    npm = Registry()
    monkeypatch.setattr(runtime, "ADDRESS", npm.url)
    monkeypatch.setattr(runtime, "INTEGRITY", base64.b64encode(hashlib.sha512(npm.body).digest()).decode())
    monkeypatch.setattr(runtime, "FILES", {n: hashlib.sha256(data).hexdigest() for n, data in npm.files.items()})
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(runtime.PLACE, raising=False)
    yield npm
    npm.stop()


@pytest.fixture(scope="module")
def onnxruntime_web(tmp_path_factory):
    """onnxruntime-web is brought at most once for the whole session."""
    before = os.environ.get("POLYGAN_CACHE")
    os.environ["POLYGAN_CACHE"] = str(tmp_path_factory.getbasetemp() / "web-cache")
    try:
        runtime.runtime_files()
    except CheckpointError as error:
        pytest.skip(f"needs the network, or onnxruntime-web in {runtime.PLACE}: {error}")
    yield
    if before is not None:
        os.environ["POLYGAN_CACHE"] = before


@pytest.fixture
def exporter(onnxruntime_web, _own_cache, tmp_path_factory, monkeypatch):
    """Exports pages with the onnxruntime-web that is there."""
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path_factory.getbasetemp() / "web-cache"))
    monkeypatch.setattr(exporting, "packed", _packed)


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not found:
        pytest.skip("needs Chromium: e.g. apt install chromium")
    with playwright.sync_playwright() as driver:
        arguments = [
            "--no-sandbox",
            "--use-fake-device-for-media-stream",
        ]  # a microphone that beeps, and asks as others do
        chromium = driver.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(params=["http", "file"])
def opened(request, browser, exporter, tmp_path):
    """Opens the page of an ONNX file. Faults of the page and requests to other addresses fail the test."""
    folder, faults = tmp_path / "page", []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)

    def open_page(file, info=None):
        if file is not None:  # otherwise the page is there already
            exporting.export(SimpleNamespace(info=info or {}), [file], folder)
        page = context.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(_LOCAL) else faults.append(r.url))
        page.goto(
            f"http://127.0.0.1:{server.server_port}/" if request.param == "http" else (folder / "index.html").as_uri()
        )
        page.wait_for_selector("[data-drawn]", timeout=60_000)
        return page

    yield open_page
    for page in context.pages:
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{request.node.name}.png", full_page=True)
    context.close()
    server.shutdown()
    server.server_close()
    assert faults == []
