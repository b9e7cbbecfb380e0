"""The command line. A command imports only what it needs; listing what is installed never imports torch."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import ConfigError, PluginError, PolyganError, Preempted, did_you_mean
from ..messages import fail, shown_on_stderr
from ..plugins.discovery import missed
from ..settings.help import Entry, listing
from ..settings.words import Each, is_option, read_words, stray
from .commands import VERBS
from .output import only_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..plugins.catalogue import Catalogue


DESCRIPTION = """\
polygan COMMAND ... [options]

Train generative adversarial networks of any domain."""
EPILOG = """\
options before or after every command:
  --plugin FILE.py      load a local file as a plugin
  --no-plugin NAME      do not load a plugin (POLYGAN_PLUGINS=a,b loads only these)
  --traceback           show where an error was raised
  --version             show the version

examples:
  polygan train image/dcgan --data mnist-5k --steps 3000
  polygan train image/dcgan --help          the options of a recipe that people set first; --help all: every option
  polygan generate runs/dcgan-mnist-5k -n 64 --seed 0 --out samples/
  torchrun --nproc-per-node 8 -m polygan train image/dcgan --data path/to/pictures"""
ANYWHERE = {"plugin": Each, "no_plugin": Each, "traceback": bool}
"""The options that may stand before or after every command."""
TOP = (*ANYWHERE, "help", "version")
"""The options that polygan has without a command."""
VERSION = f"polygan {__version__}"


@shown_on_stderr()
def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code: 0, 1 (error), 2 (wrong settings), 75 (preempted after saving), 130 (Ctrl-C)."""
    words = list(sys.argv[1:] if argv is None else argv)
    show_traceback = "--traceback" in words
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name that the encoding lacks is escaped, and ends no command
        sys.stdout.reconfigure(errors="backslashreplace")
    first = os.environ.get("RANK", "0") == "0"
    try:
        code = _run(words)
    except PolyganError as error:
        if show_traceback:
            traceback.print_exc()
        if first or not isinstance(error, Preempted):  # every process stops for the same reason
            fail(f"polygan: {type(error).__name__}: {error}")
        code = error.exit_code
    except KeyboardInterrupt as stopped:
        if first:
            fail(f"polygan: {str(stopped) or 'interrupted'}")
        code = 130
    except BrokenPipeError:  # the reader (head, less) has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + getattr(signal, "SIGPIPE", 13)  # Windows has no such signal
    except OSError as error:
        if show_traceback:
            traceback.print_exc()
        fail(f"polygan: {type(error).__name__}: {error}")
        code = 1
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # gloo's threads sometimes abort a process ("terminate called") while the interpreter shuts down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(words: list[str]) -> int:
    from ..plugins.catalogue import load_catalogue, set_catalogue

    anywhere, words = read_words(words, ANYWHERE)
    disabled, files = list(anywhere.get("no_plugin", ())), list(anywhere.get("plugin", ()))
    verb, rest = (words[0], words[1:]) if words else ("--help", [])
    if verb in ("--help", "-h") and rest and rest[0] in VERBS:  # as many know it from other tools
        verb, rest = rest[0], [*rest[1:], "--help"]
    if verb in ("--help", "-h", "--version"):
        if rest:
            raise stray(rest, TOP, f"polygan {verb}", "the command comes first: `polygan --help` lists them")
        shown = verb == "--version"
        print(VERSION if shown else _help(load_catalogue(disabled=disabled, files=files, strict=False)))
        return 0
    if is_option(verb):
        raise stray(words, TOP, "polygan", "the command comes first: `polygan --help`")
    if verb in VERBS:
        command = VERBS[verb]
        arguments, left = command.read(verb, rest)
        if arguments.help and not command.open:
            print(command.help(verb))
            return 0
        with only_json(getattr(arguments, "json", False)):
            catalogue = load_catalogue(disabled=disabled, files=files)
            set_catalogue(catalogue)
            return command.run(catalogue, arguments, left) or 0
    catalogue = load_catalogue(disabled=disabled, files=files)
    set_catalogue(catalogue)
    return _run_plugin_command(catalogue, verb, rest)


def _run_plugin_command(catalogue: Catalogue, name: str, words: list[str]) -> int:
    """Run a command of a plugin. The plugin reads the words after the command's name itself."""
    spec = catalogue.commands.get(name)
    if spec is None:
        hint = did_you_mean(name, [*VERBS, *catalogue.commands])
        wanted = missed(name, (), catalogue.plugins) or "`polygan --help` lists them"
        raise ConfigError(f"unknown command {name!r}{hint}; {wanted}{catalogue.absent()}")
    owner = catalogue.owner("command", name)
    for other in catalogue.plugins:
        if ("command", name) in other.refused or f"command {name!r} is already registered" in other.reason:
            raise ConfigError(
                f"command {name!r} is both of {owner} and of {other}: leave one out, e.g. with --no-plugin {other.name!r}"
            )
    code = catalogue.resolve(spec)(words)
    if code is None or type(code) is int:
        return code or 0
    raise PluginError(f"command {name!r} of {owner} returned {code!r:.80}: return an exit code or None")


def _help(catalogue: Catalogue) -> str:
    """The text of `polygan --help`: the commands of polygan, then the commands of plugins."""
    parts = [DESCRIPTION, listing("commands", [Entry(name, command.summary) for name, command in VERBS.items()])]
    if catalogue.commands:
        found = [Entry(name, spec.summary) for name, spec in catalogue.commands.items()]
        parts.append(listing("commands of plugins", found))
    return "\n\n".join([*parts, EPILOG])
