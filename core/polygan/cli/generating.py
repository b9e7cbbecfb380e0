"""The commands on a loaded run: ``generate``, samples by seed or from an input to files or standard output; ``evaluate``; ``export``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.domain import Domain, Samples
from ..errors import ConfigError
from ..files import only_files
from ..messages import plural, warn
from ..settings.help import listing, option_entries
from .command import own_values
from .output import print_json, print_scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..plugins.catalogue import Catalogue
    from ..runs.run import Run
    from .command import Arguments


def generate(run: Run, arguments: Arguments, options: Mapping[str, Any]) -> None:
    """Run the command for a loaded run, with the recipe's ``options``."""
    if arguments.of:
        if arguments.of == "best" and arguments.step is not None:
            raise ConfigError("--of best and --step both name a checkpoint; leave one of them out")
        run = run.variant(arguments.of)
    poured = arguments.out == "-" and type(run.domain).pour is not Domain.pour
    if poured:
        _pour(run, arguments, options)
        return
    if arguments.text is not None:
        if arguments.input or arguments.format:
            other = "--input" if arguments.input else "--format"
            raise ConfigError(f"--text is the input, and {other} is for files; leave {other} out")
        _from_lines(run, [arguments.text], arguments, options)
        return
    if arguments.input:
        _from_input(run, arguments, options)
        return
    if arguments.format:
        raise ConfigError(
            f"--format is for files that are made from --input; name a file with the suffix: --out samples.{arguments.format}"
        )
    if arguments.out == "-":
        if type(run.domain).lines is Domain.lines:
            run.domain.lines(Samples([]))  # refuses, before samples are made
        _print(run, [run.generate(arguments.n, seed=arguments.seed, **options)])
        return
    out = arguments.out or only_files(run.folder, "generated")
    run.domain.check_place(out)
    samples = run.generate(arguments.n, seed=arguments.seed, **options)
    files = samples.save(out)
    print(f"{plural(len(samples), 'sample')}: {files[0] if len(files) == 1 else Path(out)}")


def _from_input(run: Run, arguments: Arguments, options: Mapping[str, Any]) -> None:
    """Make samples from lines of standard input, from a file, or from the files in a folder."""
    lines, to_lines = arguments.input == "-", arguments.out == "-"
    if lines:
        _from_lines(run, sys.stdin, arguments, options)
        return
    if to_lines:
        if Path(arguments.input).is_dir():
            raise ConfigError(f"{arguments.input} is a folder, and --out - takes one file; name a folder with --out")
        _print(run, run.convert_file(arguments.input, seed=arguments.seed, **options))
        return
    out = arguments.out or only_files(run.folder, "converted")
    files = run.convert(arguments.input, out, format=arguments.format, seed=arguments.seed, **options)
    print(f"{plural(len(files), 'file')}: {files[0] if len(files) == 1 else out}")


def _from_lines(run: Run, lines: Iterable[str], arguments: Arguments, options: Mapping[str, Any]) -> None:
    """Make samples from lines: on standard output as text where no place is named, else in a file."""
    made, out = run.convert_lines(lines, seed=arguments.seed, **options), arguments.out
    textual = type(run.domain).lines is not Domain.lines
    if out == "-" or (not out and textual):
        if not textual:
            run.domain.lines(Samples([]))  # refuses, before samples are made
        _print(run, made)
    else:
        print(run.write_lines(made, out or only_files(run.folder, "converted")))


def _pour(run: Run, arguments: Arguments, options: Mapping[str, Any]) -> None:
    """Write what is made to standard output as it comes, in the form of a file."""
    if arguments.text is not None and arguments.input:
        raise ConfigError("--text is the input; leave --input out")
    if sys.stdout.isatty():
        raise ConfigError(
            f"standard output is a terminal, and domain {run.domain.id!r} writes bytes: send them to a program "
            "(polygan generate ... --out - | PLAYER), or name a file with --out"
        )
    seed, lines = arguments.seed, sys.stdin if arguments.text is None else [arguments.text]
    if arguments.text is not None or arguments.input == "-":
        made: Iterable[Samples] = run.convert_lines(lines, seed=seed, **options)
    elif arguments.input and Path(arguments.input).is_dir():
        raise ConfigError(f"{arguments.input} is a folder, and --out - takes one file; name a folder with --out")
    elif arguments.input:
        made = run.convert_file(arguments.input, seed=seed, **options)
    else:
        made = (run.generate(arguments.n, seed=seed, **options) for _ in range(1))
    try:
        run.domain.pour(made, sys.stdout.buffer, arguments.format or "")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print(run: Run, made: Iterable[Samples]) -> None:
    for samples in made:
        print(*run.domain.lines(samples), sep="\n", flush=True)


def evaluate(run: Run, arguments: Arguments, options: Mapping[str, Any]) -> None:
    """Score a loaded run, or networks on other data (``--data``), with the recipe's ``options``."""
    chosen = {name: getattr(arguments, name) for name in ("samples", "features", "allow_code", "data")}
    scores = run.evaluate(arguments.metrics or (), **chosen, **options)
    try:
        if not arguments.data:
            run.report()
    except OSError as error:  # the scores are what was asked for
        warn(f"polygan: the report of {run.folder} cannot be written ({error.strerror or error})")
    if not scores:
        raise ConfigError("no metric could be computed; see the lines above")
    if arguments.json:
        print_json([vars(s) for s in scores])
        return
    place = f" on {arguments.data}" if arguments.data else ""
    print_scores(f"scores of {run.folder} at step {run.step}{place}", scores)


def export(catalogue: Catalogue, arguments: Arguments, words: list[str], help: str) -> None:
    """`polygan export`: write a model, and print its files; ``words`` are the format's own options. With ``help``: print that, and these."""
    from ..runs import run as trained
    from ..runs.exported import export_kind, format_options

    if help:
        print(help)
    if help and arguments.run is None:
        print("\n`polygan export RUN --help` also shows the options of the formats.")
        return
    loaded = trained.load(arguments.run, step=arguments.step, device="cpu")
    recipe = loaded.settings.recipe
    known = catalogue.formats_of(recipe, "export")
    if help:
        for name in known:
            if entries := option_entries(format_options(recipe, name, catalogue)):
                print("\n" + listing(f"options of --format {name}", list(entries.values())))
        return
    kind = export_kind(arguments.out, arguments.format, known)
    options = own_values(format_options(recipe, kind, catalogue), words, f"polygan export as {kind}", "the format")
    for path in loaded.export(arguments.out, arguments.format, **options):
        print(path)
