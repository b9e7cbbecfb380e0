"""Other data than a run's own, for scores: how well networks, also imported ones, do on a user's samples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...data.store import Split
from ...plugins.catalogue import get_catalogue
from ...settings.parser import option_types
from ..assembly import data_settings, open_splits, resolve

if TYPE_CHECKING:
    from ...record.job import Job


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
