"""The commands ``polygan push`` and ``polygan pull``."""

from __future__ import annotations

from dataclasses import dataclass

from polygan import ranged, read_options


@dataclass(frozen=True, kw_only=True)
class Push:
    """Publish a run on the Hugging Face Hub: the exported model, a model card, settings, scores and samples."""

    run: str = ""
    """The run's folder, e.g. runs/dcgan-mnist-5k."""
    name: str = ""
    """The name on the Hub: OWNER/NAME."""
    private: bool = False
    """Only you and your organisation can see the model."""
    step: int = ranged(0, "[0, inf)")
    """The checkpoint of this step; 0: the newest."""


@dataclass(frozen=True, kw_only=True)
class Pull:
    """Bring a model from the Hugging Face Hub, and print the file to load."""

    name: str = ""
    """The name on the Hub: OWNER/NAME, hf:OWNER/NAME or OWNER/NAME@REVISION."""
    revision: str = ""
    """A branch, tag or commit; empty: the newest."""
    out: str = ""
    """A new folder, which gets the model card, settings, scores and samples too; empty: the model alone, in polygan's cache."""


def push(words: list[str]) -> None:
    """Publish a run, and print the name that brings this very model again."""
    options = read_options("push", Push, words, first=("run", "name"))
    if options is None:
        return
    from .pushing import push

    pinned = push(options.run, options.name, private=options.private, step=options.step or None)
    print(f"hf:{pinned}")


def pull(words: list[str]) -> None:
    """Bring a model, and print its file."""
    options = read_options("pull", Pull, words, first="name")
    if options is None:
        return
    from .pulling import pull

    print(pull(options.name, revision=options.revision or None, out=options.out or None))
