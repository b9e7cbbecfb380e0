"""Facts of the training split that networks are built from: found once, saved with the run, the same in every process."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from ...errors import PluginError
from ...seeding import preserved_generators, seed_everything
from ..folder import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from ...data.domain import Domain
    from ...data.store import Split
    from ...files import Facts
    from ...game.recipe import Recipe
    from ...record.job import Job
    from ...training.distributed import World


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
