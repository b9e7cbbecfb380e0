"""A run's folder from somebody else: no link in it makes polygan write, empty, move or delete what lies outside."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import polygan
from polygan.cli import command_line as cli
from polygan.errors import DataError
from polygan.plugins import load_catalogue, set_catalogue
from polygan.runs.folder import check_data, check_links, locked

TOY = Path(__file__).parents[2] / "toy_gan.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run of two steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOY.parent))
        patch.setenv("POLYGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        set_catalogue(load_catalogue(files=[TOY]))
        settings = {"steps": 2, "precision": "fp32", "hang_timeout": 0, "sample_every": 1, "save_every": 1}
        runs = tmp_path_factory.mktemp("runs")
        yield polygan.train("points/mlp", "ring", quiet=True, runs=str(runs), name="made", **settings).folder
        set_catalogue(None)


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """A copy of the run, and ``mine`` beside it with a file that nobody may touch."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, "run")
    Path("mine").mkdir()
    Path("mine/diary").write_text("dear diary\n")
    return Path("run")


def replace(path, target):
    """Put a link in the place of a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(Path(target).absolute())


def untouched():
    assert [p.name for p in Path("mine").iterdir()] == ["diary"]
    assert Path("mine/diary").read_text() == "dear diary\n"


FILES = (".lock", ".launch", "config.yaml", "data.json", "environment.json", "log.jsonl", "report.html")
INSIDE = ("samples/step-00000001", "samples/real", "samples/.x.1.tmp", "checkpoints/step-00000001")


@pytest.mark.parametrize("name", FILES)
def test_resume_does_not_follow_the_link_of_a_file(run, name):
    content = (run / name).read_bytes() if (run / name).exists() else b"dear diary\n"
    Path("mine/diary").write_bytes(content)
    replace(run / name, "mine/diary")
    with pytest.raises(polygan.ConfigError, match=rf"run/{name} is a symbolic link, .*remove it"):
        polygan.resume(run, steps=4, quiet=True)
    assert Path("mine/diary").read_bytes() == content


@pytest.mark.parametrize(
    "name", ["samples", "checkpoints", "tensorboard", *INSIDE, "checkpoints/.writing-step-00000004"]
)
def test_resume_does_not_follow_the_link_of_a_folder(run, name):
    if (run / name).is_dir():
        shutil.copytree(run / name, "mine/copy")
    replace(run / name, "mine/copy" if Path("mine/copy").exists() else "mine")
    before = sorted(p.as_posix() for p in Path("mine").rglob("*"))
    with pytest.raises(
        polygan.ConfigError, match=rf"run/{name} is a symbolic link that leads out of run, .*remove the link"
    ):
        polygan.resume(run, steps=4, quiet=True)
    assert sorted(p.as_posix() for p in Path("mine").rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("evaluate", "run"), "log.jsonl"),
        (("evaluate", "run"), "report.html"),
        (("report", "run"), "report.html"),
        (("generate", "run", "-n", "2"), "generated"),
        (("generate", "run", "-n", "2"), "generated/points.npy"),
    ],
)
def test_no_command_writes_through_a_link(run, words, name, capsys):
    (run / name).parent.mkdir(exist_ok=True)
    replace(run / name, "mine" if name == "generated" else "mine/diary")
    with pytest.raises(SystemExit) as end:
        cli.main(["--plugin", str(TOY), *words])
    assert end.value.code == 2
    assert f"ConfigError: run/{name} is a symbolic link" in capsys.readouterr().err
    untouched()


def test_a_user_may_lead_where_he_likes(run, capsys):
    """The folder of the run, the one of runs, and what --out names may be links."""
    Path("elsewhere").mkdir()
    Path("link").symlink_to("run")
    Path("out").symlink_to("elsewhere")
    assert polygan.resume("link", steps=3, quiet=True).step == 3
    with pytest.raises(SystemExit) as end:
        cli.main(["--plugin", str(TOY), "generate", "link", "-n", "2", "--out", "out"])
    assert not end.value.code, capsys.readouterr().err
    assert list(Path("elsewhere").iterdir())
    with pytest.raises(SystemExit) as end:
        cli.main(["--plugin", str(TOY), "export", "link", "--out", "out/model"])
    assert not end.value.code
    assert {"model.json", "model.safetensors"} <= {p.name for p in Path("elsewhere").iterdir()}


def test_links_that_stay_in_the_run_are_kept(run):
    (run / "samples/newest").symlink_to("step-00000002")
    check_links(run)
    with locked(run):
        pass


def test_tensorboard_is_not_led_out(run):
    from polygan.hookspecs import RunEvent
    from polygan.record import tensorboard

    pytest.importorskip("tensorboard")
    replace(run / "tensorboard", "mine")
    with pytest.raises(polygan.ConfigError, match="run/tensorboard is a symbolic link"):
        tensorboard.polygan_run_started(RunEvent(run, "points/mlp", {}, 0, 0))
    untouched()


# data.json


def test_the_facts_of_the_data_have_a_numbered_format(run, monkeypatch):
    from polygan.runs import folder

    facts = json.loads((run / "data.json").read_text())
    assert facts["format"] == 1
    del facts["format"]  # as runs of the first polygan have it
    (run / "data.json").write_text(json.dumps(facts))
    assert polygan.load(run).generate(2).data.shape == (2, 2)
    (run / "data.json").write_text(json.dumps({**facts, "format": 2}))
    with pytest.raises(
        polygan.ConfigError, match=r"data\.json has format 2, and this polygan reads 1: upgrade polygan"
    ):
        polygan.load(run)
    made_of = facts.pop("info")
    (run / "data.json").write_text(json.dumps({**facts, "format": 0, "facts": made_of}))
    monkeypatch.setitem(folder.DATA.migrations, 0, lambda found: {**found, "info": found["facts"]})
    assert polygan.resume(run, steps=3, quiet=True).step == 3


# Data that changed


def kept(folder, **facts):
    (folder / "data.json").write_text(json.dumps({"count": 5, "info": {}, "key": "a", "content": "1", **facts}))


def stored(key, content):
    """What `check_data` reads of a store."""
    return type("Store", (), {"info": {}, "key": key, "content": content, "__len__": lambda self: 5})()


def test_files_with_other_times_are_the_same_data_as_long_as_the_samples_are(tmp_path, capsys):
    kept(tmp_path)
    check_data(tmp_path, stored("b", "1"))
    assert capsys.readouterr().err == ""


def test_other_samples_are_refused_though_their_number_is_the_same(tmp_path):
    kept(tmp_path)
    with pytest.raises(
        DataError, match=r"has as many samples as before, and some of them differ; restore it, or start"
    ):
        check_data(tmp_path, stored("b", "2"))


def test_the_same_files_that_are_decoded_otherwise_are_said(tmp_path, capsys):
    kept(tmp_path)
    check_data(tmp_path, stored("a", "2"))
    assert "are decoded to other samples than before" in capsys.readouterr().err


@pytest.mark.parametrize(("key", "said"), [("a", False), ("b", True)])
def test_a_run_without_a_checksum_compares_the_key_and_refuses_nothing(tmp_path, capsys, key, said):
    kept(tmp_path, content="")
    check_data(tmp_path, stored(key, "1"))
    assert ("have other names, sizes or times than before" in capsys.readouterr().err) == said


def test_data_that_changes_between_train_and_resume_is_noticed(toys):
    def points(factor):
        np.save("points.npy", (factor * np.random.default_rng(0).standard_normal((64, 2))).astype("float32"))

    points(1)
    short = {"quiet": True, "precision": "fp32", "hang_timeout": 0, "batch_size": 8}
    run = polygan.train("points/mlp", "points.npy", steps=2, **short)
    points(2)
    with pytest.raises(DataError, match="some of them differ"):
        polygan.resume(run.folder, steps=4, quiet=True)
    with pytest.raises(DataError, match="some of them differ"):
        polygan.load(run.folder).evaluate(quiet=True)
    points(1)
    assert polygan.resume(run.folder, steps=4, quiet=True).step == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "holds a list, not names with values"),
        ("[" * 100_000, "levels of nesting"),
        ('{"format": 1, "info": {}, "count": ' + "9" * 400 + "}", "an integer of 400 digits"),
        ('{"format": 1, "info": {}, "count": "many"}', "count = 'many', which is no int"),
        ('{"format": 1, "info": {}, "bad": {}}', r"bad = \{\}, which is no list"),
        ('{"format": [], "info": {}}', r"has format \[\], .*restore it"),
        ('{"format": 1, "info": 3}', "does not say what the data was"),
        ('{"format": 1, "info": {}}\xff', "Extra data"),
    ],
)
def test_facts_of_other_types_are_one_line(run, text, words):
    (run / "data.json").write_text(text)
    for command in (polygan.load, lambda path: polygan.resume(path, steps=4, quiet=True)):
        with pytest.raises(polygan.ConfigError, match=words) as error:
            command(run)
        assert "\n" not in str(error.value)
        assert "data.json" in str(error.value)


def test_a_run_that_cannot_be_written_prints_its_scores(run, capsys, monkeypatch):
    """As on a disk that is mounted read-only."""
    plain = os.open

    def read_only(path, flags, *rest, **more):
        if flags & (os.O_WRONLY | os.O_RDWR) and Path(path).absolute().is_relative_to(run.absolute()):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        return plain(path, flags, *rest, **more)

    before = (run / "log.jsonl").read_bytes()
    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(SystemExit) as end:
        cli.main(["--plugin", str(TOY), "evaluate", "run"])
    out, err = capsys.readouterr()
    assert not end.value.code
    assert "points/spread" in out
    assert "the scores are not in the log of run (Read-only file system)" in err
    assert "the report of run cannot be written (Read-only file system)" in err
    assert (run / "log.jsonl").read_bytes() == before
