"""The commands about data: what a source holds, and what the cache keeps."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, PolyganError
from ..messages import plural, printable, say, warn
from .command import JSON, Arguments, Command, Option, Place
from .output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data.domain import Domain
    from ..data.source import DataSettings
    from ..plugins.catalogue import Catalogue
    from ..settings.parser import Settings

_DAY = 24 * 3600.0


def _data(catalogue: Catalogue, arguments: Arguments, rest: list[str]) -> None:
    if arguments.help and arguments.path is None:
        print(COMMANDS["data"].help("data"))
        print("\n`polygan data PATH --help` also shows the options of the data (--data.*).")
        return
    from ..runs.assembly import data_settings, open_data
    from ..runs.data.receipt import receipt_of, write_sheet

    domain = _domain(catalogue, arguments.path, arguments.domain)
    config = data_settings(arguments.path, domain, catalogue)
    if arguments.help:
        from ..settings.help import listing, option_entries

        print(COMMANDS["data"].help("data"))
        print("\n" + listing(f"options of the data ({domain.id})", list(option_entries(config, "data.").values())))
        return
    if arguments.out:
        domain.check_place(arguments.out)  # before anything is decoded
    source, settings, _ = open_data(_settings(config, arguments.path, rest), domain)
    receipt = receipt_of(source, settings, domain.id)
    files = []
    if arguments.out:
        files = write_sheet(source, settings, domain, arguments.out, arguments.samples)
    if arguments.json:
        print_json({**receipt.plain(), "sheet": [str(path) for path in files]})
        return
    print(*map(printable, receipt.lines()), sep="\n")
    if files:
        print(f"sheet: {files[0] if len(files) == 1 else files[0].parent}")


def tell_receipt(settings: Settings) -> None:
    """Say on stderr what the data of a run holds, or why it cannot be read. Settings without data say nothing."""
    from ..runs.assembly import read_receipt

    if not settings.data.source:
        return
    sys.stdout.flush()
    try:
        lines = read_receipt(settings).lines()
    except PolyganError as error:
        warn(f"polygan: the data cannot be read: {error}")
        return
    for line in lines:
        say(f"polygan: {line}")


def _domain(catalogue: Catalogue, path: str, named: str | None) -> Domain:
    """The domain that the user names, or the domain of a data set, or the domain that reads most of the files at a path."""
    if named:
        return catalogue.resolve(catalogue.domain(named))()
    if path in catalogue.datasets:
        return catalogue.resolve(catalogue.domain(catalogue.datasets[path].domain))()
    domains = [catalogue.resolve(spec)() for spec in catalogue.domains.values()]
    names = _names(Path(os.path.expanduser(path)))
    # A domain that writes nothing is only handed in by users: it is chosen where no other domain reads as many files.
    fits = [((sum(n.endswith((*d.reads, *d.opens)) for n in names), bool(d.writes)), d.id, d) for d in domains]
    fits.sort(key=lambda fit: fit[0], reverse=True)
    best = [fit for fit in fits if fit[0][0] and fit[0] == fits[0][0]]
    if len(best) == 1:
        return best[0][2]
    known = ", ".join(sorted(d.id for d in domains)) or "none"
    reason = f"files of domains {' and '.join(sorted(fit[1] for fit in best))} alike" if best else "files of no domain"
    reads = (
        ""
        if best
        else "".join(f"; {d.id} reads {' '.join(dict.fromkeys((*d.reads, *d.opens))) or 'no files'}" for d in domains)
    )
    raise ConfigError(f"data {path!r} holds {reason}; name the domain with --domain (installed: {known}){reads}")


def _names(path: Path) -> list[str]:
    """The names of the files at a path, in lower case."""
    from ..data.source import walk_files
    from ..errors import DataError

    if str(path).startswith("hf:"):  # which every domain may read that reads Parquet files
        return [".parquet"]
    if path.is_dir():
        return [name.lower() for name in walk_files(path, lambda _: True)[0]]
    if not path.exists():
        raise DataError(
            f"data {str(path)!r} is neither a path that exists nor a data set; `polygan list` shows the data sets"
        )
    return [path.name.lower()]


def _settings(config: type[DataSettings], path: str, words: Sequence[str]) -> DataSettings:
    """The data settings that the options ``--data.*`` give."""
    from ..settings.parser import build, option_types
    from ..settings.words import read_words, stray

    types = {f"data.{name}": kind for name, kind in option_types(config).items()}
    values, rest = read_words(words, types)
    if rest:
        raise stray(rest, [*types, *COMMANDS["data"].options], "polygan data", "`polygan data PATH --help` lists them")
    given = {name.removeprefix("data."): value for name, value in values.items()}
    return build(config, {**given, "source": path}, "polygan data")


def _cache(_catalogue: Catalogue, arguments: Arguments, _rest: Sequence[str]) -> None:
    from ..data.cache.folders import cache_folder
    from ..data.cache.overview import kept_in
    from ..data.source import DataSettings

    if arguments.older_than is not None and arguments.older_than < 0:
        raise ConfigError(f"--older-than = {arguments.older_than:g} is too small; the least is 0")
    folder = cache_folder(DataSettings(cache=arguments.cache or ""))
    found = kept_in(folder)
    if arguments.clear or arguments.older_than is not None:
        oldest = time.time() - (arguments.older_than or 0) * _DAY
        chosen = [kept for kept in found if arguments.older_than is None or kept.used <= oldest]
        removed = [kept for kept in chosen if kept.remove()]
        print(f"removed: {_total(len(removed), sum(kept.size for kept in removed))} from {folder}")
        if len(removed) < len(chosen):
            say(f"left: {len(chosen) - len(removed)} in use by another process")
        return
    if arguments.json:
        print_json({"folder": str(folder), "kept": [kept.plain() for kept in found]})
        return
    rows = [(kept.kind, kept.what, size_text(kept.size), "now" if kept.in_use else _ago(kept.used)) for kept in found]
    print_table(f"cache in {folder}", ("kind", "what", "size", "last used"), rows)
    print(f"{_total(len(found), sum(kept.size for kept in found))} in {folder}; `polygan cache --clear` empties it")


def _total(count: int, size: int) -> str:
    return f"{plural(count, 'thing')}, {size_text(size)}"


def size_text(size: float) -> str:
    """A number of bytes for people: ``1.5 GB``."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} GB" if size < 1000 else f"{size:,.0f} GB"


def _ago(when: float) -> str:
    days = int((time.time() - when) / _DAY)
    return "today" if days < 1 else "yesterday" if days == 1 else f"{days} days ago"


COMMANDS: dict[str, Command] = {
    "data": Command(
        "what a folder, a file or a data set holds, before anything is decoded; a sheet of samples",
        _data,
        (Place("path", "a folder, a file, or the name of a data set"),),
        {
            "domain": Option(str, "the domain; without --domain, the one that reads most of the files", value="ID"),
            "out": Option(str, "decode some samples and write them: sheet.png, sheet.wav, or a folder", value="FILE"),
            "samples": Option(int, "the number of samples for --out, evenly spaced", default=64),
            **JSON,
        },
        open=True,
    ),
    "cache": Command(
        "what is kept in the cache: decoded data, learned facts, networks of scores; empty the cache",
        _cache,
        (),
        {
            "clear": Option(bool, "remove everything that no process uses", default=False),
            "older_than": Option(float, "remove what no process has used for so many days", value="DAYS"),
            "cache": Option(str, "the folder; without --cache, $POLYGAN_CACHE, else the system's", value="FOLDER"),
            **JSON,
        },
    ),
}
