"""Making samples of what a user hands in: files, folders, standard input."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..data.walk import walk_files
from ..errors import ConfigError, DataError
from ..game.sampling import stream_samples
from ..messages import say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from torch import nn

    from ..data.domain import Domain, Samples
    from ..game.recipe import Recipe


@dataclass(frozen=True)
class Maker:
    """What makes samples of given ones: a recipe's networks, the two domains, a seed and options."""

    recipe: Recipe[Any]
    networks: Mapping[str, nn.Module]
    domain: Domain
    """Of what is made."""
    given: Domain
    """Of what is handed in."""
    seed: int
    options: Any

    def make(self, pieces: Iterable[Samples]) -> Iterator[Samples]:
        """What the pieces of one file become, in order, one in memory at a time."""
        return stream_samples(self.recipe, self.networks, pieces, self.seed, self.options, domain=self.domain)

    def of_file(self, path: Path) -> Iterator[Samples]:
        """What the pieces of a file become. DataError where the file cannot be read, or holds no sample."""
        return self.make(self._pieces(path))

    def of_lines(self, lines: Iterable[str]) -> Iterator[Samples]:
        """What lines of text become (standard input)."""
        return self.make(self.given.read_text(lines, self.recipe.info))

    def _pieces(self, path: Path) -> Iterator[Samples]:
        empty = True
        for piece in self.given.read(path, self.recipe.info):
            empty = False
            yield piece
        if empty:
            raise DataError(f"{path} holds no sample; name another file")


def files_of(source: Path, domain: Domain) -> list[Path]:
    """The files that ``domain`` reads: ``source`` itself, or those in the folder and below, by name; hidden files are left out.

    Raises DataError for what does not exist, and for a folder without such files.
    """
    if not source.exists():
        raise DataError(f"input {str(source)!r} does not exist; name a file or a folder")
    if not source.is_dir():
        return [source]
    paths = [
        source / name for name in walk_files(source, lambda name: os.path.splitext(name)[1].lower() in domain.reads)[0]
    ]
    if not paths:
        raise DataError(
            f"input {str(source)!r} holds no file that domain {domain.id!r} reads ({', '.join(domain.reads) or 'none'}); "
            "name another folder"
        )
    return paths


def targets_of(paths: list[Path], source: Path, out: Path, domain: Domain, suffix: str) -> list[Path]:
    """The file that each input becomes: ``out`` itself where its suffix is one that ``domain`` writes, else a file in the folder ``out``.

    Names are kept, with another suffix; where two inputs would become one file the second keeps its own suffix too.
    Raises ConfigError for one file out of a folder, and for a suffix that the domain does not write.
    """
    if not domain.writes:
        raise ConfigError(f"domain {domain.id!r} writes no files from an input; leave --input out")
    if out.suffix.lower() in domain.writes and not out.is_dir():
        if source.is_dir():
            raise ConfigError(f"{out} is one file, and {source} a folder; name a folder with --out")
        return [out]
    if out.suffix[1:].isalpha() and not out.is_dir():
        known = ", ".join(domain.writes)
        raise ConfigError(f"{out}: domain {domain.id!r} writes {known}; name one of these, or a folder (no suffix)")
    suffix = f".{suffix.lower().lstrip('.')}" if suffix else domain.writes[0]
    if suffix not in domain.writes:
        raise ConfigError(
            f"format = {suffix[1:]!r}; domain {domain.id!r} writes {', '.join(w[1:] for w in domain.writes)}"
        )
    base = source if source.is_dir() else source.parent
    sources, taken, targets = {p.resolve() for p in paths}, set(), []
    for path in paths:
        name = path.relative_to(base)
        target = out / name.with_suffix(suffix)
        there = target.resolve()
        if target in taken or (there in sources and there != path.resolve()):
            target = out / name.with_name(f"{name.name}{suffix}")
        taken.add(target)
        targets.append(target)
    return targets


def convert_files(maker: Maker, source: Path, out: Path, suffix: str) -> Iterator[Path]:
    """Make a file of each input file, one at a time; yields those written.

    What is wrong with a file of a folder is said, and a DataError at the end counts such files.
    """
    paths = files_of(source, maker.given)
    failed = 0
    for path, target in zip(paths, targets_of(paths, source, out, maker.domain, suffix), strict=True):
        try:
            _convert_file(maker, path, target)
        except DataError as error:
            if not source.is_dir():
                raise
            say(str(error))
            failed += 1
        else:
            yield target
    if failed:
        raise DataError(
            f"{failed} of {len(paths)} files of {source} could not be converted and are named above; the others are in {out}"
        )


def _convert_file(maker: Maker, path: Path, target: Path) -> None:
    """Write what one file becomes; all or nothing. DataError naming the file."""
    if target.exists() and target.samefile(path):
        raise DataError(f"{path} would be overwritten by what is made of it; name another folder with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        maker.domain.write_file(maker.of_file(path), partial)
        partial.replace(target)
    except DataError as error:
        message = str(error).replace(str(partial), str(target))
        raise DataError(message if str(path) in message else f"{path}: {message}") from None
    finally:
        partial.unlink(missing_ok=True)
