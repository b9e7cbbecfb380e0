"""Telling plugins of run events: one plugin at a time, so that one that raises stops nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ..errors import PluginError, did_you_mean, one_line
from ..messages import warn
from .discovery import HOOKS, PluginStatus, where

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pluggy import PluginManager


class Listeners:
    """The plugins that hear events, and how often each raised."""

    def __init__(self) -> None:
        self._plugins: list[tuple[PluginStatus, PluginManager]] = []
        self._raised: Counter[tuple[str, str]] = Counter()

    def add(self, status: PluginStatus, manager: PluginManager) -> None:
        """One plugin more."""
        self._plugins.append((status, manager))

    def emit(self, hook_name: str, strict: bool, arguments: Mapping[str, Any]) -> None:
        """Tell every plugin of a run event, one at a time.

        What a listener raises is one line on stderr the first time and counted after that; the count is printed
        when the run ends. ``strict`` raises `polygan.PluginError` instead.
        """
        if hook_name not in HOOKS:
            raise ValueError(f"no hook {hook_name!r}{did_you_mean(hook_name, HOOKS)}")
        for status, manager in self._plugins:
            try:
                getattr(manager.hook, hook_name)(**arguments)
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
