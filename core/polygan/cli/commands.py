"""The commands: the options of each, and the function that runs it. A command imports only what it needs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..messages import plural, printable
from ..settings.help import Entry
from ..settings.words import Each
from .command import JSON, Arguments, Command, Option, Place, own_values
from .data_commands import tell_receipt
from .environment import ENVIRONMENT, completing
from .output import list_plugins, list_registered
from .run_commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..plugins.catalogue import Catalogue
    from ..runs.run import Run


def _train(_catalogue: Catalogue, arguments: Arguments, rest: list[str]) -> None:
    layers, recipe = [], arguments.recipe
    if arguments.config:
        from ..settings.parser import read_layers  # slow to import, and a recipe alone needs no file

        layers, recipe = read_layers(arguments.config, recipe)
    if arguments.help and recipe is None:
        print(VERBS["train"].help("train"))
        print("\n`polygan train RECIPE --help` shows the options of a recipe.")
        return
    if not isinstance(recipe, str):
        raise ConfigError(
            "which recipe? It comes first: e.g. `polygan train image/dcgan --data PATH`; `polygan list` shows all recipes"
        )
    from ..runs.assembly import prepared
    from ..runs.networks.building import resolve_new

    if arguments.help:
        parser, _, _ = prepared(recipe, layers, rest)
        print(f"polygan train {recipe} [options]\n\n{parser.help(everything=arguments.help == 'all')}\n")
        print(VERBS["train"].options_help("options of the command"))
        return
    settings = resolve_new(recipe, layers, rest)
    if arguments.dry_run:
        print(settings.yaml(), end="")
        tell_receipt(settings)
        return
    from ..runs import train as run

    _tell_end(run.train(settings, allow_code=arguments.allow_code).folder)


def _resume(_catalogue: Catalogue, arguments: Arguments, _rest: Sequence[str]) -> None:
    from ..runs import train as run

    options = {name: getattr(arguments, name) for name in ("steps", "device", "features", "allow_code")}
    _tell_end(run.resume(arguments.run, **options, arguments=arguments.set or ()).folder)


def _tell_end(folder: Path) -> None:
    if int(os.environ.get("RANK", "0")) == 0:
        print(printable(f"run: {folder}"))
        print(printable(f"report: {folder / 'report.html'}"))


def _run_help(verb: str, arguments: Arguments) -> None:
    """The help of a command on a run, with the options of the run's recipe where a run is named."""
    print(VERBS[verb].help(verb))
    if arguments.run is None:
        print(f"\n`polygan {verb} RUN --help` also shows the options of the run's recipe.")
        return
    from ..runs import run as trained
    from ..settings.help import listing, option_entries

    entries = option_entries(trained.recipe_of(arguments.run).Sampling)
    print("\n" + listing(f"options of {arguments.run}", list(entries.values()) or [Entry("none", "")]))


def _generate(_catalogue: Catalogue, arguments: Arguments, rest: list[str]) -> None:
    if arguments.help:
        _run_help("generate", arguments)
        return
    from ..runs import run as trained
    from .generating import generate

    loaded = trained.load(arguments.run, step=arguments.step, device=arguments.device)
    options = _sampling("generate", loaded, rest)
    generate(loaded, arguments, options)


def _sampling(verb: str, loaded: Run, words: list[str]) -> dict[str, Any]:
    what = f"polygan {verb} with {loaded.settings.recipe}"
    return own_values(loaded.recipe.Sampling, words, what, "the recipe", VERBS[verb].options)


def _import(_catalogue: Catalogue, arguments: Arguments, _rest: Sequence[str]) -> None:
    from ..runs import exported

    for path in exported.import_weights(arguments.recipe, arguments.file, arguments.out, format=arguments.format):
        print(path)


def _evaluate(_catalogue: Catalogue, arguments: Arguments, rest: list[str]) -> None:
    if arguments.help:
        _run_help("evaluate", arguments)
        return
    from ..runs import run as trained
    from .generating import evaluate

    loaded = trained.load(arguments.run, step=arguments.step, device=arguments.device)
    options = _sampling("evaluate", loaded, rest)
    evaluate(loaded, arguments, options)


def _report(_catalogue: Catalogue, arguments: Arguments, _rest: Sequence[str]) -> None:
    from ..record.overview import check_run
    from ..report.page import write_report

    check_run(Path(arguments.run))
    print(write_report(Path(arguments.run)))


def _export(catalogue: Catalogue, arguments: Arguments, rest: list[str]) -> None:
    from .generating import export

    export(catalogue, arguments, rest, VERBS["export"].help("export") if arguments.help else "")


def _new(catalogue: Catalogue, arguments: Arguments, _rest: Sequence[str]) -> None:
    from .scaffold import new

    made = new(arguments.name, arguments.out, arguments.domain, catalogue)
    print(f"{plural(len(made.files), 'file')} in {made.folder}; next:")
    print(f"  cd {shlex.quote(str(made.folder))}")
    print('  pip install -e ".[test]"')
    print(f"  polygan train {made.recipe} --data {made.data}")
    print("  pytest")


_RUN = Place("run", "the run's folder, e.g. runs/dcgan-mnist-5k")
_MODEL = Place("run", "a run's folder, or an exported .safetensors file")
_STEP = {"step": Option(int, "the checkpoint of this step; without --step, the newest")}
_DEVICE = {"device": Option(str, "auto, cpu, cuda or cuda:N", default="auto", value="NAME")}
_ALLOW_CODE = {
    "allow_code": Option(
        bool,
        "load a file of --features that runs code when it is loaded (.pt2, .pt): only if you trust it",
        default=False,
    )
}

VERBS: dict[str, Command] = {
    "list": Command(
        "what is installed: recipes, data sets, metrics, domains, formats, commands", list_registered, options=JSON
    ),
    "plugins": Command("every plugin: loaded, disabled or failed, and why", list_plugins, options=JSON),
    "train": Command(
        "train a recipe on data",
        _train,
        (Place("recipe", "e.g. image/dcgan; may be left out where --config names one", required=False),),
        {
            "config": Option(
                Each,
                "a file of settings; a later --config overrides an earlier one, and options override all",
                (),
                value="FILE.yaml",
            ),
            "dry_run": Option(
                bool, "print the resolved settings as YAML, say what the data holds, and stop", default=False
            ),
            **_ALLOW_CODE,
        },
        open=True,
    ),
    "resume": Command(
        "continue a run to the bit",
        _resume,
        (_RUN,),
        {
            "steps": Option(int, "train to this many iterations in all"),
            "device": Option(str, "auto, cpu, cuda or cuda:N; without --device, the run's", value="NAME"),
            "features": Option(str, "the feature network; a file that only the run names is not opened"),
            **_ALLOW_CODE,
            "set": Option(
                Each, "change a setting from now on, e.g. model.learning_rate=1e-4; repeatable", value="NAME=VALUE"
            ),
        },
    ),
    "generate": Command(
        "write samples by seed",
        _generate,
        (_MODEL,),
        {
            "input": Option(str, "a file or folder to make samples from; - for lines of standard input", value="PATH"),
            "text": Option(str, "a text to make a sample from, e.g. a sentence to speak", value="TEXT"),
            "format": Option(
                str, "suffix of the files made from --input, e.g. flac; without --format, as the domain says", ""
            ),
            "of": Option(
                str,
                "other networks of the run: best (the checkpoint with the best score), or a name of the recipe's",
                "",
                value="NAME",
            ),
            "n": Option(int, "the number of samples", default=64),
            "seed": Option(int, "the same seed gives the same samples", default=0),
            "out": Option(
                str,
                "a folder, whose earlier samples are replaced; one file such as grid.png; - for standard output; "
                "without --out, RUN/generated (from --input: RUN/converted)",
                value="PATH",
            ),
            **_STEP,
            **_DEVICE,
        },
        open=True,
    ),
    "evaluate": Command(
        "scores next to their floor",
        _evaluate,
        (_MODEL,),
        {
            "data": Option(
                str,
                "samples to score on instead of the run's held-out samples; an exported model needs some",
                "",
                value="PATH",
            ),
            "metrics": Option(
                tuple[str, ...], "without --metrics, those of the run, else all of its domain", value="ID ..."
            ),
            "samples": Option(int, "the number of generated samples that a metric may ask for"),
            "features": Option(
                str,
                "the feature network to measure with: a file or a name; without --features, the run's if it is a name, else "
                "each metric's",
            ),
            **_ALLOW_CODE,
            **_STEP,
            **_DEVICE,
            **JSON,
        },
        open=True,
    ),
    "report": Command("write one self-contained HTML file", _report, (_RUN,)),
    "export": Command(
        "write the networks as a .safetensors and a .json file, or in a format of other programs",
        _export,
        (_RUN,),
        {
            "out": Option(str, "the file to write", required=True, value="FILE"),
            "format": Option(
                str,
                "safetensors, or one of the recipe's, e.g. onnx; without --format, by the suffix of --out",
                "",
                value="NAME",
            ),
            **_STEP,
        },
        open=True,
    ),
    "import": Command(
        "turn weights of another program into an exported model",
        _import,
        (Place("recipe", "e.g. audio/hifigan"), Place("file", "the weights")),
        {
            "out": Option(str, "the .safetensors file to write", required=True, value="FILE"),
            "format": Option(str, "the format of the file, if plugins know several for the recipe", "", value="NAME"),
        },
    ),
    **COMMANDS,
    **ENVIRONMENT,
    "new": Command(
        "write a plugin of your own to start from: installable, typed, tested",
        _new,
        (Place("name", "e.g. music: the distribution is polygan-music"),),
        {
            "out": Option(str, "the folder to write; without --out, ./polygan-NAME", default="", value="FOLDER"),
            "domain": Option(
                str, "a recipe for this installed domain; without --domain, a domain of its own", "", value="ID"
            ),
        },
    ),
}
VERBS["completion"] = completing(VERBS)
