"""The command line. Only what a verb needs is imported: listing what is installed never imports torch."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__
from .errors import ConfigError, PolyganError, Preempted, did_you_mean
from .listing import list_plugins, list_registered, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .plugins import Catalogue

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
            print(f"polygan: {type(error).__name__}: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt as stopped:
        if first:
            print(f"polygan: {stopped or 'interrupted'}", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # the reader (head, less) has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + signal.SIGPIPE
    except OSError as error:
        if show_traceback:
            traceback.print_exc()
        print(f"polygan: {type(error).__name__}: {error}", file=sys.stderr)
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
    arguments, rest = parser.parse_known_args(words)
    if arguments.verb is None:
        parser.print_help()
        return 0
    if rest and arguments.verb not in ("train", "generate"):
        known = [o for a in VERBS[arguments.verb][1] for o in a[0]]
        raise ConfigError(
            f"unknown option {rest[0]!r} of {arguments.verb}{did_you_mean(rest[0], known)}; "
            f"`polygan {arguments.verb} --help` lists them"
        )
    from .plugins import load_catalogue, set_catalogue

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


def _train(_catalogue: Catalogue, arguments: argparse.Namespace, rest: list[str]) -> None:
    layers: list[dict[str, Any]] = []
    if arguments.config:
        from .config import read_yaml

        layers = [read_yaml(arguments.config)]
    recipe = arguments.recipe or (layers[0].get("recipe") if layers else None)
    wants_help = "--help" in rest or "-h" in rest
    if wants_help and recipe is None:
        print(arguments.help())
        print("`polygan train RECIPE --help` lists every option of a recipe.")
        return
    if not isinstance(recipe, str):
        raise ConfigError("which recipe? e.g. `polygan train image/dcgan --data PATH`; `polygan list` shows them")
    from .assembly import resolve, settings_parser

    if wants_help:
        print(settings_parser(recipe).help())
        return
    settings = resolve(recipe, layers, rest)
    if arguments.dry_run:
        print(settings.yaml(), end="")
        return
    from . import run

    done = run.train(recipe, config=arguments.config, arguments=rest)
    _tell_end(done.folder)


def _resume(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from . import run

    _tell_end(run.resume(arguments.run, steps=arguments.steps, device=arguments.device).folder)


def _tell_end(folder: Path) -> None:
    if int(os.environ.get("RANK", "0")) == 0:
        print(f"run: {folder}")
        print(f"report: {folder / 'report.html'}")


def _generate(_catalogue: Catalogue, arguments: argparse.Namespace, rest: list[str]) -> None:
    if arguments.wants_help:
        print(arguments.help())
    if arguments.run is None:
        if arguments.wants_help:
            print("`polygan generate RUN --help` also lists the options of the run's recipe.")
            return
        raise ConfigError("which run? e.g. `polygan generate runs/dcgan-mnist-5k`")
    from . import trained
    from .config import option_values, options_help

    if arguments.wants_help:
        kind = trained.recipe_of(arguments.run)
        print(options_help(kind.Sampling, f"options of {arguments.run}:"))
        return
    loaded = trained.load(arguments.run, step=arguments.step, device=arguments.device)
    options = option_values(loaded.recipe.Sampling, rest, f"generate with {loaded.settings.recipe}")
    out = Path(arguments.out) if arguments.out else loaded.folder / "generated"
    if arguments.input:
        files = loaded.convert(arguments.input, out, **options)
        print(f"{len(files)} files: {files[0] if len(files) == 1 else out}")
        return
    samples = loaded.generate(arguments.n, seed=arguments.seed, **options)
    files = samples.save(out)
    print(f"{len(samples)} samples: {files[0] if len(files) == 1 else files[0].parent}")


def _import(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from . import trained

    for path in trained.import_weights(arguments.recipe, arguments.file, arguments.out):
        print(path)


def _evaluate(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from . import trained

    loaded = trained.load(arguments.run, step=arguments.step, device=arguments.device)
    scores = loaded.evaluate(arguments.metrics or (), samples=arguments.samples, judge=arguments.judge)
    loaded.report()
    if arguments.json:
        print(json.dumps([vars(s) for s in scores], indent=1))
        return
    rows = [
        (
            s.name,
            f"{s.value:.4g}",
            "" if s.floor is None else f"{s.floor:.4g}",
            f"{s.better} is better",
            s.note,
        )
        for s in scores
    ]
    print_table(f"scores of {loaded.folder} at step {loaded.step}", ("name", "value", "floor", "", "note"), rows)
    if not rows:
        raise ConfigError("no metric could be computed; see the lines above")


def _report(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from .report import write_report

    folder = Path(arguments.run)
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{arguments.run!r} is not a run: it has no config.yaml")
    print(write_report(folder))


def _export(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from . import trained

    for path in trained.load(arguments.run, step=arguments.step, device="cpu").export(arguments.out, arguments.format):
        print(path)


_RUN = (("run",), {"metavar": "RUN", "help": "the run's folder, e.g. runs/dcgan-mnist-5k"})
_STEP = (("--step",), {"type": int, "help": "the checkpoint of this step (default: the newest)"})
_JSON = (("--json",), {"action": "store_true", "help": "machine-readable output"})
_DEVICE = (("--device",), {"default": "auto", "help": "auto, cpu, cuda, cuda:N"})

VERBS: dict[str, tuple[str, tuple[tuple[tuple[str, ...], dict[str, Any]], ...], Any]] = {
    "list": ("recipes, data sets, metrics and domains", (_JSON,), list_registered),
    "plugins": ("every plugin: loaded, disabled or failed, and why", (_JSON,), list_plugins),
    "train": (
        "train a recipe on data",
        (
            (("recipe",), {"nargs": "?", "metavar": "RECIPE", "help": "e.g. image/dcgan"}),
            (("--config",), {"metavar": "FILE.yaml", "help": "settings; options override them"}),
            (
                ("--dry-run",),
                {"action": "store_true", "help": "print the resolved settings as YAML and stop"},
            ),
        ),
        _train,
    ),
    "resume": (
        "continue a run to the bit",
        (
            _RUN,
            (("--steps",), {"type": int, "help": "train to this many iterations in all"}),
            (("--device",), {"help": "auto, cpu, cuda, cuda:N (default: the run's)"}),
        ),
        _resume,
    ),
    "generate": (
        "write samples by seed",
        (
            (("run",), {"nargs": "?", "metavar": "RUN", "help": "a run's folder, or an exported .safetensors file"}),
            (("--input",), {"metavar": "PATH", "help": "a file or folder to translate (vocoders and the like)"}),
            (("-n",), {"type": int, "default": 64, "help": "how many (default: 64)"}),
            (("--seed",), {"type": int, "default": 0, "help": "default: 0"}),
            (("--out",), {"help": "a folder, or one file such as grid.png (default: RUN/generated)"}),
            _STEP,
            _DEVICE,
            (
                ("--help", "-h"),
                {"action": "store_true", "dest": "wants_help", "help": "also the options of RUN's recipe"},
            ),
        ),
        _generate,
    ),
    "evaluate": (
        "scores next to their floor",
        (
            _RUN,
            (
                ("--metrics",),
                {"nargs": "+", "metavar": "ID", "help": "default: the run's, else all of its domain"},
            ),
            (("--samples",), {"type": int, "help": "generated samples a metric may ask for"}),
            (("--judge",), {"help": "what metrics judge with: a file or a name (default: the run's, else their own)"}),
            _STEP,
            _DEVICE,
            _JSON,
        ),
        _evaluate,
    ),
    "report": ("write one self-contained HTML file", (_RUN,), _report),
    "export": (
        "write the networks as one .safetensors file and one .json, or for other programs",
        (
            _RUN,
            (("--out",), {"required": True, "help": "the file to write"}),
            (("--format",), {"default": "safetensors", "help": "safetensors, or one of the recipe's, e.g. onnx"}),
            _STEP,
        ),
        _export,
    ),
    "import": (
        "turn weights of another program into an exported model",
        (
            (("recipe",), {"metavar": "RECIPE", "help": "e.g. audio/hifigan"}),
            (("file",), {"metavar": "FILE", "help": "the weights"}),
            (("--out",), {"required": True, "help": "the .safetensors file to write"}),
        ),
        _import,
    ),
}


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
