"""Telling plugins about run events, one plugin at a time: a listener that raises stops no other."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..errors import PluginError, did_you_mean, one_line
from ..messages import warn
from .discovery import HOOKS, PluginStatus
from .importing import where

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pluggy import PluginManager


class Listeners:
    """The plugins that hear events, and how often each of them raised."""

    def __init__(self) -> None:
        self._plugins: list[tuple[PluginStatus, PluginManager]] = []
        self._raised: Counter[tuple[str, str]] = Counter()

    def add(self, status: PluginStatus, manager: PluginManager) -> None:
        """Add a plugin."""
        self._plugins.append((status, manager))

    def emit(self, hook_name: str, strict: bool, arguments: Mapping[str, object]) -> None:
        """Tell every plugin about a run event, one plugin at a time.

        A listener's first error is one line on stderr. Later errors are counted, and the count is printed when the run
        ends. ``strict`` raises `polygan.PluginError` instead. Ctrl-C in a listener is the user's, and passes; the end of a run
        is told to the other plugins before.
        """
        if hook_name not in HOOKS:
            raise ValueError(f"no hook {hook_name!r}{did_you_mean(hook_name, HOOKS)}")
        interrupted = None
        for status, manager in self._plugins:
            try:
                getattr(manager.hook, hook_name)(**arguments)
            except KeyboardInterrupt as stop:
                if hook_name != "polygan_run_ended":
                    raise
                interrupted = stop
            except Exception as error:
                line = f"{status}: {hook_name} raised {one_line(error)}{where(error)}"
                if strict:
                    raise PluginError(f"{line}: correct it or leave it out") from error
                self._raised[str(status), hook_name] += 1
                if self._raised[str(status), hook_name] == 1:
                    warn(f"{line}; the run goes on, repeats are counted")
        if hook_name == "polygan_run_ended":
            for (plugin, hook), count in self._raised.items():
                if count > 1:
                    warn(f"{plugin}: {hook} raised {count} times")
            self._raised.clear()
        if interrupted is not None:
            raise interrupted
