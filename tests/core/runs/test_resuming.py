"""What `resume` says and does where something changed: settings, the machine, or a run that never saved."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from toy_runs import assert_same, command, records, state, train

import polygan
from polygan.plugins import get_catalogue
from polygan.runs import resuming
from polygan.runs.resuming import as_layer, machine_change, option_words
from polygan.training.checkpoint import Checkpoints

pytestmark = pytest.mark.usefixtures("toys")


def rates(folder):
    """The learning rate of each player in the newest checkpoint."""
    saved = json.loads((sorted(Path(folder, "checkpoints").glob("step-*"))[-1] / "training.json").read_text())
    return {name: actor["optimizer"]["param_groups"][0]["lr"] for name, actor in saved["actors"].items()}


def edit(folder, **changes):
    """Change config.yaml by hand."""
    path = Path(folder, "config.yaml")
    settings = yaml.safe_load(path.read_text())
    settings["model"] |= changes.pop("model", {})
    path.write_text(yaml.safe_dump(settings | changes))


def resumed(run):
    return next(r for r in records(run) if r["event"] == "resumed")


# Changed settings


def test_a_learning_rate_that_is_set_is_applied_said_and_recorded(capsys):
    before = train(name="a", steps=10)
    command(
        "resume", "runs/a", "--steps", "20", "--set", "model.learning_rate=1e-4", "--set", "log_every=10", capsys=capsys
    )
    run = polygan.load("runs/a")
    assert rates("runs/a") == pytest.approx(dict.fromkeys(rates("runs/a"), 1e-4 * 0.99**20))
    assert resumed(run)["changed"] == {"steps": [10, 20], "log_every": [5, 10], "model.learning_rate": [0.002, 0.0001]}
    assert "model.learning_rate 0.002 -&gt; 0.0001 (holds from now on" in (run.folder / "report.html").read_text()
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["model"]["learning_rate"] == 1e-4
    assert before.settings.model.learning_rate == 2e-3
    edited = train(name="edited", steps=10)
    edit(edited.folder, steps=20, log_every=10, model={"learning_rate": 1e-4})
    assert_same(state(run), state(polygan.resume(edited.folder, quiet=True)))
    given = train(name="given", steps=10)
    assert_same(
        state(run), state(polygan.resume(given.folder, steps=20, settings={"model.learning_rate": 1e-4}, quiet=True))
    )


def test_each_change_is_said_with_its_effect(capsys):
    train(name="a", steps=10)
    edit("runs/a", steps=12, batch_size=16, save_every=3, model={"learning_rate": 1e-3})
    capsys.readouterr()
    polygan.resume("runs/a")
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("changed: ")]
    assert said == [
        "changed: steps 10 -> 12 (training ends there, and schedules follow)",
        "changed: batch_size 32 -> 16 (holds from now on, and so does another order of the data)",
        "changed: save_every 5 -> 3 (does not change the networks)",
        "changed: model.learning_rate 0.002 -> 0.001 (holds from now on; optimizers and schedules take it over)",
    ]
    polygan.resume("runs/a", steps=14)
    assert [line for line in capsys.readouterr().err.splitlines() if "changed" in line] == [
        "changed: steps 12 -> 14 (training ends there, and schedules follow)"
    ]


def test_a_rate_that_a_schedule_moves_is_said_and_recorded(capsys, monkeypatch):
    """A schedule that ends with the run: more steps lift the rate again."""
    kind = get_catalogue().resolve(get_catalogue().recipes["points/mlp"])  # another test may have loaded the file again
    players = kind.players

    def falling(self, networks, training):
        found = players(self, networks, training)
        for player in found.values():
            player.scheduler = torch.optim.lr_scheduler.LambdaLR(player.optimizer, lambda n: 1 - n / training.steps)
        return found

    monkeypatch.setattr(kind, "players", falling)
    run = train(name="a", steps=10)
    command("resume", run.folder, "--steps", "20", capsys=None)
    err = capsys.readouterr().err
    for name in ("generator", "discriminator"):
        assert f"learning rate of {name} 0 -> 0.001 (at this step; its schedule follows the changed settings)" in err
    assert resumed(run)["changed"]["learning rate of generator"] == [0.0, 0.001]
    command("resume", run.folder, "--steps", "30", "--set", "model.learning_rate=1e-4", capsys=None)
    assert "learning rate of" not in capsys.readouterr().err


def test_a_change_holds_however_often_the_run_is_killed_before_it_saves():
    """The settings are compared with those of the checkpoint, since config.yaml is written before anything is trained."""

    class Killed(polygan.Listener):
        def logged(self, trainer, values):
            raise RuntimeError("killed")

    quick = {"model.learning_rate": 1e-4, "log_every": 1}
    train(name="whole", steps=10)
    whole = polygan.resume("runs/whole", steps=20, settings=quick, quiet=True)
    run = train(name="a", steps=10)
    for settings in (quick, {}):
        with pytest.raises(RuntimeError, match="killed"):
            polygan.resume("runs/a", steps=20, settings=settings, listeners=[Killed()], quiet=True)
    assert_same(state(whole), state(polygan.resume("runs/a", quiet=True)))
    assert rates("runs/a") == rates("runs/whole")
    assert run.settings.model.learning_rate == 2e-3


def test_a_change_that_the_networks_cannot_take_names_the_setting_and_the_way_back(capsys):
    run = train(name="a", steps=10)
    out = command(
        "resume", "runs/a", "--steps", "20", "--set", "model.width=8", "--set", "model.r1=0.5", code=2, capsys=capsys
    )
    (line,) = [x for x in out.err.splitlines() if "ConfigError" in x]
    assert "a trained run cannot take this change: model.width 16 -> 8 (" in line
    assert "`polygan resume runs/a --set model.width=16` takes it back" in line
    assert "--init_from runs/a starts a new run" in line
    assert "model.r1" not in line
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["model"]["width"] == 16
    with pytest.raises(
        polygan.ConfigError, match=r"cannot take this change: model.optimizer adam -> rmsprop \(.*does not fit RMSprop"
    ):
        polygan.resume("runs/a", steps=20, settings={"model": {"optimizer": "rmsprop"}}, quiet=True)
    assert polygan.resume("runs/a", steps=12, quiet=True).step == 12


def test_another_recipe_in_config_yaml_is_refused():
    train(name="a", steps=10)
    loaded = Checkpoints(Path("runs/a/checkpoints")).load()
    assert loaded.training["settings"]["recipe"] == "points/mlp"
    loaded.training["settings"]["recipe"] = "points/other"
    Checkpoints(Path("runs/a/checkpoints")).save(10, loaded.networks, loaded.training, seed=0, good=True)
    with pytest.raises(
        polygan.ConfigError, match=r"was trained with points/other, and its config\.yaml names points/mlp"
    ):
        polygan.resume("runs/a", steps=20, quiet=True)


def test_a_checkpoint_of_an_earlier_polygan_takes_what_is_set():
    train(name="a", steps=10)
    checkpoints = Checkpoints(Path("runs/a/checkpoints"))
    loaded = checkpoints.load()
    del loaded.training["settings"]
    checkpoints.save(10, loaded.networks, loaded.training, seed=0, good=True)
    polygan.resume("runs/a", steps=20, settings={"model.learning_rate": 1e-4}, quiet=True)
    assert rates("runs/a") == pytest.approx(dict.fromkeys(rates("runs/a"), 1e-4 * 0.99**20))


def test_more_steps_alone_are_the_longer_run_to_the_bit():
    longer = train(name="longer", steps=20)
    train(name="a", steps=10)
    assert_same(state(longer), state(polygan.resume("runs/a", steps=20, quiet=True)))


def test_a_setting_that_cannot_be_set_is_one_line(capsys):
    train(name="a", steps=1)
    for word, message in {
        "model.learning_rate": "write NAME=VALUE, e.g. --set model.learning_rate=1e-4",
        "=3": "write NAME=VALUE",
        "model.learning_rat=1": "did you mean --model.learning_rate",
        "model.width=wide": "model.width = wide is not of the right type",
        "batch_size=0": "batch_size = 0 is too small",
        "name=b": "name of a run cannot be changed: rename the run's folder instead",
        "recipe=x/y": "recipe of a run cannot be changed: train a new run",
    }.items():
        out = command("resume", "runs/a", "--steps", "2", "--set", word, code=2, capsys=capsys)
        (line,) = [x for x in out.err.splitlines() if "ConfigError" in x]
        assert message in line


def test_settings_by_dotted_names_and_by_groups_are_the_same():
    assert as_layer({"steps": 1, "model.a": 2, "model": {"b": 3}}) == {"steps": 1, "model": {"a": 2, "b": 3}}
    assert option_words(["model.learning-rate=1", "--steps=2"]) == ["--model.learning_rate=1", "--steps=2"]
    for name in ("runs", "format"):
        with pytest.raises(polygan.ConfigError, match="cannot be changed"):
            as_layer({name: 1})


# The machine


def test_a_resumed_run_takes_its_own_number_of_threads(capsys):
    usual = torch.get_num_threads()
    train(name="a", steps=5, threads=usual + 1)
    edit("runs/a", threads=0)
    capsys.readouterr()
    seen = []

    class Look(polygan.Listener):
        def logged(self, trainer, values):
            seen.append(torch.get_num_threads())

    polygan.resume("runs/a", steps=10, listeners=[Look()])
    assert f"threads: {usual + 1} as in the run so far" in capsys.readouterr().err
    assert seen == [usual + 1]
    assert torch.get_num_threads() == usual
    polygan.resume("runs/a", steps=15, settings={"threads": usual + 2}, listeners=[Look()])
    assert seen[-1] == usual + 2
    assert f"equal to the bit to an uninterrupted run: threads {usual + 1} -> {usual + 2}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", ["", "[]", '{"threads": "many"}', '{"threads": 1e9}', '{"threads": true}', '{"threads": -1}']
)
def test_a_damaged_environment_is_no_number_of_threads(content, tmp_path):
    (tmp_path / "environment.json").write_text(content)
    assert resuming.recorded_threads(tmp_path) == 0


def test_another_machine_is_said_in_one_line_and_the_same_machine_is_not(capsys):
    run = train(name="a", steps=5)
    path = run.folder / "environment.json"
    polygan.resume("runs/a", steps=10)
    assert "to the bit" not in capsys.readouterr().err
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "torch": "1.0", "processes": 2, "python": "3.0"}))
    polygan.resume("runs/a", steps=15)
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "to the bit" in x]
    assert line == (
        "the result will not be equal to the bit to an uninterrupted run: "
        f"torch 1.0 -> {torch.__version__}, processes 2 -> 1"
    )
    assert any(line in str(r.get("message")) for r in records(run) if r["event"] == "resumed")


def test_plugins_of_another_version_count_as_another_machine():
    now = {"torch": "2", "plugins": {"image": "polygan-image 1", "text": "polygan-text 1"}}
    assert machine_change({**now, "plugins": {"image": "polygan-image 1", "gone": "x 1"}}, now) == ""
    assert machine_change({"plugins": {"image": "polygan-image 0"}}, now).endswith(
        ": plugin image polygan-image 0 -> polygan-image 1"
    )
    assert machine_change({}, now) == ""


# Runs that never saved, or never reported


def test_a_run_without_a_checkpoint_says_that_it_starts_anew(capsys):
    run = train(name="a", steps=5)
    shutil.rmtree("runs/a/checkpoints")
    polygan.resume("runs/a")
    assert "run runs/a has no checkpoint yet: it starts from step 0" in capsys.readouterr().err
    assert_same(state(run), state(polygan.load("runs/a")))


def test_a_run_that_ended_without_its_report_gets_it(capsys):
    run = train(name="a", steps=5)
    (run.folder / "report.html").unlink()
    out = command("resume", "runs/a", capsys=capsys)
    assert "run runs/a is finished at step 5 and had no report: runs/a/report.html is written now" in out.err
    assert (run.folder / "report.html").read_text().rstrip().endswith("</html>")
    command("resume", "runs/a", code=2, capsys=capsys)
    (run.folder / "report.html").write_text("of an earlier end")
    log = run.folder / "log.jsonl"
    os.utime(run.folder / "report.html", ns=(0, log.stat().st_mtime_ns - 1))
    assert polygan.resume("runs/a", quiet=True).step == 5
    assert (run.folder / "report.html").read_text() != "of an earlier end"
