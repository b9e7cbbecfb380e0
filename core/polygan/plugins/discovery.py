"""Finding plugins, importing one of them, and checking what it registers.

Whatever is wrong with a plugin becomes one line with the cause and the remedy; `polygan.plugins` puts the plugin's name,
distribution and version in front of it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import threading
import time
import warnings
from collections import Counter
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import Distribution, distributions, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pluggy import PluginManager, PluginValidationError

from .. import hookspecs
from ..errors import did_you_mean, one_line
from ..hookspecs import API_VERSION, OLDEST_API
from ..messages import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType


GROUP = "polygan"
"""The entry-point group; an entry point names a module with hook implementations."""
HOOKS = [name for name in vars(hookspecs) if name.startswith("polygan_")]
PATIENCE = 3.0
"""Seconds after which an installed plugin that is still being loaded is named on stderr; a local file has ten times as long."""

_PIP = {"PIL": "pillow", "cv2": "opencv-python", "skimage": "scikit-image", "sklearn": "scikit-learn"}


@dataclass(frozen=True)
class PluginStatus:
    """What became of a plugin."""

    name: str
    """Its entry point (with the distribution where two share a name), or the stem of its file."""
    module: str
    """The entry point's value, or the file's path."""
    distribution: str
    """Empty for a local file."""
    version: str
    status: str
    """``"loaded"``, ``"disabled"`` or ``"failed"``."""
    reason: str = ""
    """One line with cause and remedy of a failure, or with a warning about a loaded plugin."""
    provides: Mapping[str, int] = field(default_factory=dict)
    """How many of each kind it registered, by plural (``recipes``), and to how many ``events`` it listens."""

    def __str__(self) -> str:
        source = " ".join(filter(None, (self.distribution, self.version)))
        return f"plugin {self.name!r} ({source or self.module})"


class Refused(Exception):
    """Why a plugin cannot be taken, with the remedy, on one line."""


@dataclass(frozen=True)
class Candidate:
    """A plugin that is not loaded yet. ``names``: what it may be called to allow or disable it."""

    status: PluginStatus
    names: frozenset[str]
    load: Callable[[], Any]


def installed() -> list[Candidate]:
    """The installed plugins in a fixed order: by entry point, then distribution."""
    entries: list[tuple[str, str, Callable[[], Any], Distribution | None]] = []
    try:
        entries += [(e.name, e.value, e.load, e.dist) for e in entry_points(group=GROUP)]
    except Exception:  # malformed metadata of one distribution must not hide the others
        for dist in distributions():
            try:
                entries += [(e.name, e.value, e.load, dist) for e in dist.entry_points if e.group == GROUP]
            except Exception as error:
                name = _identity(dist)[0]
                reason = f"its entry_points.txt is malformed: install {name} again ({one_line(error)})"
                # Whatever looks for entry points of its own fails on it, torch and triton too, and cannot say why.
                warn(f"distribution {name!r}: {reason}; torch may not import before that")
                if f"[{GROUP}]" in _entry_points_text(dist):
                    entries.append((name, "entry_points.txt", partial(_refuse, reason), dist))
    found = sorted(((name, *_identity(dist), value, load) for name, value, load, dist in entries), key=_order)
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
    except Exception:  # no text at all: whether a plugin was named there cannot be told, so it is reported
        return f"[{GROUP}]"


def _order(found: tuple[Any, ...]) -> tuple[str, ...]:
    return found[:4]


def _refuse(reason: str) -> None:
    raise Refused(reason)


def _identity(dist: Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution, also where its metadata is missing."""
    try:
        metadata = dist.metadata if dist else {}
        return str(metadata["Name"] or "unknown"), str(metadata["Version"] or "")
    except Exception:
        return "unknown", ""


def load_file(path: Path) -> ModuleType:
    """Import a local file under its stem, so that targets such as ``"my_gan:MyGAN"`` resolve.

    Raises `Refused` if it is missing, or named like another module; what the file itself raises passes.
    """
    name = path.stem
    if not path.is_file():
        raise Refused(f"it is {'a folder' if path.is_dir() else 'missing'}: name a Python file")
    if path.suffix != ".py" or not name.isidentifier() or name.startswith("__"):
        raise Refused("it cannot be imported: call it something like my_gan.py, or install it if it is a package")
    loaded = sys.modules.get(name)
    if loaded is not None:
        origin = getattr(loaded, "__file__", None) or "built in"
    else:
        other = importlib.util.find_spec(name)
        origin = other and (other.origin or "a package")
    if origin and Path(origin).resolve() != path:
        raise Refused(f"there is another module {name!r} ({origin}): rename the file")
    if loaded is not None:
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # pyright: ignore[reportArgumentType] - .py has a loader
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)  # pyright: ignore[reportOptionalMemberAccess]
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def watched(status: PluginStatus) -> Iterator[list[str]]:
    """Load a plugin inside. Once that went well, the list holds remarks on how it behaved, a phrase each.

    What it prints goes to stderr, since stdout may be read by a program. While it takes longer than `PATIENCE` a line on
    stderr names it: one that hangs can be left out, and is hard to find otherwise. A local file may import torch: whoever
    names it wants its networks.
    """
    local = not status.distribution
    patience = PATIENCE * (10 if local else 1)
    remedy = "leave its --plugin out" if local else f"leave it out with --no-plugin {status.name!r}"
    line = f"{status}: still being loaded after {patience:g} s; if it hangs, {remedy}"
    timer = threading.Timer(patience, lambda: warn(line))
    timer.daemon = True
    begin, without_torch, remarks = time.monotonic(), "torch" not in sys.modules, []
    timer.start()
    try:
        with redirect_stdout(sys.stderr):
            yield remarks
    finally:
        timer.cancel()
    if without_torch and "torch" in sys.modules and not local:
        remarks.append("imports torch, for which every command now waits: import it where the specs' targets are")
    if (seconds := time.monotonic() - begin) > patience:
        remarks.append(f"took {seconds:.1f} s to load: do less at import")


def attach(plugin: Any) -> tuple[PluginManager, set[str], list[str]]:
    """A manager that holds this plugin alone, the names of its hooks, and what of them is deprecated; raises `Refused`."""
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


def unmarked(plugin: Any) -> str:
    """A line about a module's functions that look like hooks but are not marked; empty if there are none."""
    names = [
        name
        for name, value in (vars(plugin).items() if inspect.ismodule(plugin) else ())
        if name.startswith("polygan_")
        and inspect.isfunction(value)
        and value.__module__ == plugin.__name__
        and not hasattr(value, "polygan_impl")
    ]
    return f"not marked as a hook and ignored: {', '.join(names)}; add @polygan.hookimpl" if names else ""


def imported(path: str) -> Any:
    """What an import string names; what the import raises passes."""
    module, _, attributes = path.partition(":")
    with redirect_stdout(sys.stderr):  # a program may read stdout
        target = importlib.import_module(module)
        for attribute in attributes.split("."):
            target = getattr(target, attribute)
    return target


def explain(error: BaseException, module: str, plugin: str) -> str:
    """One line about what an import of ``module`` or a hook raised, with the remedy.

    ``plugin`` is the name that disables the plugin, empty for a local file.
    """
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        package = _PIP.get(top, top)
        if top == re.split(r"[.:]", module)[0]:
            return f"there is no module {error.name!r}: correct the import string, or install the plugin again"
        if top not in sys.modules and importlib.util.find_spec(top) is None:
            return f"package {top!r} is not installed: pip install {package}"
        return f"the installed {top!r} has no module {error.name!r}: pip install --upgrade {package}"
    remedy = f"upgrade it, or leave it out with --no-plugin {plugin!r}" if plugin else "correct the file"
    return f"{one_line(error)}{where(error)}: {remedy}"


def where(error: BaseException) -> str:
    """`" at FILE:LINE"`, the innermost place that an exception passed outside of this file, or an empty string."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}:{error.lineno}"
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and file != __file__:
            place = f" at {file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
