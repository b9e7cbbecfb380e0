"""Facts of the training split reach networks, are found once, and go with the run wherever it goes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import survey_gan
import torch
from toy_runs import assert_same, state

import polygan
from polygan.plugins import load_catalogue, set_catalogue
from polygan.runs.assembly import make_job, resolve
from polygan.runs.data.receipt import add_survey, agreed, saved_survey
from polygan.training.distributed import World

TESTS = Path(__file__).parents[3]
SHORT = {"quiet": True, "precision": "fp32", "hang_timeout": 0, "steps": 2, "sample_every": 0}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=[TESTS / "toy_gan.py", TESTS / "survey_gan.py"]))
    yield
    set_catalogue(None)


@pytest.fixture
def unsurveyed(monkeypatch):
    """From now on nobody may look at the data."""

    def forbid():
        monkeypatch.setattr(survey_gan.Surveyed, "survey", lambda *_: pytest.fail("the data was surveyed again"))

    return forbid


def train(name, held_out=0.1, **options):
    data = {"source": "ring", "held_out": held_out}
    return polygan.train("points/surveyed", data, name=name, **{**SHORT, **options})


def mean_of(run):
    return run.networks["generator"][1].mean


def test_facts_of_the_training_split_alone_reach_the_networks():
    run = train("a", held_out=0.5)
    split = run.splits()["train"]
    expected = 10 * split.store.gather("point", split.rows).mean(0)
    torch.testing.assert_close(mean_of(run), expected)
    assert run.recipe.info["looked_at"] == len(split) == 256
    saved = json.loads((run.folder / "data.json").read_text())
    assert saved["surveyed"] == ["looked_at", "mean", "size"]
    assert saved["info"]["mean"] == run.recipe.info["mean"]


def test_a_run_and_an_export_are_opened_with_the_saved_facts_and_without_data(unsurveyed, monkeypatch):
    run = train("a")
    exported = run.export("model.safetensors")[0]
    expected = run.generate(5).data
    unsurveyed()
    monkeypatch.setattr("polygan.runs.assembly.build_store", lambda *_, **__: pytest.fail("the data was opened"))
    for path in (run.folder, exported):
        again = polygan.load(path)
        assert torch.equal(mean_of(again), mean_of(run))
        assert torch.equal(again.generate(5).data, expected)


def test_scores_of_a_loaded_run_are_computed_with_the_saved_facts(unsurveyed):
    run = train("a")
    unsurveyed()
    again = polygan.load(run.folder)
    assert [score.value for score in again.evaluate(["points/spread"], quiet=True)]
    assert again.splits()["train"].store.info["mean"] == run.recipe.info["mean"]


def test_a_resumed_run_has_the_saved_facts_to_the_bit(unsurveyed):
    whole = train("whole")
    half = train("half", steps=1)
    unsurveyed()
    resumed = polygan.resume(half.folder, steps=2, quiet=True)
    assert_same(state(whole), state(resumed))
    assert torch.equal(mean_of(whole), mean_of(resumed))
    assert saved_survey(half.folder) == {name: whole.recipe.info[name] for name in ("mean", "size", "looked_at")}


@pytest.mark.parametrize("how", ["run", "export"])
def test_a_run_that_starts_from_another_takes_its_facts(how):
    first = train("first", held_out=0.5)
    start = first.folder if how == "run" else first.export("model.safetensors")[0]
    then = train("then", init_from=str(start))
    assert torch.equal(mean_of(then), mean_of(first))
    assert not torch.equal(mean_of(train("anew")), mean_of(first))


class Facts(survey_gan.Surveyed):
    found: object = None

    @classmethod
    def survey(cls, config, domain, split):
        return cls.found


def test_entries_that_a_start_lacks_are_found_anew(monkeypatch):
    job = make_job(resolve("points/surveyed", [{"data": "ring"}]), progress=False)
    split = job.splits["train"]
    monkeypatch.setattr(Facts, "found", {"voices": {"a": 1, "b": 2}, "list": [1, 2, 3], "pair": [1, 2], "new": 7})
    start = {"voices": {"b": 20, "c": 30}, "list": [4, 5], "pair": [8, 9], "gone": 1}
    add_survey(Facts, None, job.domain, split, start)
    assert split.store.surveyed == {"voices": {"a": 1, "b": 20}, "list": [1, 2, 3], "pair": [8, 9], "new": 7}
    assert split.store.info["voices"] == {"a": 1, "b": 20}


@pytest.mark.parametrize("found", [{"mean": torch.ones(2)}, {"mean": float("nan")}])
def test_facts_that_no_file_can_hold_are_refused(found, monkeypatch):
    job = make_job(resolve("points/surveyed", [{"data": "ring"}]), progress=False)
    monkeypatch.setattr(Facts, "found", found)
    with pytest.raises(polygan.PluginError, match=r"Facts\.survey returns facts that are no JSON data"):
        add_survey(Facts, None, job.domain, job.splits["train"])


def test_surveying_leaves_the_caller_s_random_numbers_alone(monkeypatch):
    job = make_job(resolve("points/surveyed", [{"data": "ring"}]), progress=False)

    def draw(*_):
        return {"drawn": torch.rand(()).item()}

    monkeypatch.setattr(survey_gan.Surveyed, "survey", draw)
    torch.manual_seed(3)
    add_survey(survey_gan.Surveyed, None, job.domain, job.splits["train"])
    after, first = torch.rand(()), job.info["drawn"]
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(()))
    add_survey(survey_gan.Surveyed, None, job.domain, job.splits["train"])
    assert job.info["drawn"] == first


def test_every_process_builds_its_networks_from_the_first_one_s_facts():
    job = make_job(resolve("points/surveyed", [{"data": "ring"}]), progress=False)

    @dataclasses.dataclass(frozen=True)
    class Second(World):
        def share(self, value):
            return {**value, "mean": [3.0, 4.0]}

    assert agreed(job, World()) is job
    theirs = agreed(job, Second())
    assert theirs.recipe.networks()["generator"][1].mean.tolist() == [3.0, 4.0]
    assert theirs.info["mean"] == [3.0, 4.0]
