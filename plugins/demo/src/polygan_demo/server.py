"""The server of the page: on this machine alone unless told otherwise, and in touch with no other."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import gradio as gr
import uvicorn
from fastapi import FastAPI
from gradio.themes import Default

from polygan import ConfigError

from .address import HOST, PORT
from .page import CSS, build_page
from .stage import open_stage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .stage import Stage

_POLICY = "; ".join(
    (
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "base-uri 'self'",
    )
)
"""What a browser may load: what comes from this server. Gradio's scripts would ask others for fonts."""
_LARGEST = "64mb"
"""The largest upload."""
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
_LOCAL_NAMES = {"localhost", "127.0.0.1", "[::1]", "::1"}


def serve(
    run: str | Path,
    *,
    host: str = HOST,
    port: int = PORT,
    step: int | None = None,
    device: str = "auto",
    options: Iterable[str] = (),
) -> None:
    """Serve the page of a run until the process is interrupted.

    ``options`` are options of generation as NAME=VALUE. Raises ConfigError for an address or a port that cannot be had, and
    PolyganError for a run that cannot be opened.
    """
    with listening(host, port) as listener:
        if not is_local(host):
            print(
                f"polygan demo: --host {host}: everybody who reaches this machine can use the page, without a password",
                file=sys.stderr,
            )
        stage = open_stage(run, step=step, device=device, words=options)
        with tempfile.TemporaryDirectory(prefix="polygan-demo-") as uploads:
            # Uploads end with the server. Gradio reads the variable whenever it makes a component.
            os.environ["GRADIO_TEMP_DIR"] = uploads
            config = uvicorn.Config(
                application(stage, host), log_level="warning", timeout_graceful_shutdown=1, lifespan="on"
            )
            shown = f"[{host}]" if ":" in host else host
            print(f"http://{shown}:{listener.getsockname()[1]}/ (Ctrl-C ends it)", flush=True)
            try:
                uvicorn.Server(config).run(sockets=[listener])
            except KeyboardInterrupt:
                return


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound to an address and a port. Raises ConfigError, with the remedy, where they cannot be had."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"--host {host} is no address of this machine ({error}); 127.0.0.1 is for this machine alone"
        ) from None
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # else a port would be held for a minute after a server ended
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"port {port} of {host} cannot be had ({error.strerror}); name another with --port, or 0 for any free port"
        ) from None
    return listener


def is_local(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def application(stage: Stage, host: str = HOST) -> Any:
    """The page of a stage as an ASGI application. Gradio has neither analytics, share links nor an interface for agents here."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # Gradio's parts ask it each on their own
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        outer,
        build_page(stage),
        path="/",
        server_name=host,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        footer_links=[],
        run_history=False,
        max_file_size=_LARGEST,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        show_error=True,
        theme=_theme(),
        css=CSS.read_text(encoding="utf-8"),
    )
    return _Guard(outer, {*_LOCAL_NAMES, host.lower()} if is_local(host) else None)


def _theme() -> Any:
    theme = Default(primary_hue="teal", neutral_hue="stone", font=_FONTS, font_mono=["ui-monospace", "monospace"])
    return theme.set(
        block_title_background_fill="none",
        block_title_background_fill_dark="none",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_title_padding="0",
        block_title_text_weight="500",
    )


class _Guard:
    """Answers only requests to the names of this machine (None: all), and tells browsers to load from this server alone.

    Without the names, the page of a stranger could reach a local server through a name that it points here.
    """

    def __init__(self, inner: Any, names: set[str] | None) -> None:
        self.inner, self.names = inner, names

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.inner(scope, receive, send)
            return
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if self.names is not None and _without_port(host) not in self.names:
            if scope["type"] == "http":
                await send(
                    {"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"text/plain")]}
                )
                await send({"type": "http.response.body", "body": b"this page is for its own machine alone"})
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (b"content-security-policy", _POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        await self.inner(scope, receive, guarded)


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
