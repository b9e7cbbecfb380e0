"""Computing scores: what metrics are told, and a metric that fails."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from toy_runs import command, records, train

import polygan
from polygan.plugins import get_catalogue
from polygan.scoring.scores import compute_scores

pytestmark = pytest.mark.usefixtures("toys")


def test_metrics_are_told_what_to_measure_with(monkeypatch, capsys):
    told = []
    spread = get_catalogue().resolve(get_catalogue().metric("points/spread"))
    monkeypatch.setitem(spread.__globals__, "spread", lambda e: [told.append(e.features), *spread(e)][1:])
    run = train(steps=2, features="network")
    for words, features in ((("--features", "other.onnx"), "other.onnx"), ((), "network")):
        command("evaluate", run.folder, *words, capsys=capsys)
        assert told.pop() == features
    run.evaluate(features="", quiet=True)
    assert told == [""]


def test_metrics_see_networks_in_evaluation_mode(monkeypatch):
    seen = []
    spread = get_catalogue().resolve(get_catalogue().metric("points/spread"))

    def look(evaluation):
        seen.extend(m.training for n in evaluation.networks.values() for m in n.modules())
        return spread(evaluation)

    monkeypatch.setitem(spread.__globals__, "spread", look)
    run = train(steps=2, evaluate_every=2)
    assert set(seen) == {False}
    seen.clear()
    polygan.load(run.folder).evaluate(quiet=True)
    assert set(seen) == {False}


def test_a_metric_that_raises_loses_neither_the_run_nor_the_other_scores(monkeypatch, capsys):
    catalogue = get_catalogue()
    spread = catalogue.resolve(catalogue.metric("points/spread"))

    def careless(evaluation):
        raise KeyError("no such column")

    monkeypatch.setitem(spread.__globals__, "careless", careless)
    target = f"{spread.__module__}:careless"
    monkeypatch.setitem(catalogue.metrics, "points/careless", polygan.MetricSpec("points/careless", target, ""))
    monkeypatch.setitem(catalogue._owners, ("metric", "points/careless"), catalogue.owner("metric", "points/spread"))
    run = train(steps=2, evaluate_every=2, quiet=False)
    said = next(line for line in capsys.readouterr().err.splitlines() if "careless" in line)
    assert "points/careless was left out: plugin 'toy_gan'" in said
    assert "raised KeyError: 'no such column' at " in said
    assert [s["name"] for s in next(r for r in records(run) if r["event"] == "evaluated")["scores"]] == [
        "points/spread"
    ]
    monkeypatch.setattr(catalogue, "strict", True)
    with pytest.raises(polygan.PluginError, match="metric 'points/careless' of plugin 'toy_gan'"):
        run.evaluate()


# Values that are not finite, and reasons that are shared


def computed(names):
    said = []
    return compute_scores(get_catalogue(), names, None, said.append), said


def refuse(_):
    raise polygan.DataError("the data has no labels")


def test_a_reason_that_metrics_share_is_said_once(metrics):
    names = metrics(one=refuse, two=refuse, fine=lambda _: [polygan.Score("fine", 1.0)], three=refuse)
    result, said = computed(names)
    assert said == ["points/one, points/two and points/three were left out: the data has no labels"]
    assert list(result.scores) == ["points/fine"]
    assert result.picking == "points/fine"
    assert result.leading == polygan.Score(
        "fine", 1.0
    )  # the first metric that can be computed picks the best checkpoint
    assert computed(["points/two"])[1] == ["points/two was left out: the data has no labels"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan"), torch.tensor(math.nan), None, "3"])
def test_a_value_that_is_not_finite_is_left_out_and_named(value, metrics):
    scores = [polygan.Score("first", value, 1.0), polygan.Score("second", 2.0, 1.0)]
    result, said = computed(metrics(pair=lambda _: scores))
    assert [s.name for s in result.scores["points/pair"]] == ["second"]
    assert result.leading is None  # the second score must not stand in for the first one
    assert len(said) == 1
    assert said[0].startswith("first was left out: its value is ")
    json.dumps(result.record, allow_nan=False)


def test_the_metric_that_picks_stays_though_it_cannot_be_computed_once(metrics):
    names = metrics(one=refuse, two=lambda _: [polygan.Score("two", 1.0)])
    result = compute_scores(get_catalogue(), names, None, lambda _: None, "points/one")
    assert (result.leading, result.picking) == (None, "points/one")
    assert compute_scores(get_catalogue(), names[:1], None, lambda _: None).picking == ""


def test_a_floor_that_is_not_finite_is_left_out_and_the_score_stays(metrics):
    result, said = computed(metrics(pair=lambda _: [polygan.Score("first", 3.0, math.nan)]))
    assert result.leading == polygan.Score("first", 3.0)
    assert said == ["the floor of first was left out: it is nan, not a finite number"]


def test_numbers_of_numpy_and_torch_become_floats(metrics):
    scores = [polygan.Score("a", np.float32(0.5), np.float64(1)), polygan.Score("b", torch.tensor(2.0), 10**400)]
    result, _ = computed(metrics(pair=lambda _: scores))
    assert json.loads(json.dumps(result.record))["scores"][0]["value"] == 0.5
    assert [type(s.value) for s in result.scores["points/pair"]] == [float, float]
    assert result.scores["points/pair"][1].floor is None  # too large for a float


def test_what_a_score_finds_wrong_is_said_and_kept(metrics):
    scores = [polygan.Score("a", 0.5), polygan.Score("b", 2.0, trouble="2, worse than nothing (1)")]
    result, said = computed(metrics(pair=lambda _: scores))
    assert said == ["b: 2, worse than nothing (1)"]
    assert [s["trouble"] for s in json.loads(json.dumps(result.record))["scores"]] == ["", "2, worse than nothing (1)"]


def test_a_standard_error_is_kept_in_the_record_and_one_that_is_not_finite_is_left_out(metrics):
    scores = [polygan.Score("a", 0.5, error=np.float32(0.25)), polygan.Score("b", 0.5, error=math.nan)]
    result, said = computed(metrics(pair=lambda _: scores))
    assert [s["error"] for s in json.loads(json.dumps(result.record, allow_nan=False))["scores"]] == [0.25, None]
    assert not said  # the value itself is as good as before


def test_a_standard_error_stands_behind_the_value():
    assert polygan.Score("n", 0.33123, error=0.00412).shown() == "0.3312 +- 0.0041"
    assert polygan.Score("n", 0.33123).shown() == "0.3312"


def test_points_that_are_not_finite_are_left_out_of_a_plot(metrics):
    plot = polygan.Plot("sweep", "x", "y", {"a": [(1, 2), (math.nan, 1), (2, math.inf)], "b": []})
    result, _ = computed(metrics(drawn=lambda _: [plot], broken=lambda _: [polygan.Plot("none", "x", "y", None)]))
    assert [p["lines"] for p in result.record["plots"]] == [{"a": [(1.0, 2.0)], "b": []}]


def test_training_goes_on_without_a_best_checkpoint_where_the_first_score_is_not_finite(metrics, capsys):
    (name,) = metrics(pair=lambda _: [polygan.Score("first", math.nan), polygan.Score("second", 2.0)])
    run = train(steps=2, evaluate_every=1, metrics=(name,), quiet=False)
    assert capsys.readouterr().err.count("first was left out: its value is nan") == 1  # not at each evaluation
    found = [r["scores"] for r in records(run) if r["event"] == "evaluated"]
    assert [[s["name"] for s in scores] for scores in found] == [["second"], ["second"]]
    manifests = [json.loads(path.read_text()) for path in run.folder.glob("checkpoints/step-*/manifest.json")]
    assert manifests
    assert not any(m.get("score") for m in manifests)
