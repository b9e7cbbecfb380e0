"""Computing scores: what metrics are told, and a metric that fails."""

from __future__ import annotations

import pytest
from toy_runs import command, records, train

import polygan
from polygan.plugins import get_catalogue

pytestmark = pytest.mark.usefixtures("toys")


def test_metrics_are_told_what_to_measure_with(monkeypatch, capsys):
    told = []
    spread = get_catalogue().resolve(get_catalogue().metric("points/spread"))
    monkeypatch.setitem(spread.__globals__, "spread", lambda e: [told.append(e.features), *spread(e)][1:])
    run = train(steps=2, features="network.pt")
    for words, features in ((("--features", "other.pt"), "other.pt"), ((), "network.pt")):
        command("evaluate", run.folder, *words, capsys=capsys)
        assert told.pop() == features
    run.evaluate(features="", quiet=True)
    assert told == [""]


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
