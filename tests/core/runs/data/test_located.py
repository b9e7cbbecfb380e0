"""The data of a run is found from any folder, also when both were moved; what is not found is said with every place."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from toy_runs import assert_same, state

import polygan
from polygan.runs.data.located import located, where

pytestmark = pytest.mark.usefixtures("toys")
SHORT = {"quiet": True, "precision": "fp32", "hang_timeout": 0, "steps": 2, "batch_size": 8}


def points(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.random.default_rng(seed).standard_normal((64, 2)).astype("float32"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A run on a relative path, in a project folder; the working folder is another one."""
    home = tmp_path / "project"
    points(home / "data/points.npy")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(home)
    polygan.train("points/mlp", "data/points.npy", name="a", **SHORT)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return home


def test_a_run_goes_on_from_another_folder_to_the_bit(project, monkeypatch, tmp_path):
    far = polygan.resume(project / "runs/a", steps=4, quiet=True)
    assert polygan.load(project / "runs/a").evaluate(samples=16, quiet=True)
    assert "source: data/points.npy\n" in (project / "runs/a/config.yaml").read_text()
    again = polygan.resume(project / "runs/a", steps=5, quiet=True)  # the place is still known
    monkeypatch.chdir(project)
    near = polygan.train("points/mlp", "data/points.npy", name="b", **{**SHORT, "steps": 4})
    assert_same(state(far), state(near))
    assert again.step == 5


def test_another_folder_s_data_of_the_same_name_is_not_taken(project):
    points(Path("data/points.npy"), seed=1)
    assert polygan.resume(project / "runs/a", steps=4, quiet=True).step == 4


def test_run_and_data_that_were_moved_together_are_found(project, tmp_path):
    shutil.move(project, tmp_path / "moved")
    assert polygan.resume(tmp_path / "moved/runs/a", steps=4, quiet=True).step == 4
    assert polygan.load(tmp_path / "moved/runs/a").evaluate(samples=16, quiet=True)


def test_an_absolute_path_is_found_beside_a_run_that_was_moved(tmp_path, monkeypatch):
    home = tmp_path / "project"
    points(home / "data/points.npy")
    polygan.train("points/mlp", str(home / "data/points.npy"), runs=str(home / "runs"), name="a", **SHORT)
    for number in (1, 2):
        shutil.move(home, home := tmp_path / f"moved{number}")
        assert polygan.resume(home / "runs/a", steps=2 + number, quiet=True).step == 2 + number


def test_data_that_is_nowhere_is_said_with_every_place_and_the_remedy(project, tmp_path):
    shutil.rmtree(project / "data")
    shutil.copytree(project / "runs", tmp_path / "copied/runs")
    for use in (
        lambda run: polygan.resume(run, steps=4, quiet=True),
        lambda run: polygan.load(run).evaluate(quiet=True),
    ):
        with pytest.raises(polygan.DataError) as error:
            use(tmp_path / "copied/runs/a")
        for place in (project, tmp_path / "copied", Path.cwd()):
            assert str(place / "data/points.npy") in str(error.value)
        assert "data.source = 'data/points.npy'" in str(error.value)
        assert "--set data.source=PATH" in str(error.value)


def older(folder):
    facts = json.loads((folder / "data.json").read_text())
    for name in ("where", "content", "read"):
        facts.pop(name, None)
    (folder / "data.json").write_text(json.dumps(facts))


def test_an_older_run_is_looked_for_above_its_folder_of_runs(project):
    older(project / "runs/a")
    assert polygan.resume(project / "runs/a", steps=4, quiet=True).step == 4


@dataclass(frozen=True, kw_only=True)
class Settings(polygan.DataSettings):
    paths = ("kits", *polygan.DataSettings.paths)
    kits: str = ""
    test: str = ""
    labels: str = ""
    mels: str = ""


@pytest.mark.parametrize("record", [None, 5, {"typed": 3}, {"typed": "data", "base": None, "from_run": ""}])
def test_a_damaged_record_of_the_place_is_no_error_of_its_own(tmp_path, record):
    (tmp_path / "data.json").write_text(json.dumps({"where": record}))
    assert located(Settings(source="data"), tmp_path) == (Settings(source="data"), "")


def test_further_paths_move_with_the_source_and_other_texts_stay(tmp_path, monkeypatch):
    for name in ("old/data", "old/labels", "old/test.txt", "old/sub/mels", "old/cache"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "old")
    folder = tmp_path / "old/runs/a"
    folder.mkdir(parents=True)
    (folder / "data.json").write_text(json.dumps({"where": where("data", "", folder)}))
    monkeypatch.chdir(tmp_path)
    asked = Settings(source="data", test="test.txt", labels="labels", mels="sub/mels", cache="cache")
    found, base = located(asked, folder)
    assert base == str(tmp_path / "old")
    assert found == Settings(
        source=f"{base}/data", test=f"{base}/test.txt", labels="labels", mels=f"{base}/sub/mels", cache=f"{base}/cache"
    )
    monkeypatch.chdir(tmp_path / "old")
    assert located(asked, folder) == (asked, "")
    other = Settings(source="named anew")
    assert located(other, folder) == (other, "")


def test_the_path_in_the_settings_of_a_data_set_is_found_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "old/kits").mkdir(parents=True)
    (tmp_path / "old/shots").mkdir()  # no path: the name of the data set
    (folder := tmp_path / "old/runs/a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "old")
    (folder / "data.json").write_text(json.dumps({"where": where("kits", "", folder)}))
    asked = Settings(source="shots", kits="kits")
    assert located(asked, folder, "kits") == (asked, "")
    monkeypatch.chdir(tmp_path)
    base = str(tmp_path / "old")
    assert located(asked, folder, "kits") == (Settings(source="shots", kits=f"{base}/kits"), base)
    (tmp_path / "old/kits").rmdir()
    with pytest.raises(
        polygan.DataError, match=r"data.kits = 'kits' is in none of .*/old/kits, .*--set data.kits=PATH"
    ):
        located(asked, folder, "kits")
