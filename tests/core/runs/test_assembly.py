"""Settings that a data set brings: options, YAML, keywords, config.yaml, and runs from before data sets had their own."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from toy_runs import assert_same, state

import polygan
from polygan.cli import main
from polygan.plugins import get_catalogue, load_catalogue, set_catalogue
from polygan.runs import assembly
from polygan.runs.assembly import kinds, open_source, prepared, resolve, saved_settings

TOY = Path(__file__).parents[2] / "toy_gan.py"
SETS = """
from dataclasses import dataclass

import numpy as np
import polygan
import toy_gan


@dataclass(frozen=True, kw_only=True)
class DiscSettings(polygan.DataSettings):
    size: int = polygan.ranged(64, "[8, inf)", usual=64)
    \"\"\"Number of points.\"\"\"
    hollow: bool = False


@polygan.hookimpl
def polygan_datasets():
    return [
        polygan.DatasetSpec("disc", "points", "my_sets:disc", "points in a disc", settings="my_sets:DiscSettings"),
        polygan.DatasetSpec("lost", "points", "my_sets:disc", "", settings="my_sets:Nothing"),
        polygan.DatasetSpec("wrong", "points", "my_sets:disc", "", settings="my_sets:np.ndarray"),
    ]


def disc(settings):
    assert type(settings) is DiscSettings
    points = np.random.default_rng(0).standard_normal((settings.size, 2)).astype("float32")
    return toy_gan.ArraySource(points, f"disc {settings.size}")
"""


@pytest.fixture(autouse=True)
def sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my_sets.py").write_text(SETS)
    set_catalogue(load_catalogue(files=[TOY, "my_sets.py"]))
    yield tmp_path / "my_sets.py"
    set_catalogue(None)
    __import__("sys").modules.pop("my_sets", None)


SHORT = {"quiet": True, "precision": "fp32", "hang_timeout": 0, "steps": 2, "batch_size": 8}


def test_every_way_in_takes_the_settings_of_the_data_set_that_it_names():
    layer = {"data": {"source": "disc", "size": 9}}
    found = [
        resolve("points/mlp", [layer]),
        resolve("points/mlp", [], ["--data.size", "9", "--data", "disc"]),
        resolve("points/mlp", [{"data": {"size": 9}}], ["--data=disc"]),
        resolve("points/mlp", [{"data": "ring"}, {"data": {"size": 9}}, {"data": Path("disc")}]),
        resolve("points/mlp", [yaml.safe_load(resolve("points/mlp", [layer]).yaml())]),
    ]
    assert [(type(s.data).__name__, s.data.size, s.data.source) for s in found] == [("DiscSettings", 9, "disc")] * 5
    assert found[0].plain()["data"]["size"] == 9


@pytest.mark.parametrize("source", ["ring", "points.npy", ""])
def test_other_sources_do_not_have_them(source):
    with pytest.raises(polygan.ConfigError, match=r"unknown setting data.size of points/mlp"):
        resolve("points/mlp", [{"data": {"source": source, "size": 9}}])
    with pytest.raises(polygan.ConfigError, match=r"unknown option --data.size of polygan train points/mlp"):
        resolve("points/mlp", [{"data": source}], ["--data.size", "9"])
    assert "size" not in resolve("points/mlp", [{"data": source}]).plain()["data"]


def test_the_callable_is_given_an_instance_of_the_class_and_errors_name_the_option():
    settings = resolve("points/mlp", [{"data": {"source": "disc", "size": 20}}])
    catalogue = get_catalogue()
    assert len(open_source(settings.data, kinds("points/mlp", catalogue)[1], catalogue)) == 20
    with pytest.raises(polygan.ConfigError, match=r"^data.size = 3 is too small; the least is 8; 64 is usual$"):
        resolve("points/mlp", [], ["--data", "disc", "--data.size", "3"])


def test_a_run_keeps_them_and_resumes_and_loads_with_them(sets):
    run = polygan.train("points/mlp", {"source": "disc", "size": 40}, name="kept", **SHORT)
    saved = yaml.safe_load((run.folder / "config.yaml").read_text())
    assert list(saved)[:2] == ["format", "recipe"]
    assert saved["data"]["size"] == 40
    assert polygan.resume(run.folder, steps=4, quiet=True).settings.data.size == 40
    assert polygan.load(run.folder).evaluate(samples=16, quiet=True)
    set_catalogue(load_catalogue(files=[TOY]))  # generating needs no data, and so not the plugin of the data set
    assert len(polygan.load(run.folder).generate(3)) == 3
    with pytest.raises(polygan.DataError, match=r"data 'disc' is neither a path that exists nor a data set"):
        polygan.load(run.folder).evaluate(quiet=True)


def test_help_shows_them_where_the_data_set_is_named():
    parser, _, words = prepared("points/mlp", [], ["--data", "disc", "--steps", "3"])
    assert "--data.size INT" in parser.help(everything=True)
    assert words == ["--steps", "3"]
    assert "--data.size" not in prepared("points/mlp")[0].help(everything=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("lost", "dataset 'lost' of plugin 'my_sets' .*: cannot import 'my_sets:Nothing': AttributeError"),
        ("wrong", "dataset 'wrong' of .*'my_sets:np.ndarray' is not a subclass of DataSettings, .* of domain 'points'"),
    ],
)
def test_a_class_that_is_not_there_or_no_subclass_is_named_with_its_plugin(source, message):
    with pytest.raises(polygan.PluginError, match=message):
        resolve("points/mlp", [{"data": source}])


def old_run(**data):
    run = polygan.train("points/mlp", "ring", name="old", **SHORT)
    config = yaml.safe_load((run.folder / "config.yaml").read_text())
    del config["format"]
    config["data"].update(data)
    (run.folder / "config.yaml").write_text(yaml.safe_dump(config))
    return run


def test_a_run_from_before_loses_the_settings_of_other_data_sets_when_it_is_read():
    run = old_run(size=512, hollow=True)
    settings = saved_settings(run.folder, {})
    assert type(settings.data) is polygan.DataSettings
    more = polygan.resume(run.folder, steps=4, quiet=True)
    again = yaml.safe_load((more.folder / "config.yaml").read_text())
    assert again["format"] == 2
    assert "size" not in again["data"]


def test_a_run_from_before_keeps_those_of_its_own_data_set():
    assert saved_settings(old_run(size=99, source="disc").folder, {}).data.size == 99


@pytest.mark.parametrize(("number", "names"), [(None, {"sise": 5}), (2, {"size": 5})])
def test_other_unknown_settings_of_a_saved_run_are_refused(number, names):
    run = old_run(**names)
    config = run.folder / "config.yaml"
    config.write_text((f"format: {number}\n" if number else "") + config.read_text())
    with pytest.raises(polygan.ConfigError, match=f"unknown setting data.{next(iter(names))}"):
        saved_settings(run.folder, {})


def test_a_later_format_of_a_run_is_refused_with_the_remedy():
    run = old_run(format=1)
    config = run.folder / "config.yaml"
    config.write_text("format: 99\n" + config.read_text())
    with pytest.raises(polygan.ConfigError, match=r"has format 99, .* pip install --upgrade polygan"):
        polygan.load(run.folder)


def test_a_users_file_follows_the_same_rule(capsys, sets):
    Path("s.yaml").write_text("recipe: points/mlp\ndata: {source: ring, size: 512}\n")
    for words, size in (([], None), (["--data", "disc"], 512)):
        with pytest.raises(SystemExit) as end:
            main(["--plugin", str(TOY), "--plugin", str(sets), "train", "--config", "s.yaml", "--dry-run", *words])
        assert not end.value.code
        assert yaml.safe_load(capsys.readouterr().out)["data"].get("size") == size


def test_settings_that_are_resolved_pass():
    settings = resolve("points/mlp", [{"data": "ring"}])
    assert resolve(settings, [{}]) is settings
    for more in (([{"steps": 3}],), ([], ["--steps", "3"])):
        with pytest.raises(polygan.ConfigError, match="resolved Settings take no further settings"):
            resolve(settings, *more)


def test_a_data_set_with_settings_of_its_own_passes_the_conformance_suite(sets):
    polygan.testing.check_dataset("disc", {"size": 30}, plugins=[TOY, sets])


def test_a_metric_of_another_domain_is_refused_before_training_and_before_evaluating():
    catalogue = get_catalogue()
    catalogue.domains["text"] = catalogue.domains["points"]
    for name in ("text/bleu", "third/party"):
        catalogue.metrics[name] = polygan.MetricSpec(name, "toy_gan:spread", "")
    message = (
        r"metric 'text/bleu' is for the domain 'text', and this run is of 'points'; the metrics .* are points/spread"
    )
    with pytest.raises(polygan.ConfigError, match=message):
        polygan.train("points/mlp", "ring", metrics=("text/bleu",), **SHORT)
    assert not Path("runs").exists()
    run = polygan.train("points/mlp", "ring", metrics=("third/party",), **SHORT)  # no domain has this name
    with pytest.raises(polygan.ConfigError, match=message):
        run.evaluate(["text/bleu"])
    assert run.evaluate(quiet=True)
    del catalogue.metrics["third/party"]
    assert len(polygan.load(run.folder).generate(2)) == 2  # a metric that is no longer installed hides no samples


# Before decoding


@pytest.fixture
def never_decoded(monkeypatch):
    import toy_gan

    def decode(self, index):
        raise MemoryError

    monkeypatch.setattr(toy_gan.ArraySource, "decode", decode)


@pytest.mark.usefixtures("never_decoded")
@pytest.mark.parametrize("method", ["__init__", "networks", "players", "turns"])
def test_what_a_recipe_cannot_make_is_refused_before_decoding(monkeypatch, method):
    kind = kinds("points/mlp", get_catalogue())[0]
    before = getattr(kind, method)

    def refuse(self, *args):
        before(self, *args)
        assert self.info == {"size": 2, "count": 64}
        raise polygan.ConfigError("points of 2 numbers cannot be made")

    monkeypatch.setattr(kind, method, refuse)
    with pytest.raises(polygan.ConfigError, match="points of 2 numbers cannot be made"):
        polygan.train("points/mlp", "disc", name="refused", **SHORT)
    assert not Path("runs").exists()


@pytest.mark.usefixtures("never_decoded")
def test_a_batch_larger_than_the_data_is_refused_before_decoding():
    with pytest.raises(polygan.DataError, match=r"batch_size = 65 is larger than the data: 64 samples; use a smaller"):
        polygan.train("points/mlp", "disc", **{**SHORT, "batch_size": 65})


def test_refusing_early_changes_no_bit(monkeypatch, tmp_path):
    def seeds():
        return random.random(), np.random.random(), torch.rand(1).item()

    states = []
    for number, early in enumerate((True, False)):
        if not early:
            monkeypatch.setattr(assembly, "refuse_early", lambda *_: None)
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        cache = {"source": "disc", "cache": str(tmp_path / f"cache{number}")}
        run = polygan.train("points/mlp", cache, name=f"r{number}", **SHORT)
        states.append((state(run), seeds()))
    assert_same(states[0][0], states[1][0])
    assert states[0][1] == states[1][1]


def test_a_name_with_two_meanings_is_refused_for_a_new_run_and_not_for_an_old_one():
    run = polygan.train("points/mlp", "disc", name="old", **SHORT)
    np.save("disc.npy", np.zeros((64, 2), "float32"))
    Path("disc.npy").rename("disc")
    with pytest.raises(
        polygan.DataError, match=r"'disc' is a data set of domain 'points' and also a file here: --data ./disc"
    ):
        polygan.train("points/mlp", "disc", **SHORT)
    assert polygan.train("points/mlp", "./disc", **SHORT).step == 2
    assert polygan.resume(run.folder, steps=4, quiet=True).step == 4
    Path("disc").unlink()
    Path("disc").mkdir()
    with pytest.raises(polygan.DataError, match=r"also a folder here"):
        polygan.train("points/mlp", "disc", **SHORT)


def test_the_first_lines_of_a_run_say_what_the_data_holds_unless_quiet(monkeypatch, capsys):
    import toy_gan

    monkeypatch.setattr(toy_gan.ArraySource, "describe", lambda self: [polygan.Fact("reach", "from -3 to 3")])
    monkeypatch.setattr(toy_gan.ArraySource, "left_out", [polygan.LeftOut(2, ".txt files", "not points", "a.txt")])
    said = [
        "polygan: data 'disc': samples 64 (58 for training, 6 held out)",
        "polygan: reach from -3 to 3",
        "polygan: left out: 2 .txt files (not points, e.g. a.txt)",
    ]
    run = polygan.train("points/mlp", "disc", name="told", **{**SHORT, "quiet": False})
    assert capsys.readouterr().err.splitlines()[:3] == said
    polygan.resume(run.folder, steps=3)
    assert capsys.readouterr().err.splitlines()[:3] == said
    polygan.resume(run.folder, steps=4, quiet=True)
    assert capsys.readouterr().err == ""
    facts = yaml.safe_load((run.folder / "data.json").read_text())
    assert facts["read"]["facts"] == [{"name": "reach", "text": "from -3 to 3"}]
    assert facts["read"]["left_out"][0]["what"] == ".txt files"
