"""Finding the installed plugins, and reading which hooks a plugin implements.

A fault of a plugin becomes one line with the cause and the remedy. The catalogue puts the plugin's name, distribution and
version in front of that line.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from importlib.metadata import Distribution, distributions, entry_points
from typing import TYPE_CHECKING, NamedTuple

from pluggy import PluginManager, PluginValidationError

from .. import hookspecs
from ..errors import ConfigError, did_you_mean, one_line
from ..hookspecs import API_VERSION, OLDEST_API
from ..messages import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

GROUP = "polygan"
"""The entry-point group; an entry point names a module with hook implementations."""
HOOKS = [name for name in vars(hookspecs) if name.startswith("polygan_")]


@dataclass(frozen=True)
class PluginStatus:
    """What became of a plugin."""

    name: str
    """The entry point's name, or the stem of a local file; two entry points of one name have the distribution added."""
    module: str
    """The entry point's value, or the file's path."""
    distribution: str
    """The package that brings the plugin; empty for a local file."""
    version: str
    status: str
    """``"loaded"``, ``"disabled"`` or ``"failed"``."""
    reason: str = ""
    """One line: cause and remedy of a failure, a warning about a loaded plugin, or why a plugin is disabled."""
    provides: Mapping[str, int] = field(default_factory=dict)
    """How many specs the plugin registered, by plural of the kind (``recipes``), and how many ``events`` it hears."""
    refused: Sequence[tuple[str, str]] = ()
    """The kind and id of each spec that is left out, because another plugin had registered the id."""

    def __str__(self) -> str:
        source = " ".join(filter(None, (self.distribution, self.version)))
        return f"plugin {self.name!r} ({source or self.module})"


class Refused(Exception):
    """A plugin cannot be used; the message is one line with the cause and the remedy."""


class Candidate(NamedTuple):
    """A plugin that is not loaded yet."""

    status: PluginStatus
    names: frozenset[str]
    """The names that allow or disable the plugin."""
    load: Callable[[], object]


def installed() -> list[Candidate]:
    """The installed plugins in a fixed order: by entry point, then by distribution."""
    entries: list[tuple[str, str, Callable[[], object], Distribution | None]] = []
    try:
        entries += [(e.name, e.value, e.load, e.dist) for e in entry_points(group=GROUP)]
    except Exception:  # malformed metadata of one distribution must not hide the others
        for dist in distributions():
            try:
                entries += [(e.name, e.value, e.load, dist) for e in dist.entry_points if e.group == GROUP]
            except Exception as error:
                name = _identity(dist)[0]
                reason = f"its entry_points.txt is malformed: install {name} again ({one_line(error)})"
                # Every library that reads entry points fails on this file, torch and triton too, and none says why.
                warn(f"distribution {name!r}: {reason}; torch may not import before that")
                if f"[{GROUP}]" in _entry_points_text(dist):
                    entries.append((name, "entry_points.txt", partial(_refuse, reason), dist))
    found = [(name, *_identity(dist), value, load) for name, value, load, dist in entries]
    found.sort(key=lambda entry: entry[:4])
    shared = Counter(name for name, *_ in found)
    candidates = []
    for name, dist, version, value, load in found:
        unique = name if shared[name] == 1 else f"{name} ({dist})"
        status = PluginStatus(unique, value, dist, version, "failed")
        candidates.append(Candidate(status, frozenset((name, unique)), load))
    return candidates


def _entry_points_text(dist: Distribution) -> str:
    try:
        return dist.read_text("entry_points.txt") or ""
    except Exception:  # an unreadable file may name a plugin, so it is reported as if it did
        return f"[{GROUP}]"


def _refuse(reason: str) -> None:
    raise Refused(reason)


def _identity(dist: Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution; ``"unknown"`` and ``""`` where the metadata cannot be read."""
    try:
        metadata = dist.metadata if dist else {}
        return str(metadata["Name"] or "unknown"), str(metadata["Version"] or "")
    except Exception:
        return "unknown", ""


def attach(plugin: object) -> tuple[PluginManager, set[str], list[str]]:
    """A manager that holds this plugin alone, the names of its hooks, and warnings about deprecated ones; raises `Refused`."""
    api = getattr(plugin, "POLYGAN_API", API_VERSION)
    if not isinstance(api, int) or isinstance(api, bool):
        raise Refused(f"POLYGAN_API is {api!r}, not an integer: set POLYGAN_API = {API_VERSION}")
    if api > API_VERSION:
        raise Refused(f"asks for plugin API {api}, this polygan has {API_VERSION}: pip install --upgrade polygan")
    if api < OLDEST_API:
        raise Refused(f"written for plugin API {api}, this polygan needs at least {OLDEST_API}: upgrade the plugin")
    manager = PluginManager("polygan")
    manager.add_hookspecs(hookspecs)
    try:
        with warnings.catch_warnings(record=True) as deprecated:
            warnings.simplefilter("always")  # Python hides most deprecations, pluggy's among them
            manager.register(plugin)
    except PluginValidationError as error:
        raise Refused(f"{one_line(error)}: see polygan.hookspecs for each hook's arguments") from error
    hooks = set()
    for caller in manager.get_hookcallers(plugin) or ():
        for hook in caller.get_hookimpls():
            if not caller.has_spec() and not hook.optionalhook:
                close = did_you_mean(caller.name, HOOKS)
                raise Refused(f"implements an unknown hook {caller.name!r}{close}: see polygan.hookspecs")
            if inspect.isgeneratorfunction(hook.function) or inspect.iscoroutinefunction(hook.function):
                raise Refused(f"{caller.name} is a generator or a coroutine: make it a plain function")
        if caller.has_spec():
            hooks.add(caller.name)
    if not hooks:
        hint = "implements no hook: decorate a function such as polygan_recipes() with @polygan.hookimpl"
        raise Refused(unmarked(plugin) or hint)
    return manager, hooks, [" ".join(str(warning.message).split()) for warning in deprecated]


def unmarked(plugin: object) -> str:
    """A line about a module's functions that are named like hooks but not marked; empty if there are none."""
    if not inspect.ismodule(plugin):
        return ""
    names = [
        name
        for name, value in vars(plugin).items()
        if name.startswith("polygan_")
        and inspect.isfunction(value)
        and value.__module__ == plugin.__name__
        and not hasattr(value, "polygan_impl")
    ]
    return f"not marked as a hook and ignored: {', '.join(names)}; add @polygan.hookimpl" if names else ""


def known_names(names: Iterable[str], known: list[str], origin: str) -> set[str]:
    """The names as a set. Raises ConfigError, which names ``origin``, for a name that is not installed."""
    names = set(names)
    for name in sorted(names - set(known)):
        there = ", ".join(known) or "none"
        raise ConfigError(f"{origin}: no plugin {name!r}{did_you_mean(name, known)}; installed: {there}")
    return names


NONE = 'no plugin that is loaded brings one: `polygan plugins` shows them, pip install "polygan[all]" brings polygan\'s own'
_IN_AN_EXTRA = re.compile(r"polygan-([\w-]+).*;.*\bextra\s*==\s*['\"]\1['\"]")


def offered() -> dict[str, str]:
    """The distributions of plugins by the extra of polygan of the same name; empty where polygan is not installed."""
    try:
        texts = metadata.requires("polygan") or ()
    except Exception:  # a checkout on the path without metadata, or damaged metadata
        return {}
    found = filter(None, map(_IN_AN_EXTRA.match, texts))
    return {match[1]: f"polygan-{match[1]}" for match in found}


def missed(id: str, domains: Container[str], plugins: Iterable[PluginStatus]) -> str:
    """What to type for an id such as ``image/dcgan`` if the plugin of its domain is not installed; else empty."""
    domain = id.partition("/")[0]
    distribution = offered().get(domain, "")
    if not distribution or domain in domains or any(plugin.distribution == distribution for plugin in plugins):
        return ""
    return f"the plugin {distribution} is not installed: pip install {distribution}"


def nothing() -> str:
    """What to install where no plugin brings a recipe."""
    one = ", ".join(f"pip install {name}" for name in offered().values())
    return (
        'no recipe, because no plugin brings one: pip install "polygan[all]" installs those of polygan'
        f"{f', or install one ({one})' if one else ''}; `polygan plugins` shows what is there, and `polygan new NAME` writes "
        "one of your own"
    )
