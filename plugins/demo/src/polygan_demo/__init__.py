"""A page to play with a run in the browser: ``polygan demo RUN``.

Only data stands here: `polygan --help` imports this module and must import neither torch nor gradio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygan import CommandSpec, hookimpl

if TYPE_CHECKING:
    from .server import serve

POLYGAN_API = 2

__all__ = ["serve"]


@hookimpl
def polygan_commands() -> list[CommandSpec]:
    return [CommandSpec("demo", "play with a run in the browser", "polygan_demo.commands:demo")]


def __getattr__(name: str) -> object:
    if name == "serve":
        from .server import serve

        return serve
    raise AttributeError(f"module 'polygan_demo' has no attribute {name!r}")
