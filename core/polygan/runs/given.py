"""What a user hands to a trained run: files, folders and lines to make samples from, and other data to score."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.domain import Samples
from ..data.saving import known_suffix, one_by_one
from ..data.source import walk_files
from ..data.store import Split
from ..errors import ConfigError, DataError
from ..game.sampling import make_samples, stream_samples
from ..messages import say
from ..plugins.catalogue import get_catalogue
from ..settings.parser import option_types
from .assembly import data_settings, open_splits, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from torch import nn

    from ..data.domain import Domain
    from ..game.recipe import Recipe
    from ..record.job import Job


@dataclass(frozen=True)
class Maker:
    """Makes samples from given samples: a recipe with its networks, two domains, a seed and options."""

    recipe: Recipe[Any]
    networks: Mapping[str, nn.Module]
    domain: Domain
    """The domain of the samples that are made."""
    given: Domain
    """The domain of the samples that are handed in."""
    seed: int
    options: object
    """The recipe's options of generation."""

    def usual_suffix(self, path: Path) -> str:
        """The suffix of what is made from the file ``path``, if the user names none."""
        same = self.domain.id == self.given.id
        return self.domain.made_suffix(path, self.recipe.info) if same else self.domain.writes[0]

    def make(self, pieces: Iterable[Samples]) -> Iterator[Samples]:
        """Samples from the pieces of a file, in order, with one piece in memory at a time."""
        return stream_samples(self.recipe, self.networks, pieces, self.seed, self.options, domain=self.domain)

    def of_file(self, path: Path) -> Iterator[Samples]:
        """Samples from the pieces of a file. DataError if the file cannot be read or holds no sample."""
        return self.make(self._pieces(path))

    def of_lines(self, lines: Iterable[str]) -> Iterator[Samples]:
        """Samples from lines of text (standard input)."""
        return self.make(self.given.read_text(lines, self.recipe.info))

    def _pieces(self, path: Path) -> Iterator[Samples]:
        empty = True
        for piece in self.given.read(path, self.recipe.info):
            empty = False
            yield piece
        if empty:
            raise DataError(f"{path} holds no sample; name another file")


def samples_from(maker: Maker, given: object) -> Samples:
    """Samples made from what a caller hands in: a file's path, a text, an array or `Samples`."""
    if isinstance(given, Path) or (isinstance(given, str) and not maker.given.is_text):
        path = Path(given)
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; use convert({str(path)!r}, OUT), which takes the files one by one")
        if not path.exists():
            raise DataError(f"{path} does not exist; name a file")
        return maker.domain.join(maker.of_file(path))
    samples = given if isinstance(given, Samples) else maker.given.take(given, maker.recipe.info)
    return make_samples(maker.recipe, maker.networks, 0, maker.seed, maker.options, given=samples, domain=maker.domain)


def files_of(source: Path, domain: Domain) -> list[Path]:
    """The files that ``domain`` reads: the file ``source``, or the files in the folder ``source`` and below, by name.

    A folder that is one input (`Domain.is_one`) stays whole. Hidden files are left out. Raises DataError if ``source`` does not exist, or is a folder without such files.
    """
    if not source.exists():
        raise DataError(f"input {str(source)!r} does not exist; name a file or a folder")
    if not source.is_dir() or domain.is_one(source):
        return [source]
    paths = [
        source / name for name in walk_files(source, lambda name: known_suffix(name, domain.reads) in domain.reads)[0]
    ]
    if not paths:
        raise DataError(
            f"input {str(source)!r} holds no file that domain {domain.id!r} reads ({', '.join(domain.reads) or 'none'}); "
            "name another folder"
        )
    return paths


def targets_of(
    paths: list[Path],
    source: Path,
    out: str | Path,
    domain: Domain,
    suffix: str,
    usual: Callable[[Path], str] | None = None,
) -> list[Path]:
    """The output file of each input: ``out`` itself if ``domain`` writes files of its suffix, else a file in the folder ``out``.

    The name of an input is kept. The suffix is ``suffix``; if empty, what ``usual`` says of the input, else the domain's usual one.
    Where two inputs would have the same output, the second keeps its own suffix too. Raises ConfigError for one output file of a whole folder, and for a suffix that the domain does not write.
    """
    if not domain.writes:
        raise ConfigError(f"domain {domain.id!r} cannot write files made from an input; leave --input out")
    if named := domain.suffix_of(out, "set"):
        if paths != [source]:
            raise ConfigError(f"{out} is one file, and {source} is a folder; name a folder with --out")
        if suffix and named != f".{suffix.lower().lstrip('.')}":
            raise ConfigError(f"{out} ends in {named}, and format = {suffix!r}; leave --format out, or name a folder")
        return [Path(out)]
    out = Path(out)
    suffix = f".{suffix.lower().lstrip('.')}" if suffix else ""
    if suffix and suffix not in domain.writes:
        raise ConfigError(
            f"format = {suffix[1:]!r} is unknown; domain {domain.id!r} writes {', '.join(w[1:] for w in domain.writes)}"
        )
    base = source.parent if paths == [source] else source
    sources, taken, targets = {p.resolve() for p in paths}, set(), []
    for path in paths:
        name = path.relative_to(base)
        own = suffix or (usual(path) if usual else domain.writes[0])
        stem = name.name[: -len(known_suffix(name.name, domain.writes)) or None]  # of .nii.gz both parts go
        target = out / name.with_name(f"{stem}{own}")
        there = target.resolve()
        if target in taken or (there in sources and there != path.resolve()):
            target = out / name.with_name(f"{name.name}{own}")
        taken.add(target)
        targets.append(target)
    return targets


def convert_files(maker: Maker, source: Path, out: str | Path, suffix: str) -> Iterator[Path]:
    """Make an output file from each input file, one at a time, and yield each file that was written.

    A fault of a file in a folder is a line on stderr, and a DataError at the end counts the faulty files. ConfigError, before any
    work, where a file in the folder ``out`` would be replaced that polygan did not write.
    """
    paths = files_of(source, maker.given)
    targets = targets_of(paths, source, out, maker.domain, suffix, maker.usual_suffix)
    # A file that the user names may be replaced. In a folder, only files that polygan wrote there may be.
    folder = None if targets == [Path(out)] else Path(out)
    names = [] if folder is None else [target.relative_to(folder).as_posix() for target in targets]
    failed = 0
    with nullcontext() if folder is None else one_by_one(folder, names, paths) as wrote:
        for number, (path, target) in enumerate(zip(paths, targets, strict=True)):
            try:
                _convert_file(maker, path, target)
            except DataError as error:
                if paths == [source]:
                    raise
                say(str(error))
                failed += 1
            else:
                if wrote is not None:
                    wrote(names[number])
                yield target
    if failed:
        raise DataError(
            f"{failed} of {len(paths)} files of {source} could not be converted, as the lines above say; the others are in {out}"
        )


def _convert_file(maker: Maker, path: Path, target: Path) -> None:
    """Write the output of one file, completely or not at all. Raises DataError with the file's name."""
    if target.exists() and target.samefile(path):
        raise DataError(f"{path} would be overwritten by its own output; name another folder with --out")
    try:
        write_made(maker.domain, maker.of_file(path), target)
    except DataError as error:
        raise DataError(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def write_lines(domain: Domain, made: Iterable[Samples], out: str | Path) -> Path:
    """Write samples made from lines into the file ``out``, or into a file in the folder ``out``; returns the file."""
    if domain.suffix_of(out, "set"):
        write_made(domain, made, Path(out))
        return Path(out)
    folder, name = Path(out), f"samples{domain.writes[0]}"
    with one_by_one(folder, [name]) as wrote:
        write_made(domain, made, folder / name)
        wrote(name)
    return folder / name


def write_made(domain: Domain, pieces: Iterable[Samples], target: Path) -> None:
    """Write the samples made from one input into the file ``target``, completely or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(
        f".{os.getpid()}-{target.name}"
    )  # with the suffix, which tells the domain the kind of file
    try:
        domain.write_file(pieces, partial)
        partial.replace(target)
    except DataError as error:
        raise DataError(str(error).replace(str(partial), str(target))) from None
    finally:
        partial.unlink(missing_ok=True)


def on_other_data(job: Job, source: str) -> Job:
    """The job with the samples at ``source``, a path or a data set, read as the networks need them.

    Samples count as held out, all of them where a recipe makes samples from something given. Data settings are the run's, without its
    other paths, and what `Recipe.inherited` says. DataError where there is nothing to read.
    """
    settings, recipe = job.settings, job.recipe
    old = settings.plain()["data"]
    away = {*settings.data.paths, "source"} - {"cache"}
    found = recipe.inherited(recipe.config, recipe.info).items()
    needed = {name.removeprefix("data."): value for name, value in found if name.startswith("data.")}
    wanted = {**{name: value for name, value in old.items() if name not in away}, **needed, "source": source}
    known = option_types(data_settings(source, job.domain, get_catalogue()))
    layer = {name: value for name, value in wanted.items() if name in known}
    data = resolve(settings.recipe, [{"model": settings.plain()["model"], "data": layer}]).data
    splits = open_splits(replace(settings, data=data), job.domain)
    if recipe.given is not None:
        store, rows = splits["train"].store, np.sort(np.concatenate([split.rows for split in splits.values()]))
        splits = {name: Split(store, rows, name) for name in splits}
    return replace(job, splits=splits, kept={})
