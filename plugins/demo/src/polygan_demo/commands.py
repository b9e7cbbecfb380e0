"""The command ``polygan demo``."""

from __future__ import annotations

from dataclasses import dataclass

from polygan import Checked, ranged, read_options

from .address import HOST, PORT


@dataclass(frozen=True, kw_only=True)
class Demo(Checked):
    """Play with a run in the browser: sliders, classes, uploads. The page is for this machine alone unless --host names another address."""

    run: str = ""
    """The run's folder, e.g. runs/dcgan-mnist-5k, or an exported model."""
    host: str = HOST
    """The address to listen at; 0.0.0.0 shows the page to everybody who reaches this machine."""
    port: int = ranged(PORT, "[0, 65535]")
    """The port to listen at; 0: any free port."""
    step: int = ranged(0, "[0, inf)")
    """The checkpoint of this step; 0: the newest."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    set: tuple[str, ...] = ()
    """Options of generation that the page starts with, each as NAME=VALUE: a JSON list, e.g. '["vocoder=runs/vocos-x"]', or one."""


def demo(words: list[str]) -> None:
    """Serve the page of a run until the process is stopped."""
    options = read_options("demo", Demo, words, first="run")
    if options is None:
        return
    from .server import serve

    serve(
        options.run,
        host=options.host,
        port=options.port,
        step=options.step or None,
        device=options.device,
        options=options.set,
    )
