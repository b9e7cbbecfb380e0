"""A class of a recipe, its domain and data in memory are handed in by a script, and again for a run that goes on."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
import torch
from toy_runs import assert_same, state, train

import polygan
from toy_gan import MLPGAN, ArraySource, Points

QUICK = {"steps": 4, "batch_size": 8, "precision": "fp32", "hang_timeout": 0, "quiet": True}


class Own(MLPGAN):
    """A recipe that no plugin registers."""


class Plane(Points):
    """A domain that no plugin registers, and that takes arrays."""

    id = "plane"

    def source_of(self, arrays, settings):
        return ArraySource(arrays.values, arrays.identity)


class OnPlane(MLPGAN):
    domain = "plane"


def data(seed=0):
    return torch.randn(40, 2, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _toys(toys, monkeypatch, tmp_path):
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


def test_a_class_is_trained_loaded_and_resumed_to_the_bit():
    whole = polygan.train(Own, "ring", **QUICK)
    assert whole.settings.recipe == "points/Own"
    parts = polygan.train(Own, "ring", **{**QUICK, "steps": 2})
    parts = polygan.resume(parts.folder, steps=4, recipe=Own, quiet=True)
    assert_same(state(whole), state(parts))
    assert torch.equal(polygan.load(whole.folder, recipe=Own).generate(3).data, whole.generate(3).data)


def test_a_missing_class_is_named_with_its_file():
    run = polygan.train(Own, "ring", **QUICK)
    with pytest.raises(polygan.ConfigError, match=r"the class Own of .*test_opening\.py.*recipe=Own"):
        polygan.load(run.folder)
    with pytest.raises(polygan.ConfigError, match="trained with points/Own, and plane/OnPlane was handed in"):
        polygan.load(run.folder, recipe=OnPlane)
    with pytest.raises(polygan.ConfigError, match="brings its own networks: leave networks out"):
        polygan.load(run.folder, networks=(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)))


def test_a_registered_class_keeps_its_id():
    run = polygan.train(MLPGAN, "ring", **QUICK)
    assert run.settings.recipe == "points/mlp"
    assert_same(state(run), state(train(steps=4, batch_size=8)))


@pytest.mark.parametrize("domain", [Plane, Plane()])
def test_a_class_with_a_domain_of_its_own_takes_arrays(domain):
    run = polygan.train(OnPlane, data(), domain=domain, **QUICK)
    assert run.settings.recipe == "plane/OnPlane"
    again = polygan.load(run.folder, recipe=OnPlane, domain=domain)
    assert again.splits()["train"].store.fields["point"].shape == (2,)


def test_what_is_handed_in_does_not_stay_in_the_catalogue():
    polygan.train(Own, "ring", **QUICK)
    assert "points/Own" not in polygan.plugins.get_catalogue().recipes
    with pytest.raises(polygan.ConfigError, match="no recipe 'points/Own'"):
        polygan.train("points/Own", "ring", **QUICK)


def test_data_in_memory_is_found_in_the_cache_or_asked_for_again():
    networks = torch.nn.Linear(64, 2), torch.nn.Linear(2, 1)
    run = polygan.train(networks, data(), **QUICK)
    again = polygan.resume(run.folder, steps=6, networks=networks, quiet=True)
    assert again.step == 6
    shutil.rmtree("cache")
    with pytest.raises(polygan.DataError, match=r"the cache no longer has it .* data=samples"):
        polygan.resume(run.folder, steps=8, networks=networks, quiet=True)
    with pytest.raises(polygan.DataError, match=r"the data of run .* has changed"):
        polygan.resume(run.folder, steps=8, networks=networks, data=data(1), quiet=True)
    assert polygan.resume(run.folder, steps=8, networks=networks, data=data(), quiet=True).step == 8


def test_data_of_a_run_is_looked_for_in_the_cache_alone():
    networks = torch.nn.Linear(64, 2), torch.nn.Linear(2, 1)
    run = polygan.train(networks, data(), **QUICK)
    path = run.folder / "data.json"
    facts = json.loads(path.read_text())
    shutil.copytree(f"cache/stores/{facts['key']}", "elsewhere")
    path.write_text(json.dumps({**facts, "key": "../../elsewhere"}))
    with pytest.raises(polygan.DataError, match=r"the cache no longer has it .* data=samples"):
        polygan.load(run.folder, networks=networks).splits()


def test_a_domain_without_arrays_says_so():
    with pytest.raises(polygan.DataError, match="domain 'points' takes no arrays; save them as files"):
        polygan.train("points/mlp", data(), **QUICK)


def test_a_wrong_recipe_is_named():
    with pytest.raises(polygan.ConfigError, match=r"int is no polygan\.Recipe"):
        polygan.train(int, "ring", **QUICK)
