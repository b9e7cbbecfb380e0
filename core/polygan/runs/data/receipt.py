"""The receipt of data before any sample is decoded, a sheet, a licence; and facts of the training split that networks are built from."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...data.build import build_store
from ...data.source import Fact, Source
from ...data.store import Split, split_rows
from ...errors import ConfigError, PluginError, one_line
from ...messages import cut, printable
from ...plugins.catalogue import get_catalogue
from ...seeding import preserved_generators, seed_everything
from ..folder import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from ...data.domain import Domain
    from ...data.source import DataSettings, LeftOut
    from ...files import Facts
    from ...game.recipe import Recipe
    from ...record.job import Job
    from ...settings.parser import Settings
    from ...training.distributed import World

_WIDTH = 300
"""Characters of a compact line."""


@dataclass(frozen=True)
class Receipt:
    """What a user wants to know of data before training."""

    source: str
    domain: str
    samples: int
    """Number of samples, readable or not."""
    train: int | None
    """Number of training samples; None: the source brings its own split."""
    held_out: int | None
    facts: Sequence[Fact]
    left_out: Sequence[LeftOut]

    @property
    def counts(self) -> str:
        """The numbers of samples in words."""
        if self.train is None or self.held_out is None:
            return f"{self.samples:,} (the data brings its own held-out part)"
        return f"{self.samples:,} ({self.train:,} for training, {self.held_out:,} held out)"

    def lines(self) -> list[str]:
        """All of it, a line for each fact and for each kind of thing that was left out."""
        found = [f"data: {self.source}", f"domain: {self.domain}", f"samples: {self.counts}"]
        found += [f"{fact.name}: {fact.text}" for fact in self.facts]
        found += [f"left out: {_left_out(entry)}" for entry in self.left_out]
        return [printable(line) for line in found]

    def brief(self) -> list[str]:
        """At most three lines, for the start of a run."""
        found = [f"polygan: data {self.source!r}: samples {self.counts}"]
        if self.facts:
            found.append(f"polygan: {'; '.join(f'{fact.name} {fact.text}' for fact in self.facts)}")
        if self.left_out:
            found.append(f"polygan: left out: {'; '.join(map(_left_out, self.left_out))}")
        return [cut(printable(line), _WIDTH) for line in found]

    def plain(self) -> dict[str, Any]:
        """The receipt as JSON data."""
        return {
            "source": self.source,
            "domain": self.domain,
            "samples": self.samples,
            "train": self.train,
            "held_out": self.held_out,
            "facts": [fact._asdict() for fact in self.facts],
            "left_out": [entry._asdict() for entry in self.left_out],
        }


def receipt_of(source: Source, settings: DataSettings, domain: str) -> Receipt:
    """The receipt of a source. Nothing is decoded."""
    count = len(source)
    rows = {} if "held_out" in source.fields or not count else split_rows(count, settings.held_out)
    sizes = {name: len(found) for name, found in rows.items()}
    try:
        facts = [Fact(str(name), str(text)) for name, text in source.describe()]
    except Exception as error:  # a receipt that cannot be written is no reason not to train
        facts = [Fact("facts", f"cannot be found ({one_line(error)})")]
    return Receipt(
        settings.source, domain, count, sizes.get("train"), sizes.get("held_out"), facts, list(source.left_out)
    )


def _left_out(entry: LeftOut) -> str:
    example = f", e.g. {entry.example}" if entry.example else ""
    return f"{entry.count:,} {entry.what} ({entry.why}{example})"


class Excerpt(Source):
    """Some samples of a source."""

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self.source, self.indices = source, indices
        self.fields, self.info = source.fields, source.info

    def __len__(self) -> int:
        return len(self.indices)

    def fingerprint(self) -> str:
        """The source's, with the indices."""
        return f"{self.source.fingerprint()} {list(self.indices)}"

    def decode(self, index: int) -> Mapping[str, np.ndarray]:
        """The arrays of a sample of the source."""
        return self.source.decode(self.indices[index])

    def name(self, index: int) -> str:
        """The source's name of the sample."""
        return self.source.name(self.indices[index])


def write_sheet(source: Source, settings: DataSettings, domain: Domain, out: str | Path, count: int = 64) -> list[Path]:
    """Save ``count`` samples, evenly spaced, as `Samples.save` does: a grid, a sound, lines, a folder. Only these are decoded."""
    if count < 1:
        raise ConfigError(f"--samples = {count} is too small; the least is 1")
    indices = np.unique(np.linspace(0, len(source) - 1, min(count, len(source))).round().astype(int)).tolist()
    with tempfile.TemporaryDirectory(prefix="polygan-", ignore_cleanup_errors=True) as folder:
        some = dataclasses.replace(settings, cache=folder, max_bad=1.0)
        store = build_store(Excerpt(source, indices), some, progress=False)
        split = Split(store, np.arange(len(store)), "excerpt")
        return dataclasses.replace(domain.real(split, split.rows), domain=domain).save(out)


def licence_of(settings: Settings) -> str:
    """The licence that the named data set of a run names (`DatasetSpec.licence`); empty where the data is no named data set."""
    spec = get_catalogue().datasets.get(settings.data.source)
    return spec.licence if spec else ""


def add_survey(kind: type[Recipe[Any]], config: Any, domain: Domain, split: Split, start: Facts | None = None) -> None:
    """Put the facts that ``kind`` finds in a training split (`Recipe.survey`) into the facts of its store.

    ``start`` are the facts of the run that training starts from (``init_from``). Its values count, since its networks were
    trained with them; a list of another length is found anew, and so is an entry that a mapping has only here. Raises
    PluginError for facts that are no JSON data.
    """
    with preserved_generators():
        seed_everything(0)
        found = kind.survey(config, domain, split)
    try:
        found = json.loads(json.dumps({**found}, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"{kind.__name__}.survey returns facts that are no JSON data ({error}); return finite numbers, text, lists and "
            "mappings"
        ) from None
    put(split, _of_start(start or {}, found))


def _of_start(there: Any, here: Any) -> Any:
    """A value of the start, as far as the value that was found here has the same entries."""
    if isinstance(there, dict) and isinstance(here, dict):
        return {name: _of_start(there[name], value) if name in there else value for name, value in here.items()}
    if isinstance(there, list) and isinstance(here, list) and len(there) != len(here):
        return here
    return there


def put(split: Split, facts: Mapping[str, Any]) -> None:
    """Add facts that were found before to the facts of a split's store."""
    split.store.info |= facts
    split.store.surveyed = dict(facts)


def saved_survey(folder: Path) -> dict[str, Any] | None:
    """The facts that a run's recipe found in its training split; None for a run that has not begun."""
    if not (folder / "data.json").exists():
        return None
    facts = read_data(folder)
    return {name: value for name, value in facts["info"].items() if name in facts.get("surveyed", ())}


def agreed(job: Job, world: World) -> Job:
    """The job with the first process's facts, so that every process builds the same networks. Every process calls this."""
    split = job.splits["train"]
    facts = world.share(split.store.surveyed)
    if facts == split.store.surveyed:
        return job
    put(split, facts)
    return dataclasses.replace(job, recipe=type(job.recipe)(job.settings.model, split.store.info))
