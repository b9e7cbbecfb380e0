"""The command line. Only what a verb needs is imported: listing what is installed never imports torch."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from .. import __version__
from ..errors import ConfigError, PolyganError, Preempted, did_you_mean
from ..messages import fail, shown_on_stderr
from .commands import VERBS

if TYPE_CHECKING:
    from collections.abc import Sequence


DESCRIPTION = "Train generative adversarial networks of any domain."
EPILOG = """\
options before or after every command:
  --plugin FILE.py      load a local file as a plugin
  --no-plugin NAME      do not load a plugin (POLYGAN_PLUGINS=a,b loads only these)
  --traceback           show where an error was raised

examples:
  polygan train image/dcgan --data mnist-5k --steps 3000
  polygan train image/dcgan --help          every option of a recipe
  polygan generate runs/dcgan-mnist-5k -n 64 --seed 0 --out samples/
  torchrun --nproc-per-node 8 -m polygan train image/dcgan --data path/to/pictures
"""


class _Parser(argparse.ArgumentParser):
    """Argument errors as one line with a suggestion."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message}")


@shown_on_stderr()
def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code: 0, 1 (error), 2 (wrong settings), 75 (preempted after saving), 130 (Ctrl-C)."""
    words = list(sys.argv[1:] if argv is None else argv)
    show_traceback = "--traceback" in words
    first = os.environ.get("RANK", "0") == "0"
    try:
        code = _run([w for w in words if w != "--traceback"])
    except PolyganError as error:
        if show_traceback:
            traceback.print_exc()
        if first or not isinstance(error, Preempted):  # every process stops for the same reason
            fail(f"polygan: {type(error).__name__}: {error}")
        code = error.exit_code
    except KeyboardInterrupt as stopped:
        if first:
            fail(f"polygan: {stopped or 'interrupted'}")
        code = 130
    except BrokenPipeError:  # the reader (head, less) has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except OSError as error:
        if show_traceback:
            traceback.print_exc()
        fail(f"polygan: {type(error).__name__}: {error}")
        code = 1
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # gloo's threads now and then abort a process ("terminate called") while the interpreter takes it down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(words: list[str]) -> int:
    files, words = _take(words, "--plugin")
    disabled, words = _take(words, "--no-plugin")
    parser = _parser()
    verb = next((w for w in words if not w.startswith("-")), None)
    if verb is not None and verb not in VERBS:
        raise ConfigError(f"unknown command {verb!r}{did_you_mean(verb, VERBS)}; `polygan --help` lists them")
    own, others = _split(words, verb) if verb in ("train", "generate") else (words, [])
    arguments, rest = parser.parse_known_args(own)
    rest += others
    if arguments.verb is None:
        parser.print_help()
        return 0
    if rest and arguments.verb not in ("train", "generate"):
        known = [o for a in VERBS[arguments.verb][1] for o in a[0]]
        raise ConfigError(
            f"unknown option {rest[0]!r} of {arguments.verb}{did_you_mean(rest[0], known)}; "
            f"`polygan {arguments.verb} --help` lists them"
        )
    from ..plugins.catalogue import load_catalogue, set_catalogue

    catalogue = load_catalogue(disabled=disabled, files=files)
    set_catalogue(catalogue)
    return VERBS[arguments.verb][2](catalogue, arguments, rest) or 0


def _take(words: Sequence[str], option: str) -> tuple[list[str], list[str]]:
    """The values of an option that may stand anywhere, and the other words."""
    values, rest, queue = [], [], list(words)
    while queue:
        word = queue.pop(0)
        if word == option:
            if not queue:
                raise ConfigError(f"{option} needs a value")
            values.append(queue.pop(0))
        elif word.startswith(f"{option}="):
            values.append(word.partition("=")[2])
        else:
            rest.append(word)
    return values, rest


def _split(words: Sequence[str], verb: str) -> tuple[list[str], list[str]]:
    """The verb's own words, and those that the recipe's options are: a value of theirs must not pass for RECIPE or RUN.

    That is the first word that follows none of the recipe's options. Which of them take no value is not known yet: where there is
    no such word the first one after an option counts, unless a file of settings may name the recipe.
    """
    known = {flag: details for flags, details in VERBS[verb][1] for flag in flags}
    own, rest, loose, named = [], [], None, False
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == verb and verb not in own:
            own.append(word)
        elif (flag := word.partition("=")[0]) in known:
            own.append(word)
            if "action" not in known[flag] and flag == word and queue:
                own.append(queue.pop(0))
        elif not word.startswith("-") and not named:
            own.append(word)
            named = True
        else:
            rest.append(word)
            if word.startswith("--") and "=" not in word and queue and re.match(r"[^-]|-[\d.]", queue[0]):
                loose = len(rest) if loose is None else loose
                rest.append(queue.pop(0))
    if not named and loose is not None and not any(w.partition("=")[0] == "--config" for w in own):
        own.append(rest.pop(loose))
    return own, rest


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="polygan",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"polygan {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", parser_class=_Parser)
    for name, (summary, options, _) in VERBS.items():
        verb = verbs.add_parser(
            name,
            help=summary,
            description=summary,
            allow_abbrev=False,
            add_help=name not in ("train", "generate"),
        )
        verb.set_defaults(help=verb.format_help)
        for flags, details in options:
            verb.add_argument(*flags, **details)
    return parser
