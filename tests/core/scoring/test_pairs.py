"""Held-out pairs for metrics: rows in order, shared, by other networks of the run; and why a run has none."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from toy_runs import TOY, command, records

import polygan
from polygan.plugins import get_catalogue, load_catalogue, set_catalogue
from polygan.runs.assembly import metric_ids
from polygan.scoring.scores import compute_scores

MIRROR = TOY.with_name("mirror_gan.py")


@pytest.fixture
def run(toys):
    set_catalogue(load_catalogue(files=[TOY, MIRROR]))
    return polygan.train("points/mirror", "ring", steps=2, quiet=True, hang_timeout=0, precision="fp32")


@pytest.fixture
def evaluation(run):
    return run._whole_job().evaluation(run.networks, torch.device("cpu"))


def test_pairs_are_held_out_rows_in_order(evaluation):
    given, made, truth = evaluation.pairs(8)
    rows = evaluation.held_out.store.gather("point", evaluation.held_out.rows[:8])
    assert torch.equal(given.data, rows)
    assert torch.equal(truth.data, rows)
    assert torch.equal(made.data, -rows)
    assert len(evaluation.pairs(10**6).made) == len(evaluation.held_out)  # no more than there are


def test_metrics_share_the_pairs_of_an_evaluation_and_later_evaluations_have_their_own(evaluation):
    first = evaluation.pairs(8)
    assert evaluation.pairs(8) is first
    later = dataclasses.replace(evaluation)  # of another step: the same dict of kept values, other networks
    assert later.kept is evaluation.kept
    assert later.pairs(8) is not first
    assert sum(len(kept) for kept in evaluation.kept.values()) == 1  # the earlier pairs left the memory


def test_a_variant_makes_the_pairs_with_other_networks(evaluation, monkeypatch):
    seen = []

    def generate(self, networks, request):
        seen.append(networks["generator"])
        return polygan.Samples(request.given.data)

    kind = type(evaluation.recipe)
    monkeypatch.setattr(kind, "generate", generate)
    monkeypatch.setattr(kind, "variants", {"start": {"generator": "discriminator"}})
    assert len(evaluation.pairs(8, "start").made) == 8
    assert evaluation.pairs(8, "start") is not evaluation.pairs(8)
    assert seen == [evaluation.networks["discriminator"], evaluation.networks["generator"]]
    with pytest.raises(polygan.ConfigError, match=r"variant = 'strat': no such networks \(did you mean 'start'\?\)"):
        evaluation.pairs(8, "strat")


def test_a_run_without_pairs_says_what_is_missing(evaluation, monkeypatch):
    assert evaluation.paired
    rest = evaluation.held_out
    nothing = dataclasses.replace(evaluation, held_out=polygan.Split(rest.store, rest.rows[:0], rest.name))
    with pytest.raises(polygan.DataError, match=r"none were kept; train with --data\.held_out 0\.1"):
        nothing.pairs(4)
    monkeypatch.setattr(type(evaluation.domain), "paired", lambda self, info: False)
    assert not evaluation.paired
    with pytest.raises(polygan.DataError, match="this run has no such pairs; take a recipe that makes samples from"):
        evaluation.pairs(4)


@pytest.mark.parametrize(("given", "invents"), [(None, False), ("points", True)])
def test_a_recipe_that_can_do_without_given_samples_has_no_pairs(evaluation, given, invents, monkeypatch):
    monkeypatch.setattr(type(evaluation.recipe), "given", given)
    monkeypatch.setattr(type(evaluation.recipe), "invents", invents)
    assert not evaluation.paired
    assert evaluation.given(4) is None


def test_given_samples_come_in_pieces_until_they_end(evaluation):
    rows = evaluation.held_out.store.gather("point", evaluation.held_out.rows)
    pieces, start = [], 0
    while (piece := evaluation.given(20, start)) is not None:
        pieces.append(piece.data)
        start += len(piece)
    assert torch.equal(torch.cat(pieces), rows)
    assert evaluation.given(0) is None


@pytest.fixture
def pair_metric(run, monkeypatch):
    """A metric of pairs in the catalogue, and what it returns."""
    catalogue = get_catalogue()
    spread = catalogue.resolve(catalogue.metric("points/spread"))
    found = [polygan.Score("points/near", 0.5, note="n", baseline=(0.75, "a copy"), kind="pair")]
    monkeypatch.setitem(spread.__globals__, "near", lambda evaluation: found)
    spec = polygan.MetricSpec("points/near", f"{spread.__module__}:near", "", needs_pairs=True)
    monkeypatch.setitem(catalogue.metrics, spec.id, spec)
    monkeypatch.setitem(catalogue._owners, ("metric", spec.id), catalogue.owner("metric", "points/spread"))
    return found


def test_metrics_of_pairs_lead_where_there_are_pairs_and_are_left_out_elsewhere(run, pair_metric, monkeypatch):
    assert [s.name for s in run.evaluate(quiet=True)] == ["points/near", "points/spread"]
    monkeypatch.setattr(type(run.domain), "paired", lambda self, info: False)
    assert [s.name for s in run.evaluate(quiet=True)] == ["points/spread"]
    assert [s.name for s in run.evaluate(["points/near"], quiet=True)] == ["points/near"]  # who asks gets the metric


def test_metrics_of_sides_are_left_out_where_a_recipe_has_none(run, pair_metric, monkeypatch):
    catalogue = get_catalogue()
    spec = dataclasses.replace(catalogue.metric("points/near"), needs_pairs=False, needs_sides=True)
    monkeypatch.setitem(catalogue.metrics, spec.id, spec)
    assert [s.name for s in run.evaluate(quiet=True)] == ["points/spread"]
    monkeypatch.setattr(type(run.recipe), "sides", lambda self, options: polygan.Sides("a", "b"))
    known = metric_ids((), run.domain, catalogue, run.recipe, run._whole_job().info)
    assert "points/near" in known


def test_metrics_of_samples_from_noise_lead_where_a_recipe_makes_such_and_are_left_out_elsewhere(
    run, pair_metric, monkeypatch
):
    catalogue = get_catalogue()
    spec = dataclasses.replace(catalogue.metric("points/near"), needs_pairs=False, needs_noise=True)
    monkeypatch.setitem(catalogue.metrics, spec.id, spec)
    info = run._whole_job().info
    assert run.recipe.given is not None
    assert metric_ids((), run.domain, catalogue, run.recipe, info) == ["points/spread"]
    monkeypatch.setattr(type(run.recipe), "given", None)
    assert metric_ids((), run.domain, catalogue, run.recipe, info) == ["points/near", "points/spread"]


def test_a_run_logs_and_prints_the_baseline_beside_the_score(run, pair_metric, capsys):
    more = {"steps": 2, "evaluate_every": 2, "metrics": ("points/near",), "hang_timeout": 0, "precision": "fp32"}
    other = polygan.train("points/mirror", "ring", name="said", **more)
    assert "step 2: points/near 0.5 (a copy 0.75)" in capsys.readouterr().err
    record = next(r for r in records(other) if r["event"] == "evaluated")
    assert record["paired"] is True
    assert record["scores"][0]["baseline"] == [0.75, "a copy"]
    page = (other.folder / "report.html").read_text()
    assert "better than a copy (0.75)" in page


def test_without_a_baseline_the_table_has_no_column_for_it(run, capsys):
    table = command("--plugin", MIRROR, "evaluate", run.folder, capsys=capsys).out
    assert "baseline" not in table


def test_a_baseline_that_is_not_finite_is_left_out_and_named(pair_metric):
    said = []
    pair_metric[:] = [polygan.Score("near", 1.0, baseline=(float("nan"), "a copy"))]
    computed = compute_scores(get_catalogue(), ["points/near"], None, said.append)
    assert computed.leading == polygan.Score("near", 1.0)
    assert said == ["the baseline of near (a copy) was left out: it is nan, not a finite number"]
    pair_metric[:] = [polygan.Score("near", 1.0, baseline=(torch.tensor(2.0), "a copy"))]
    leading = compute_scores(get_catalogue(), ["points/near"], None, said.append).leading
    assert leading is not None
    assert type(leading.baseline[0]) is float


@pytest.mark.parametrize(
    ("floor", "baseline", "words"),
    [
        (None, None, ""),
        (0.25, None, " (floor 0.25)"),
        (None, (27.3, "bicubic"), " (bicubic 27.3)"),
        (0.25, (1.5, "a copy"), " (floor 0.25, a copy 1.5)"),
    ],
)
def test_floor_and_baseline_in_words(floor, baseline, words):
    assert polygan.Score("n", 1.0, floor, baseline=baseline).beside() == words
