"""`polygan data` and `polygan cache`, run in this process, and the receipt of a dry run."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from toy_runs import command, train

import polygan
from polygan.cli.data_commands import _domain

pytestmark = pytest.mark.usefixtures("toys")
POINTS = ("--domain", "points")  # an installed domain reads files of this suffix too


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def points(toys):
    """A file of 100 points, whose source tells of itself."""
    import toy_gan

    np.save("points.npy", np.arange(200, dtype="float32").reshape(100, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_gan.ArraySource, "describe", lambda self: [polygan.Fact("reach", "0 to 199")])
        patch.setattr(toy_gan.ArraySource, "left_out", [polygan.LeftOut(3, ".txt files", "not points", "a.txt")])
        yield Path("points.npy")


# polygan data


def test_a_path_is_described_by_the_domain_that_reads_it(points, capsys):
    out = command("data", points, *POINTS, "--data.held_out", "0.5", capsys=capsys).out
    assert out.splitlines() == [
        "data: points.npy",
        "domain: points",
        "samples: 100 (50 for training, 50 held out)",
        "reach: 0 to 199",
        "left out: 3 .txt files (not points, e.g. a.txt)",
    ]
    assert not Path("cache/stores").exists()  # nothing was decoded
    found = json.loads(command("data", points, *POINTS, "--json", capsys=capsys).out)
    assert (found["domain"], found["samples"], found["sheet"]) == ("points", 100, [])


def test_a_data_set_is_described_by_its_name(capsys):
    assert "samples: 512 (461 for training, 51 held out)" in command("data", "ring", capsys=capsys).out
    assert "domain: points\n" in command("data", "ring", "--domain", "points", capsys=capsys).out


def test_a_sheet_shows_some_samples_and_keeps_no_store(points, capsys):
    out = command("data", points, *POINTS, "--out", "sheet.csv", "--samples", "3", capsys=capsys).out
    assert out.endswith("sheet: sheet.csv\n")
    assert np.loadtxt("sheet.csv", delimiter=",").tolist() == [[0, 1], [100, 101], [198, 199]]
    command("data", points, *POINTS, "--out", "folder", capsys=capsys)
    assert len(np.loadtxt("folder/points.csv", delimiter=",")) == 64
    assert not Path("cache/stores").exists()


class Installed:
    """A catalogue of two domains that read some files alike."""

    domains = {"points": ("points", (".npy", ".both")), "numbers": ("numbers", (".num", ".both"))}
    datasets = {}

    def domain(self, name):
        return self.domains[name]

    def resolve(self, spec):
        return lambda: SimpleNamespace(id=spec[0], reads=spec[1][:1], opens=spec[1][1:], writes=())


def test_a_sheet_replaces_no_file_of_the_user(points, capsys):
    Path("mine").mkdir()
    np.save("mine/x.npy", np.zeros((2, 2)))
    err = command("data", points, *POINTS, "--out", "mine", code=2, capsys=capsys).err
    assert "mine holds a file that polygan did not write there (e.g. x.npy)" in err
    assert [p.name for p in Path("mine").iterdir()] == ["x.npy"]


def test_a_domain_is_inferred_from_most_files_or_asked_for():
    Path("mixed/below").mkdir(parents=True)
    for name in ("a.npy", "below/b.NPY", "c.num", ".hidden.num", "d.txt", "e.both"):
        (Path("mixed") / name).touch()
    assert _domain(Installed(), "mixed", None).id == "points"
    assert _domain(Installed(), "mixed/c.num", None).id == "numbers"
    assert _domain(Installed(), "mixed", "numbers").id == "numbers"
    Path("mixed/f.num").touch()
    with pytest.raises(polygan.ConfigError, match=r"files of domains numbers and points alike; .*--domain"):
        _domain(Installed(), "mixed", None)
    Path("empty").mkdir()
    with pytest.raises(
        polygan.ConfigError,
        match=r"files of no domain; .*--domain \(installed: numbers, points\); .*numbers reads \.num",
    ):
        _domain(Installed(), "empty", None)


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        ([], "which path? `polygan data PATH", 2),
        (["nowhere"], "neither a path that exists nor a data set", 1),
        (["points.npy", "--domain", "pionts"], "did you mean 'points'", 2),
        (["points.npy", *POINTS, "--data.held_uot", "0"], "did you mean --data.held_out", 2),
        (["points.npy", *POINTS, "--steps", "3"], "unknown option --steps of polygan data", 2),
        (["points.npy", *POINTS, "--data.held_out", "7"], "held_out = 7", 2),
        (
            ["points.npy", *POINTS, "--out", "sheet.gif"],
            "domain 'points' writes .csv, .npy; use one of these suffixes",
            2,
        ),
        (["points.npy", *POINTS, "--out", "sheet.csv", "--samples", "0"], "--samples = 0 is too small", 2),
    ],
)
@pytest.mark.usefixtures("points")
def test_mistakes_are_one_clear_line(words, message, code, capsys):
    err = command("data", *words, code=code, capsys=capsys).err
    assert message in err
    assert "Traceback" not in err


def test_help_shows_the_options_of_the_data_where_a_path_is_named(capsys):
    assert "--domain ID" in command("data", "--help", capsys=capsys).out
    assert "--data.held_out" in command("data", "ring", "--help", capsys=capsys).out


# A dry run


def test_a_dry_run_reads_the_data_and_its_yaml_reproduces_the_run(points, capsys):
    out = command("train", "points/mlp", "--data", points, "--dry-run", capsys=capsys)
    assert "polygan: samples: 100 (90 for training, 10 held out)" in out.err
    assert "polygan: left out: 3 .txt files (not points, e.g. a.txt)" in out.err
    assert yaml.safe_load(out.out)["data"]["source"] == "points.npy"
    Path("s.yaml").write_text(out.out)
    assert command("train", "--config", "s.yaml", "--dry-run", capsys=capsys) == out


@pytest.mark.parametrize(
    ("words", "said"), [(["--data", "nowhere/x"], "data cannot be read: data 'nowhere/x' is neither"), ([], "")]
)
def test_a_dry_run_without_its_data_still_prints_the_settings(words, said, capsys):
    out = command("train", "points/mlp", *words, "--dry-run", capsys=capsys)
    assert yaml.safe_load(out.out)["recipe"] == "points/mlp"
    assert said in out.err


# polygan cache


def test_the_cache_is_listed_and_emptied(capsys):
    assert "0 things, 0 bytes in" in command("cache", capsys=capsys).out
    run = train(name="a", steps=1)
    listed = command("cache", capsys=capsys).out
    assert "decoded data" in listed
    assert "512 samples of ring" in listed
    (entry,) = json.loads(command("cache", "--json", capsys=capsys).out)["kept"]
    assert entry["in_use"]
    out = command("cache", "--clear", capsys=capsys)
    assert out.out.startswith("removed: 0 things")
    assert "left: 1 in use by another process" in out.err
    del run
    __import__("gc").collect()
    assert command("cache", "--clear", capsys=capsys).out.startswith("removed: 1 thing, ")
    assert list(Path("cache/stores").iterdir()) == []


def test_only_what_is_old_is_removed(capsys):
    old, new = Path("cache/learned"), Path(f"cache/image-features-{'0' * 64}.safetensors")
    old.mkdir(parents=True)
    (old / "x.json").write_text("{}")
    new.write_text("x")
    os.utime(old / "x.json", (time.time() - 40 * 24 * 3600,) * 2)
    assert "40 days ago" in command("cache", capsys=capsys).out
    assert command("cache", "--older-than", "30", capsys=capsys).out.startswith("removed: 1 thing, 2 bytes")
    assert (new.exists(), (old / "x.json").exists()) == (True, False)
    assert "--older-than = -1 is too small" in command("cache", "--older-than", "-1", code=2, capsys=capsys).err


def test_another_folder_of_the_cache_can_be_named(tmp_path, capsys):
    assert str(tmp_path / "other") in command("cache", "--cache", tmp_path / "other", capsys=capsys).out


# Ctrl-C


def test_ctrl_c_while_decoding_says_what_happened(monkeypatch, capsys):
    import toy_gan

    def interrupt(self, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(toy_gan.ArraySource, "decode", interrupt)
    words = ("train", "points/mlp", "--data", "ring", "--steps", "1")
    err = command(*words, code=130, capsys=capsys).err
    assert err.splitlines()[-1] == "polygan: interrupted while decoding; the same command starts again"
    monkeypatch.setattr("polygan.runs.train.make_job", lambda *_: interrupt(None, 0))
    assert command(*words, code=130, capsys=capsys).err == "polygan: interrupted\n"
