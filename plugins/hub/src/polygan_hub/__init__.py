"""The Hugging Face Hub for polygan: `push` a run, `pull` a model, and models named ``hf:OWNER/NAME``.

Only data stands here: `polygan --help` imports this module and must import neither torch nor huggingface_hub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polygan import CommandSpec, SchemeSpec, hookimpl

if TYPE_CHECKING:
    from .pulling import pull
    from .pushing import push

POLYGAN_API = 2

__all__ = ["pull", "push"]


@hookimpl
def polygan_commands() -> list[CommandSpec]:
    return [
        CommandSpec("push", "publish a run on the Hugging Face Hub, with a model card", "polygan_hub.commands:push"),
        CommandSpec("pull", "bring a model from the Hugging Face Hub", "polygan_hub.commands:pull"),
    ]


@hookimpl
def polygan_schemes() -> list[SchemeSpec]:
    return [SchemeSpec("hf", "models of the Hugging Face Hub: hf:OWNER/NAME[@REVISION]", "polygan_hub.pulling:fetch")]


def __getattr__(name: str) -> object:
    if name == "push":
        from .pushing import push

        return push
    if name == "pull":
        from .pulling import pull

        return pull
    raise AttributeError(f"module 'polygan_hub' has no attribute {name!r}")
