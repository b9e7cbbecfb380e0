"""Importing what plugins bring, and telling plugins about run events: an error in one stops no other."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PluginError, did_you_mean, one_line
from ..messages import warn
from .discovery import HOOKS, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    from pluggy import PluginManager

    from .discovery import PluginStatus

PATIENCE = 3.0
"""Seconds after which stderr names an installed plugin that is still being loaded; a local file has ten times as long."""

_PIP = {"PIL": "pillow", "cv2": "opencv-python", "skimage": "scikit-image", "sklearn": "scikit-learn"}
_HERE = Path(__file__).parent


def load_file(path: Path) -> ModuleType:
    """Import a local file under its stem, so that targets such as ``"my_gan:MyGAN"`` resolve.

    Raises `Refused` if the file is missing or is named like another module. What the file's own code raises passes.
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
    """Watch a plugin that is loaded in this block; after the block the list holds remarks on the plugin.

    What the plugin prints goes to stderr, since a program may read stdout. After `PATIENCE` a line on stderr names the
    plugin, so that a user can leave out a plugin that hangs. A local file may import torch: its user wants its networks.
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
        remarks.append(
            "imports torch, for which every command now waits: import it in the modules of the specs' targets"
        )
    if (seconds := time.monotonic() - begin) > patience:
        remarks.append(f"took {seconds:.1f} s to load: do less at import")


def imported(path: str) -> object:
    """The object that an import string (``"module:name"``) names; what the import raises passes."""
    module, _, attributes = path.partition(":")
    with redirect_stdout(sys.stderr):  # a program may read stdout
        target: object = importlib.import_module(module)
        for attribute in attributes.split("."):
            target = getattr(target, attribute)
    return target


def explain(error: BaseException, module: str, plugin: str) -> str:
    """One line about an error that an import of ``module`` or a hook raised, with the remedy.

    ``plugin`` is the name that disables the plugin; it is empty for a local file.
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
    """`" at FILE:LINE"`: the innermost line that an exception passed outside of this folder; empty if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}:{error.lineno}"
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and Path(file).parent != _HERE:
            place = f" at {file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


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
