"""The commands: their options, and what each does. Only what a verb needs is imported."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..files import all_inside
from .listing import list_plugins, list_registered, print_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..plugins.catalogue import Catalogue


def _train(_catalogue: Catalogue, arguments: argparse.Namespace, rest: list[str]) -> None:
    layers: list[dict[str, Any]] = []
    if arguments.config:
        from ..settings.parser import read_yaml

        layers = [read_yaml(arguments.config)]
    recipe = arguments.recipe or (layers[0].get("recipe") if layers else None)
    wants_help = "--help" in rest or "-h" in rest
    if wants_help and recipe is None:
        print(arguments.help())
        print("`polygan train RECIPE --help` lists every option of a recipe.")
        return
    if not isinstance(recipe, str):
        raise ConfigError("which recipe? e.g. `polygan train image/dcgan --data PATH`; `polygan list` shows them")
    from ..runs.assembly import resolve, settings_parser

    if wants_help:
        print(settings_parser(recipe).help())
        return
    settings = resolve(recipe, layers, rest)
    if arguments.dry_run:
        print(settings.yaml(), end="")
        return
    from ..runs import train as run

    done = run.train(recipe, config=arguments.config, arguments=rest)
    _tell_end(done.folder)


def _resume(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from ..runs import train as run

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
    from ..runs import run as trained
    from ..settings.parser import option_values, options_help

    if arguments.wants_help:
        kind = trained.recipe_of(arguments.run)
        print(options_help(kind.Sampling, f"options of {arguments.run}:"))
        return
    loaded = trained.load(arguments.run, step=arguments.step, device=arguments.device)
    options = option_values(loaded.recipe.Sampling, rest, f"generate with {loaded.settings.recipe}")
    out = Path(arguments.out) if arguments.out else all_inside(loaded.folder, "generated")
    if arguments.input == "-":
        made = loaded.convert_lines(sys.stdin, seed=arguments.seed, **options)
        if arguments.out:
            loaded.domain.write_file(made, out)
            print(out)
        else:
            for samples in made:
                print(*loaded.domain.lines(samples), sep="\n", flush=True)
        return
    if arguments.input:
        files = loaded.convert(arguments.input, out, format=arguments.format, seed=arguments.seed, **options)
        print(f"{len(files)} files: {files[0] if len(files) == 1 else out}")
        return
    samples = loaded.generate(arguments.n, seed=arguments.seed, **options)
    files = samples.save(out)
    print(f"{len(samples)} samples: {files[0] if len(files) == 1 else files[0].parent}")


def _import(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from ..runs import exported

    for path in exported.import_weights(arguments.recipe, arguments.file, arguments.out, format=arguments.format):
        print(path)


def _evaluate(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from ..runs import run as trained

    loaded = trained.load(arguments.run, step=arguments.step, device=arguments.device)
    scores = loaded.evaluate(arguments.metrics or (), samples=arguments.samples, features=arguments.features)
    loaded.report()
    if not scores:
        raise ConfigError("no metric could be computed; see the lines above")
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


def _report(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from ..report.page import write_report

    folder = Path(arguments.run)
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{arguments.run!r} is not a run: it has no config.yaml")
    print(write_report(folder))


def _export(_catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from ..runs import run as trained

    for path in trained.load(arguments.run, step=arguments.step, device="cpu").export(arguments.out, arguments.format):
        print(path)


def _new(catalogue: Catalogue, arguments: argparse.Namespace, _rest: Sequence[str]) -> None:
    from .scaffold import new

    made = new(arguments.name, arguments.out, arguments.domain, catalogue)
    print(f"{len(made.files)} files in {made.folder}; next:")
    print(f"  cd {shlex.quote(str(made.folder))}")
    print('  pip install -e ".[test]"')
    print(f"  polygan train {made.recipe} --data {made.data}")
    print("  pytest")


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
            (
                ("--input",),
                {"metavar": "PATH", "help": "a file or folder to make samples from; - for lines of standard input"},
            ),
            (
                ("--format",),
                {"default": "", "help": "suffix of the files made from --input, e.g. flac (default: the domain's)"},
            ),
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
            (
                ("--features",),
                {"help": "the feature network to measure with: a file or a name (default: the run's, else their own)"},
            ),
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
            (("--format",), {"default": "", "help": "the program's format, where plugins know several for the recipe"}),
        ),
        _import,
    ),
    "new": (
        "write a plugin of your own to start from: installable, typed, tested",
        (
            (("name",), {"metavar": "NAME", "help": "e.g. music: the distribution is polygan-music"}),
            (("--out",), {"metavar": "FOLDER", "default": "", "help": "default: ./polygan-NAME"}),
            (
                ("--domain",),
                {
                    "metavar": "ID",
                    "default": "",
                    "help": "a recipe for this installed domain (default: a domain of its own)",
                },
            ),
        ),
        _new,
    ),
}
