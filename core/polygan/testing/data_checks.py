"""The contracts of a domain, a data set and a metric: one function checks one contract."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..data.build import build_store
from ..data.decoding import _checked
from ..data.domain import Samples
from ..data.source import Field, Source
from ..errors import DataError, PolyganError
from ..plugins import catalogue as plugins
from ..scoring.evaluation import Plot, Score
from .recipe_checks import check_shown
from .watched import broken, difference, state

if TYPE_CHECKING:
    from ..data.source import Batch
    from ..scoring.evaluation import Evaluation
    from .bench import Bench

_ROWS = 4


# Sources: of domains and of data sets


def check_source_is_what_it_says(bench: Bench) -> None:
    """A source has samples and fields, and its facts are JSON data."""
    source = bench.open()
    if not isinstance(source, Source):
        raise broken(bench.where, "opening must give a polygan.Source", "a Source", type(source).__name__)
    if len(source) < 1:
        raise broken(bench.where, "the source of a check must hold samples", "at least 1", len(source))
    wrong = [f"{name}: {type(f).__name__}" for name, f in source.fields.items() if not isinstance(f, Field)]
    if not source.fields or wrong:
        raise broken(bench.where, "fields must map names to polygan.Field", "at least one Field", wrong or "none")
    try:
        again = json.loads(json.dumps(source.info))
    except (TypeError, ValueError) as error:
        raise broken(bench.where, "info must be JSON data", "numbers, text, lists, mappings", error) from None
    if found := difference(source.info, again):
        raise broken(f"{bench.where}, info{found[0]}", "info must be the same when read back", found[1], found[2])


def check_source_decodes_what_its_fields_say(bench: Bench) -> None:
    """Every decoded array has the dtype and shape of its field, and a second decoding gives the same array."""
    source, other = bench.open(), bench.open()
    if len(source) != len(other):
        raise broken(bench.where, "opened twice, a source must have as many samples", len(source), len(other))
    decoded = 0
    for index in np.unique(np.linspace(0, len(source) - 1, 8).astype(int)).tolist():
        where = f"{bench.where}, {source.name(index)}"
        try:
            sample = source.decode(index)
        except (DataError, OSError, ValueError):
            continue  # a damaged sample; training skips and counts such samples
        decoded += 1
        try:
            _checked(source.fields, sample)
        except ValueError as error:
            raise broken(where, "decode() must give what fields say", dict(source.fields), error) from None
        first, again = ({k: np.asarray(s[k]) for k in source.fields} for s in (sample, other.decode(index)))
        if found := difference(first, again):
            raise broken(f"{where}, {found[0][1:]}", "a sample must be the same when decoded again", found[1], found[2])
    if not decoded:
        raise broken(bench.where, "the source of a check must be readable", "a decoded sample", "none")


def check_source_fingerprint_repeats(bench: Bench) -> None:
    """The fingerprint is text, and the same each time that the source is opened; otherwise each run would decode anew."""
    first, again = bench.open().fingerprint(), bench.open().fingerprint()
    if not isinstance(first, str) or not first:
        raise broken(bench.where, "fingerprint() must be text", "a non-empty string", repr(first))
    if first != again:
        raise broken(bench.where, "fingerprint() must repeat while the data does not change", repr(first), repr(again))


# Domains


def check_domain_refuses_what_is_not_there(bench: Bench) -> None:
    """A missing path, an empty folder and an empty file each raise a `polygan.DataError` of one line."""
    folder = bench.folder / "nothing"
    (folder / "empty").mkdir(parents=True, exist_ok=True)
    (folder / "empty.dat").write_bytes(b"")
    for name, place in (("a missing path", "missing"), ("an empty folder", "empty"), ("an empty file", "empty.dat")):
        settings = dataclasses.replace(bench.data_settings, source=str(folder / place))
        contract, expected = f"open() of {name} must say so", "a polygan.DataError of one line"
        try:
            build_store(bench.domain.open(settings), settings, progress=False, workers=1)
        except DataError as error:
            if "\n" in str(error):
                raise broken(bench.where, contract, expected, f"{len(str(error).splitlines())} lines") from error
        except Exception as error:
            raise broken(bench.where, contract, expected, f"{type(error).__name__}: {error}") from error
        else:
            raise broken(bench.where, contract, expected, "a source with samples")


def _batch(bench: Bench, rows: np.ndarray, draws: np.ndarray) -> Batch:
    return bench.domain.collate(bench.splits["train"], rows, draws)


def check_domain_collates_by_draws_alone(bench: Bench) -> None:
    """A batch has one entry for each row, and depends on nothing but rows and draws; an entry does not depend on other rows.

    Each process collates its own share of a batch, so a share must equal the same rows of the whole batch.
    """
    rows = bench.rows(_ROWS)
    draws = np.random.default_rng(0).random((len(rows), bench.domain.draws))
    first, again = _batch(bench, rows, draws), _batch(bench, rows, draws)
    for name, value in first.items():
        if not isinstance(value, torch.Tensor) or value.device.type != "cpu" or len(value) != len(rows):
            found = (
                f"{tuple(value.shape)} on {value.device}" if isinstance(value, torch.Tensor) else type(value).__name__
            )
            expected = f"({len(rows)}, ...) on cpu"
            raise broken(f"{bench.where}, {name}", "collate() must give a CPU tensor a field", expected, found)
    if found := difference(first, again):
        contract = "collate() must be a function of rows and draws"
        raise broken(f"{bench.where}, {found[0][1:]}", contract, found[1], found[2])
    half = len(rows) // 2
    part, whole = _batch(bench, rows[:half], draws[:half]), {k: v[:half] for k, v in first.items()}
    same_shape = all(part[k].shape == whole[k].shape for k in whole if k in part)  # a share may have less padding
    if same_shape and (found := difference(whole, part)):
        contract = "a process's share of a batch must not depend on the other shares"
        raise broken(f"{bench.where}, {found[0][1:]}", contract, found[1], found[2])


def check_domain_prepares_finite_batches(bench: Bench) -> None:
    """`prepare` keeps the number of samples, gives finite numbers, repeats, and does not change its input."""
    rows = bench.rows(_ROWS)
    batch = _batch(bench, rows, np.full((len(rows), bench.domain.draws), 0.5))
    before = copy.deepcopy(batch)
    first = copy.deepcopy(bench.domain.prepare(dict(batch), bench.info))
    if found := difference(before, batch):
        raise broken(f"{bench.where}, {found[0][1:]}", "prepare() must not change its input", found[1], found[2])
    if found := difference(first, bench.domain.prepare(dict(batch), bench.info)):
        raise broken(f"{bench.where}, {found[0][1:]}", "prepare() must repeat", found[1], found[2])
    for name, value in first.items():
        if len(value) != len(rows):
            raise broken(f"{bench.where}, {name}", "prepare() must keep the samples", len(rows), len(value))
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise broken(f"{bench.where}, {name}", "a prepared batch must be finite", "finite numbers", "nan or inf")


def check_domain_real_samples_are_its_rows(bench: Bench) -> None:
    """`real` gives one sample for each row, in order; `batch_of` gives samples the form of a prepared batch."""
    rows = bench.rows(_ROWS)
    split = bench.splits["train"]
    samples = bench.domain.real(split, rows)
    if not isinstance(samples, Samples) or len(samples) != len(rows):
        found = len(samples) if isinstance(samples, Samples) else type(samples).__name__
        raise broken(bench.where, "real() must give Samples, one a row", len(rows), found)
    turned = bench.domain.real(split, rows[::-1])
    for i in range(len(rows)):
        if found := difference(samples.data[i], turned.data[len(rows) - 1 - i]):
            contract = "real() must give row after row, whatever their order"
            raise broken(f"{bench.where}, sample {i}{found[0]}", contract, found[1], found[2])
    batch = bench.domain.batch_of(samples)
    if batch is None:
        return
    prepared = bench.batch(rows)
    for name, value in batch.items():
        like = prepared.get(name)
        if like is None or value.dtype != like.dtype or len(value) != len(rows) or value.dim() != like.dim():
            expected = "no such field" if like is None else f"{like.dtype} {tuple(like.shape)}"
            contract = "batch_of() must have the form of a prepared batch"
            raise broken(f"{bench.where}, {name}", contract, expected, f"{value.dtype} {tuple(value.shape)}")


def check_domain_writes_and_draws(bench: Bench) -> None:
    """The domain writes real samples to files, draws them as pieces, and gives them features."""
    real = bench.domain.real(bench.splits["train"], bench.rows(_ROWS))
    check_shown(bench.where, bench.domain, real, bench.folder / "written")


def check_domain_features_repeat(bench: Bench) -> None:
    """The same samples have the same features, and not all samples have equal features."""
    samples = bench.domain.real(bench.splits["train"], bench.rows(24))
    first, again = bench.domain.features(samples), bench.domain.features(samples)
    if found := difference(first, again):
        raise broken(f"{bench.where}, features{found[0]}", "features() must repeat", found[1], found[2])
    if len(first) > 1 and torch.equal(first, first[:1].expand_as(first)):
        contract = "features() must tell samples apart"
        raise broken(bench.where, contract, f"{len(first)} rows that differ", first[0].tolist()[:4])


# Data sets


def check_dataset_is_decoded_into_a_store(bench: Bench) -> None:
    """The core decodes the data set: each sample is stored or named as bad, and there are training samples."""
    store, source = bench.splits["train"].store, bench.open()
    if len(store) + len(store.bad) != len(source):
        raise broken(
            bench.where, "each sample must be decoded or named as bad", len(source), len(store) + len(store.bad)
        )
    if not len(bench.splits["train"]):
        raise broken(bench.where, "a data set must have training samples", "at least 1", 0)


# Metrics


def _evaluation(bench: Bench) -> Evaluation:
    trainer = bench.reference
    return bench.job.evaluation(trainer.networks(), trainer.device)


def _evaluated(bench: Bench) -> list[Score | Plot]:
    metric = plugins.get_catalogue().resolve(plugins.get_catalogue().metric(bench.case.id))
    try:
        found = metric(_evaluation(bench))
    except PolyganError as error:
        contract = "a metric must be computed in its check (give data that it can score)"
        raise broken(bench.where, contract, "scores", f"{type(error).__name__}: {error}") from error
    entries = [f for f in found if isinstance(f, (Score, Plot))] if isinstance(found, list) else []
    if not isinstance(found, list) or len(entries) < len(found):
        shown = [type(f).__name__ for f in found] if isinstance(found, list) else type(found).__name__
        raise broken(bench.where, "a metric must return a list", "Score and Plot entries", shown)
    if not entries:
        raise broken(bench.where, "a metric must return a score or a plot", "at least 1", 0)
    return entries


def check_metric_returns_finite_scores(bench: Bench) -> None:
    """Scores and their floors are finite, ``better`` is lower, higher or near, and plots have up to four lines of finite points."""
    for entry in _evaluated(bench):
        where = f"{bench.where}, {entry.name}"
        if entry.name.partition("/")[0] != bench.domain.id:
            raise broken(where, "names must begin with the domain", f"{bench.domain.id}/...", entry.name)
        if isinstance(entry, Score):
            for name in ("value", "floor"):
                value = getattr(entry, name)
                if not (value is None and name == "floor") and not (
                    isinstance(value, (int, float)) and math.isfinite(value)
                ):
                    raise broken(where, f"{name} must be a finite number", "int or float", repr(value))
            if entry.baseline is not None:
                value, label = entry.baseline
                if not (isinstance(value, (int, float)) and math.isfinite(value) and isinstance(label, str) and label):
                    raise broken(where, "a baseline must be a finite number and a name", "(float, str)", entry.baseline)
            if entry.error is not None and not 0 <= entry.error < math.inf:
                raise broken(where, "a standard error must be a finite number, 0 or more", "0.004", repr(entry.error))
            if entry.kind not in ("", "pair", "distribution"):
                raise broken(where, "kind must be known", "'', 'pair' or 'distribution'", repr(entry.kind))
            if entry.better not in ("lower", "higher", "near"):
                raise broken(where, "better must be known", "'lower', 'higher' or 'near'", repr(entry.better))
            if entry.better == "near" and entry.floor is None:
                raise broken(where, "a score that is best near its floor must have a floor", "int or float", "None")
        else:
            if not 1 <= len(entry.lines) <= 4:
                raise broken(where, "a plot must have one to four lines", "1 to 4", len(entry.lines))
            for label, line in entry.lines.items():
                if bad := [p for p in line if len(p) != 2 or not all(map(math.isfinite, p))]:
                    raise broken(f"{where}, {label}", "points must be pairs of finite numbers", "(x, y)", bad[0])
        try:
            json.dumps(vars(entry))
        except (TypeError, ValueError) as error:
            raise broken(where, "what a metric returns must be JSON data", "numbers and text", error) from None


def check_metric_repeats(bench: Bench) -> None:
    """The same networks and seed get the same scores, in any state of the process's random generators."""
    runs = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        runs.append({f"{type(f).__name__} {f.name}": vars(f) for f in _evaluated(bench)})
    if found := difference(*runs, tolerance=0):
        contract = "a metric must repeat: its random numbers are those of evaluation.seed"
        raise broken(f"{bench.where}, {found[0][1:]}", contract, found[1], found[2])


def check_metric_leaves_networks_alone(bench: Bench) -> None:
    """Scoring changes no parameter, buffer or mode of the networks."""
    networks = bench.reference.networks()
    before = state(bench.reference)
    modes = [m.training for network in networks.values() for m in network.modules()]
    _evaluated(bench)
    if found := difference(before, state(bench.reference)):
        raise broken(f"{bench.where}, {found[0][1:]}", "a metric must not change the networks", found[1], found[2])
    now = [m.training for network in networks.values() for m in network.modules()]
    if modes != now:
        contract = "a metric must leave networks in the mode that it found"
        raise broken(bench.where, contract, f"{sum(modes)} modules in training mode", sum(now))
