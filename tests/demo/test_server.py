"""The server of the page: over HTTP on the loopback address, as a browser and as a stranger see it."""

from __future__ import annotations

import json
import socket
import sys

import httpx
import pytest
from demo_pages import catalogue, served

from polygan import ConfigError, read_options
from polygan_demo.commands import Demo, demo
from polygan_demo.server import is_local, listening, serve
from polygan_demo.stage import open_stage


class Page:
    """The page over HTTP: its components by name, and what it shows for their values."""

    def __init__(self, address):
        self.http = httpx.Client(base_url=address, timeout=60)
        config = self.http.get("/config").raise_for_status().json()
        self.components = {c["id"]: c for c in config["components"]}
        self.calls = {d["api_name"]: d for d in config["dependencies"] if d.get("api_name")}

    def values(self, call):
        """The values that the components of a call begin with, by their labels or ids."""
        found = [self.components[i]["props"] for i in self.calls[call]["inputs"]]
        return {p.get("label") or p.get("elem_id") or str(i): p.get("value") for i, p in enumerate(found)}

    def call(self, name, values):
        answer = self.http.post(f"/gradio_api/call/{name}", json={"data": list(values)}).raise_for_status()
        shown = []
        with self.http.stream("GET", f"/gradio_api/call/{name}/{answer.json()['event_id']}") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: ") and line != "data: null":
                    shown.append(json.loads(line[6:]))
        return shown

    def play(self, **changes):
        """What the page shows, one HTML after the other, with some values changed by label."""
        values = self.values("play")
        assert changes.keys() <= values.keys()
        return [shown[0] for shown in self.call("play", {**values, **changes}.values())]


@pytest.fixture(scope="module")
def page(pictures):
    catalogue()
    with served(open_stage(pictures, device="cpu")) as address:
        yield Page(address)


def test_the_page_makes_samples_over_http(page, pictures):
    first, again, other = page.play()[-1], page.play()[-1], page.play(Seed=1)[-1]
    assert "data:image/png;base64," in first
    assert first == again
    assert first != other
    moved = next(name for name in page.values("play") if name.startswith("Direction 1"))
    assert page.play(**{moved: 3})[-1] != first
    assert page.play(Class=2)[-1] != first


def test_faults_are_lines_and_the_server_goes_on(page):
    html = page.play(Seed=-1)[-1]
    assert "pg-error" in html
    assert "data:image/png" in page.play()[-1]


def test_the_page_has_names_of_classes_as_text(page):
    choices = next(c["props"]["choices"] for c in page.components.values() if c["props"].get("label") == "Class")
    assert [choice[0] for choice in choices] == ["any class", "${1+1}", "<b>bold", "plain"]
    for component in page.components.values():
        if component["type"] == "html":
            assert "<b>bold" not in str(component["props"].get("value"))


def test_only_names_of_this_machine_are_answered(page):
    assert page.http.get("/", headers={"host": "attacker.example"}).status_code == 400
    assert page.http.get("/", headers={"host": "localhost:7860"}).status_code == 200
    assert page.http.get("/", headers={"host": "[::1]:7860"}).status_code == 200


def test_a_browser_is_told_to_ask_nobody_else(page):
    policy = page.http.get("/").headers["content-security-policy"]
    assert "default-src 'self' data: blob:" in policy
    assert "http" not in policy


def test_no_file_of_the_machine_is_served(page, pictures):
    for path in (pictures / "config.yaml", "/etc/passwd", __file__):
        answer = page.http.get(f"/gradio_api/file={path}")
        assert answer.status_code in (403, 404), answer.text[:200]
    for path in ("/docs", "/openapi.json", "/gradio_api/mcp/sse"):
        assert page.http.get(path).status_code in (403, 404, 406), path


@pytest.fixture(scope="module")
def grey_page(grey):
    catalogue()
    with served(open_stage(grey, device="cpu")) as address:
        yield Page(address)


def test_an_upload_becomes_a_picture(grey_page, place):
    picture = next((place / "pictures/plain").glob("*.png"))
    with picture.open("rb") as file:
        (path,) = grey_page.http.post("/gradio_api/upload", files={"files": ("mine.png", file)}).json()
    given = {"path": path, "orig_name": "mine.png", "meta": {"_type": "gradio.FileData"}}
    html = grey_page.play(**{"Your picture": given})[-1]
    assert 'download="made.png"' in html
    assert "Hand something in" in grey_page.play()[-1]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "http://127.0.0.1:1/x.png", "https://example.invalid/x.png", "file:///etc/passwd"]
)
def test_files_and_addresses_of_others_are_not_taken(grey_page, path, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: asked.append(host) or [][0])
    given = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
    shown = grey_page.call("play", {**grey_page.values("play"), "Your picture": given}.values())
    assert not any("data:image" in str(html) for html in shown)
    assert "example.invalid" not in asked


def test_nothing_leaves_the_machine(toy, monkeypatch):
    """Every connection of the process, and every name that it looks up, while the page is made, served and used."""
    asked = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connecting(self, address):
        asked.append(address[0] if isinstance(address, tuple) else str(address))
        return connect(self, address)

    def looking_up(host, *args, **kwargs):
        asked.append(host.decode() if isinstance(host, bytes) else host)
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", connecting)
    monkeypatch.setattr(socket, "getaddrinfo", looking_up)
    with served(open_stage(toy, device="cpu")) as address:
        page = Page(address)
        assert page.http.get("/").status_code == 200
        assert "blockquote" in page.play()[-1]
    assert "127.0.0.1" in asked
    assert {host for host in asked if host not in ("127.0.0.1", None, "")} == set()


def test_a_port_in_use_is_one_line():
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"port {port} of 127.0.0.1 cannot be had \(.*in use\); name another with --port"
        ):
            listening("127.0.0.1", port)
        with pytest.raises(ConfigError, match="cannot be had"):  # before the run is even looked at
            serve("runs/there-is-none", port=port)


def test_an_address_of_another_machine_is_one_line():
    with pytest.raises(ConfigError, match=r"192.0.2.1 cannot be had|--host 192.0.2.1"):
        listening("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("", False)]
)
def test_which_addresses_are_of_this_machine_alone(host, local):
    assert is_local(host) is local


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_command_serves_and_warns_of_others(host, toy, monkeypatch, capsys):
    import uvicorn

    bound = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: bound.append(sockets[0].getsockname()[0]))
    demo([str(toy), "--host", host, "--port", "0", "--device", "cpu", "--set", "scale=0.5"])
    out, err = capsys.readouterr()
    assert bound == [host]
    assert out.startswith(f"http://{host}:")
    assert ("everybody who reaches this machine" in err) is (host == "0.0.0.0")


def test_the_usual_address_is_for_this_machine_alone():
    options = read_options("demo", Demo, ["runs/x"], first="run")
    assert (options.run, options.host, options.port, options.set) == ("runs/x", "127.0.0.1", 7860, ())
    assert read_options("demo", Demo, ["runs/x", "--set", '["a=1", "b=c,d"]'], first="run").set == ("a=1", "b=c,d")
    with pytest.raises(ConfigError, match="port = 70000 is outside"):
        read_options("demo", Demo, ["runs/x", "--port", "70000"], first="run")


def test_the_command_is_listed_without_torch_and_gradio():
    import subprocess

    code = "import polygan_demo, sys; print(polygan_demo.polygan_commands()[0].name, 'torch' in sys.modules, 'gradio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["demo", "False", "False"]
