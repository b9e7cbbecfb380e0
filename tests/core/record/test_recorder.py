"""The record of a run: events, scores, notes, and what listeners hear."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from toy_runs import TOY, records, train

import polygan
from polygan.plugins import get_catalogue, load_catalogue, set_catalogue
from polygan.runs.networks.building import best_step

pytestmark = pytest.mark.usefixtures("toys")


def test_scores_stand_next_to_their_floor_and_pick_the_best_checkpoint():
    run = train(evaluate_every=5, steps=30, keep=1)
    scores = [r for r in records(run) if r["event"] == "evaluated"]
    assert len(scores) == 6
    assert scores[0]["scores"][0]["name"] == "points/spread"
    assert scores[0]["scores"][0]["floor"] < 0.1
    best = min((r["scores"][0]["value"], r["step"]) for r in scores)[1]
    assert {int(p.name[5:]) for p in (run.folder / "checkpoints").iterdir()} == {best, 30}
    (score,) = polygan.load(run.folder).evaluate(samples=100, quiet=True)
    assert score.value < 3


def test_a_failing_run_is_recorded_as_failed():
    with pytest.raises(polygan.DivergenceError):
        train(name="nan", steps=100, max_skips=2, max_rollbacks=1, model={"poison_at": 12})
    lines = [json.loads(line) for line in Path("runs/nan/log.jsonl").read_text().splitlines()]
    assert lines[-1]["status"] == "failed"
    assert [r["event"] for r in lines].count("diverged") == 2
    page = Path("runs/nan/report.html").read_text()
    assert "Diverged" in page


def test_listeners_hear_the_whole_run(tmp_path):
    heard = tmp_path / "ears.py"
    heard.write_text(
        "import polygan\nheard = []\n"
        + "".join(
            f"@polygan.hookimpl\ndef polygan_{name}(event{args}):\n    heard.append(('{name}', event.step))\n"
            for name, args in [
                ("run_started", ""),
                ("logged", ", values"),
                ("sampled", ", pieces"),
                ("evaluated", ", scores"),
                ("saved", ", checkpoint"),
                ("run_ended", ", status"),
            ]
        )
    )
    set_catalogue(load_catalogue(files=[TOY, heard]))
    train(steps=10, evaluate_every=10)
    assert sys.modules["ears"].heard == [
        ("run_started", 0), ("logged", 5), ("saved", 5), ("logged", 10), ("sampled", 10), ("evaluated", 10), ("saved", 10),
        ("run_ended", 10),
    ]  # fmt: skip


def test_a_listener_that_raises_does_not_stop_the_run(tmp_path, capsys):
    bad = tmp_path / "bad_ears.py"
    bad.write_text("import polygan\n@polygan.hookimpl\ndef polygan_logged(event, values):\n    raise OSError('full')\n")
    set_catalogue(load_catalogue(files=[TOY, bad]))
    assert train(steps=10).step == 10
    err = capsys.readouterr().err
    assert err.count("polygan_logged raised") == 2  # the first time, and the count of the others at the end
    assert "bad_ears" in err


def test_what_a_recipe_settles_by_itself_is_said_and_kept(monkeypatch, capsys):
    kind = get_catalogue().resolve(get_catalogue().recipe("points/mlp"))
    monkeypatch.setattr(kind, "notes", lambda self, training: [f"gamma is {1 / training.batch_size} & so on"])
    run = train(steps=2, batch_size=8, quiet=False)
    note = "gamma is 0.125 & so on"
    assert note in capsys.readouterr().err.splitlines()
    assert next(r for r in records(run) if r["event"] == "started")["notes"] == [note]
    assert note.replace("&", "&amp;") in run.report().read_text()


def test_what_a_recipe_remarks_about_values_is_said_once_and_stands_in_the_report(monkeypatch, capsys):
    recipe = get_catalogue().resolve(get_catalogue().recipe("points/mlp"))
    seen = []

    def remarks(self, values):
        seen.append(dict(values))
        return ["the loss is <odd>"] if len(seen) > 1 else []

    monkeypatch.setattr(recipe, "remarks", remarks)
    run = train(steps=15, quiet=False)
    assert all("speed/samples_per_second" in values for values in seen)
    assert capsys.readouterr().err.count("the loss is <odd>") == 1
    assert [r.get("remarks") for r in records(run) if r["event"] == "logged"] == [None, *[["the loss is <odd>"]] * 2]
    page = (run.folder / "report.html").read_text()
    assert page.count("The loss is &lt;odd&gt;.") == 1


def saved_scores(run):
    return {e.step: e.score for e in polygan.Checkpoints(run.folder / "checkpoints").entries()}


def test_only_the_first_metric_chooses_the_best_checkpoint(metrics):
    calls = []

    def first(evaluation):
        calls.append(None)
        if len(calls) == 2:
            raise MemoryError("for once")
        return [polygan.Score("points/first", 35.0)]

    names = metrics(first=first, second=lambda _: [polygan.Score("points/second", 0.7, better="higher")])
    run = train(steps=3, evaluate_every=1, save_every=1, metrics=names, keep=9)
    assert saved_scores(run) == {1: 35.0, 2: None, 3: 35.0}


def test_where_the_first_metric_cannot_be_computed_the_next_one_chooses_and_goes_on_to_after_a_resume(metrics):
    refused = [True]

    def first(evaluation):
        if refused:
            raise polygan.DataError("no judge is installed")
        return [polygan.Score("points/first", 35.0)]

    names = metrics(first=first, second=lambda _: [polygan.Score("points/second", 0.7, better="higher")])
    run = train(steps=2, evaluate_every=1, save_every=1, metrics=names, keep=9)
    assert saved_scores(run) == {1: -0.7, 2: -0.7}
    assert [r["picking"] for r in records(run) if r["event"] == "evaluated"] == ["points/second"] * 2
    refused.clear()
    run = polygan.resume(run.folder, steps=3, quiet=True)
    assert saved_scores(run)[3] == -0.7
    other = train(steps=1, name="other", evaluate_every=1, metrics=names)
    assert saved_scores(other) == {1: 35.0}
    assert "picking" not in next(r for r in records(other) if r["event"] == "evaluated")


def test_the_checkpoint_whose_score_is_nearest_to_the_floor_is_the_best(metrics):
    values = iter([0.5, 1.1, 3.0])
    names = metrics(sharp=lambda _: [polygan.Score("points/sharp", next(values), 1.0, "near")])
    run = train(steps=3, evaluate_every=1, save_every=1, metrics=names, keep=9)
    assert saved_scores(run) == pytest.approx({1: 0.5, 2: 0.1, 3: 2.0})
    assert best_step(run.folder) == 2


def test_health_compares_as_many_fakes_as_there_are_given_samples(monkeypatch):
    """A critic that sees fakes with their inputs gets pairs, also where a recipe shows more samples than it is given."""
    set_catalogue(load_catalogue(files=[TOY, TOY.with_name("mirror_gan.py")]))
    catalogue = get_catalogue()
    kind = catalogue.resolve(catalogue.recipe("points/mirror"))
    domain = catalogue.resolve(catalogue.domain("points"))
    seen = []

    def critic(self, networks, batch):
        seen.append({name: len(value) for name, value in batch.items()})
        return batch["point"].sum(1)

    def generate(self, networks, request):
        return polygan.Samples(request.given.data.repeat(20, 1))

    collate = domain.collate
    monkeypatch.setattr(kind, "critic", critic)
    monkeypatch.setattr(kind, "generate", generate)
    monkeypatch.setattr(domain, "collate", lambda *a: {**(b := collate(*a)), "given": b["point"]})
    run = polygan.train("points/mirror", {"source": "ring", "held_out": 0.04}, steps=1, batch_size=8, quiet=True)
    held_out = len(run.splits()["held_out"])
    assert seen == [{"point": 256, "given": 256}, *[{"point": held_out, "given": held_out}] * 2]
    assert held_out < 160
    (health,) = [r["values"] for r in records(run) if r["event"] == "health"]
    assert health.keys() >= {"nn_ratio", "duplicates"}


def test_compiling_is_said_before_it_takes_its_minutes(monkeypatch, capsys):
    monkeypatch.setattr(torch, "compile", lambda module: module)
    train(steps=1, compile=True, quiet=False)
    said = [line for line in capsys.readouterr().err.splitlines() if "compiles" in line]
    assert said == ["torch compiles the networks: the first iteration of each turn can take minutes"]
    train(steps=1, quiet=False)
    assert "compiles" not in capsys.readouterr().err


def test_names_of_classes_may_hold_anything(monkeypatch, capsys):
    """Such names come from folders: a line break, an escape sequence, bytes that are not UTF-8."""
    set_catalogue(load_catalogue(files=[TOY, TOY.with_name("sides_gan.py")]))
    catalogue = get_catalogue()
    source = catalogue.resolve(catalogue.dataset("sides")).__globals__["SidesSource"]
    names, make = ["a\nb\x1b[31m", "caf\udce9"], source.__init__

    def odd(self):
        make(self)
        self.info = {**self.info, "classes": names}

    monkeypatch.setattr(source, "__init__", odd)
    monkeypatch.setattr(source, "fingerprint", lambda self: "odd")
    kind = catalogue.resolve(catalogue.recipe("points/sides"))
    monkeypatch.setattr(
        kind, "turns", lambda self: [polygan.Turn("g", ("generator",), self.g, data=f"train/{names[0]}")]
    )
    run = polygan.train("points/sides", "sides", steps=2, batch_size=4, log_every=1)
    assert polygan.load(run.folder).recipe.info["classes"] == names
    assert "a\nb\\x1b[31m, caf\\udce9" in run.report().read_text()
    assert "\x1b" not in capsys.readouterr().err


def test_only_the_newest_view_of_given_and_made_samples_is_kept(monkeypatch):
    set_catalogue(load_catalogue(files=[TOY, TOY.with_name("mirror_gan.py")]))
    domain = get_catalogue().resolve(get_catalogue().domain("points"))
    seen = []

    def beside(self, given, made, truth, info):
        seen.append((given.data, made.data, truth.data, info["size"]))
        return [polygan.Passage("given, made, real")]

    monkeypatch.setattr(domain, "beside", beside)
    run = polygan.train("points/mirror", "ring", steps=4, sample_every=2, quiet=True, hang_timeout=0, precision="fp32")
    assert [path.name for path in run.folder.glob("samples/beside-*")] == ["beside-00000004"]
    assert "Given and generated, step 4" in (run.folder / "report.html").read_text()
    assert not (run.folder / "samples/real").exists()
    monkeypatch.setattr(domain, "paired", lambda self, info: False)
    monkeypatch.setattr(domain, "beside", lambda self, given, made, truth, info: beside(self, given, made, made, info))
    run = polygan.train("points/mirror", "ring", name="sides", steps=2, quiet=True, hang_timeout=0, precision="fp32")
    assert (run.folder / "samples/real").is_dir()  # without truths, real samples stand below
    assert "<h3>Real</h3>" in (run.folder / "report.html").read_text()
    seen.pop()
    given, made, truth, size = seen[-1]
    assert torch.equal(given, truth)
    assert torch.equal(made, -given)
    assert (len(given), size) == (8, 2)
