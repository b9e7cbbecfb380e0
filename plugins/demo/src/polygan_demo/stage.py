"""What the page asks of a run: samples from a seed, between two seeds, from an upload, and from the run's data."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import polygan
from polygan import ConfigError, Samples

from .abilities import LABEL, abilities_of, latent_shape, latents_of, moved
from .directions import slerp
from .options import typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from polygan import Piece, Run

WAY = 8
"""Samples of the way between two seeds."""
_AT_ONCE = 0.3
"""Seconds: where a sample takes less, all samples are shown at once."""


class Stage:
    """A run and what it can do. One sample is made at a time, whatever the number of visitors."""

    def __init__(self, run: Run, words: Iterable[str] = ()) -> None:
        self.run = run
        self.fixed = typed(run.recipe.Sampling, words)
        """Options that the command line set, by name."""
        self.can = abilities_of(run, self.fixed)
        self.offered = tuple(
            dataclasses.replace(option, default=self.fixed.get(option.name, option.default))
            for option in self.can.options
        )
        """The options that the page offers; their defaults are what the command line set."""
        self.moves = 0 if self.can.directions is None else len(self.can.directions.vectors)
        """The number of directions."""
        self.intermediate = self.can.directions is not None and self.can.directions.deviations is not None
        """Whether the directions are those of the space between latents and samples (`HasIntermediate`)."""
        self.has_data = (run.folder / "data.json").is_file()
        """Whether the run may find its data again."""
        self._lock = threading.Lock()
        self._folded = [name.casefold() for name in self.can.classes]

    # From a seed

    def make(
        self,
        n: int,
        seed: int,
        label: int | None = None,
        moves: Sequence[float] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Iterator[Samples]:
        """``n`` samples of a seed; where they appear one by one, first a few of them. ``label`` is the number of a class.

        ``moves`` say how far each latent goes along each direction, in standard deviations.
        """
        asked = self._options(label, options)
        for count in self._counts(n):
            begin = time.monotonic()
            yield self._generate(count, seed, moves, asked)
            if count < n and time.monotonic() - begin < _AT_ONCE:
                yield self._generate(n, seed, moves, asked)
                return

    def _counts(self, n: int) -> list[int]:
        """How many samples to show one after the other: sample i of a seed is the same in each."""
        return sorted({1, *(2**k for k in range(1, 5) if 2**k < n), n}) if self.can.one_by_one and n > 1 else [n]

    def _generate(self, n: int, seed: int, moves: Sequence[float], asked: Mapping[str, Any]) -> Samples:
        with self._lock:
            if not any(moves):
                return self.run.generate(n, seed=seed, **asked)
            if self.intermediate:
                with moved(self.run, self._move(moves)):
                    return self.run.generate(n, seed=seed, **asked)
            return self.run.generate(latents=self._moved(n, seed, moves, asked), seed=seed, **asked)

    def _moved(self, n: int, seed: int, moves: Sequence[float], asked: Mapping[str, Any]) -> torch.Tensor:
        """Latents (n, ...) of a seed, moved along the directions. ConfigError for options that put samples into an order."""
        latent = self.can.latent
        assert latent is not None
        if latent_shape(self.run, n, asked) != (n, *latent):
            raise ConfigError("the directions move single samples; set them to 0, or the sampling settings back")
        return latents_of(seed, (n, *latent)) + self._move(moves)

    def _move(self, moves: Sequence[float]) -> torch.Tensor:
        """How far samples are moved in the space of the directions: of the shape of a latent, or (d,)."""
        directions, latent = self.can.directions, self.can.latent
        assert latent is not None
        if directions is None or not any(moves):
            return torch.zeros(latent)
        move = directions.move(torch.tensor([float(move) for move in moves]))
        return move if self.intermediate else move.reshape(latent)

    # Between two seeds

    def between(
        self,
        seeds: tuple[int, int],
        place: float,
        label: int | None = None,
        moves: Sequence[float] = (),
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Samples, Samples]:
        """The sample at ``place`` in [0, 1] of the way between the latents of two seeds, and `WAY` samples of the whole way.

        All are moved along the directions by ``moves``.
        All are of one class: that of the first seed's sample, where ``label`` names none.
        """
        latent = self.can.latent
        assert latent is not None
        asked = self._options(label, options)
        with self._lock:
            if label is None and self.can.classes:
                names = self.run.generate(1, seed=seeds[0], **asked).class_names()
                asked |= {LABEL: names[0]} if names else {}
            if latent_shape(self.run, 2, asked) != (2, *latent):
                raise ConfigError("the way between two seeds has an order of its own; set the sampling settings back")
            ends = [latents_of(seed, (1, *latent)).flatten() for seed in seeds]
            at = torch.cat([torch.tensor([float(place)]), torch.linspace(0, 1, WAY)])
            latents = slerp(ends[0], ends[1], at).reshape(-1, *latent)
            if self.intermediate and any(moves):
                with moved(self.run, self._move(moves)):
                    made = self.run.generate(latents=latents, seed=seeds[0], **asked)
            else:
                made = self.run.generate(latents=latents + self._move(moves), seed=seeds[0], **asked)
        return made[:1], dataclasses.replace(made[1:], kind="walk", columns=WAY)

    # From something given

    def of_file(
        self, path: str, seed: int, label: int | None = None, options: Mapping[str, Any] | None = None
    ) -> Iterator[Samples]:
        """What is made from a file: first the pieces so far, then all. Raises DataError for a file that cannot be read."""
        yield from self._joined(self.run.convert_file(Path(path), seed=seed, **self._options(label, options)))

    def of_text(
        self, text: str, seed: int, label: int | None = None, options: Mapping[str, Any] | None = None
    ) -> Iterator[Samples]:
        """What is made from each line of a text, as the lines get ready. Line i is made with the i-th seed from ``seed`` on."""
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines:
            raise ConfigError("the text is empty; write a line")
        classes = len(self.can.classes)

        def asked(i: int) -> dict[str, Any]:
            """Where no class is named, the lines have the classes in turn."""
            return self._options(i % classes if label is None and classes else label, options)

        made = (self.run.convert_lines([line], seed=seed + i, **asked(i)) for i, line in enumerate(lines))
        yield from self._joined(itertools.chain.from_iterable(made))

    def _joined(self, made: Iterator[Samples]) -> Iterator[Samples]:
        pieces: list[Samples] = []
        while True:
            with self._lock:
                piece = next(made, None)
            if piece is None:
                break
            pieces.append(piece)
            if len(pieces) & (len(pieces) - 1) == 0:  # after 1, 2, 4, ...: each is shown whole again
                yield self.run.domain.join(pieces)
        if pieces and len(pieces) & (len(pieces) - 1):
            yield self.run.domain.join(pieces)

    def of_data(
        self, number: int, seed: int, label: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[list[Piece], Samples]:
        """What is made from a sample of the run's data: pieces that show both (and the truth), and the made sample.

        Held-out samples are taken where there are some; ``number`` goes round.
        """
        run, asked = self.run, self._options(label, options)
        with self._lock:
            splits = run.splits()
            split = splits["held_out"] if len(splits["held_out"]) else splits["train"]
            rows, sides = split.rows, run.recipe.sides(run.recipe.Sampling(**asked))
            if sides is not None:
                classes = list(split.store.info["classes"])
                rows = rows[split.store.gather("label", rows).numpy() == classes.index(sides.given)]
            if not len(rows):
                raise ConfigError("the run's data has no sample to take; use one of your own")
            row = rows[number % len(rows)][None]
            given = run.domain.given(split, row)
            made = run.generate(given=given, seed=seed, **asked)
            truth = run.domain.real(split, row) if sides is None and run.domain.paired(run.recipe.info) else None
            pieces = run.domain.beside(given, made, truth, run.recipe.info)
            return pieces or [*run.given_domain.render(given), *run.domain.render(made)], made

    # Classes and options

    def search(self, text: str, most: int, kept: int | None = None) -> tuple[list[int], int]:
        """The numbers of the classes whose names hold a text, at most ``most`` and ``kept`` first, and how many there are."""
        wanted = text.strip().casefold()
        found = [i for i, name in enumerate(self._folded) if wanted in name] if wanted else range(len(self._folded))
        first = [] if kept is None else [kept]
        return [*first, *[i for i in found[:most] if i != kept]][:most], len(found)

    def _options(self, label: int | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
        asked = {**self.fixed, **(options or {})}
        return asked if label is None else {**asked, LABEL: self.can.classes[label]}


def open_stage(path: str | Path, *, step: int | None = None, device: str = "auto", words: Iterable[str] = ()) -> Stage:
    """The stage of a run's folder or of an exported model. Raises PolyganError for what cannot be opened."""
    return Stage(polygan.load(path, step=step, device=device), words)
