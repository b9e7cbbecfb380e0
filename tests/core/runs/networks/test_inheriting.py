"""A run that starts from other networks takes over what its recipe names, below what the user sets."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from toy_runs import command, train

import polygan
import toy_gan

pytestmark = pytest.mark.usefixtures("toys")


@pytest.fixture
def wide(monkeypatch):
    """An exported model whose recipe hands on its width and its loss, as a file's name."""
    said = {"model.width": 24, "model.loss": "hinge", "data.unheard": 1}
    monkeypatch.setattr(toy_gan.MLPGAN, "inherited", classmethod(lambda *_: said))
    run = train(name="wide", steps=1, model={"width": 24, "loss": "hinge"})
    return str(run.export("wide")[0])


def test_settings_of_the_start_count_less_than_the_user_s(wide, capsys):
    """In Python, in a file, and on the command line; the run's own settings say all of it."""
    run = train(name="on", steps=1, init_from=wide, model={"loss": "minimax"}, quiet=False)
    assert (run.settings.model.width, run.settings.model.loss) == (24, "minimax")
    assert f"init_from {wide}: took over --model.width 24\n" in capsys.readouterr().err
    Path("own.yaml").write_text("data: ring\nmodel: {loss: relativistic}\n")
    words = ["train", "points/mlp", "--config", "own.yaml", "--init_from", wide, "--dry_run"]
    out = command(*words, capsys=capsys)
    assert yaml.safe_load(out.out)["model"]["width"] == 24
    assert yaml.safe_load(out.out)["model"]["loss"] == "relativistic"
    out = command("train", "points/mlp", "--data", "ring", "--init_from", wide, "--dry_run", capsys=capsys)
    assert yaml.safe_load(out.out)["model"]["loss"] == "hinge"
    assert "took over --model.width 24, --model.loss hinge" in out.err
    assert train(name="quiet", steps=1, init_from=wide).settings.model.loss == "hinge"
    assert "took over" not in capsys.readouterr().err


def test_a_conflict_names_both_values_before_any_work(wide, capsys, monkeypatch):
    monkeypatch.setattr(toy_gan, "ring", lambda _: pytest.fail("data was opened"))
    words = ["train", "points/mlp", "--data", "ring", "--init_from", wide, "--model.width", "8", "--name", "other"]
    err = command(*words, code=2, capsys=capsys).err
    assert err.count("\n") == 1
    assert f"init_from {wide} has --model.width 24, and this run has --model.width 8: these networks do not fit" in err
    assert "leave --model.width out, or train without --init_from" in err
    assert not Path("runs/other").exists()


def test_only_networks_that_the_model_holds_must_fit(wide, monkeypatch):
    """A generator alone comes with any discriminator."""
    run = polygan.load(wide)
    alone = polygan.runs.exported.write_model(
        Path("alone.safetensors"), run.settings, run.recipe.info, 0, {"generator": run.networks["generator"]}
    )[0]
    networks = toy_gan.MLPGAN.networks

    def other(self):
        found = networks(self)
        found["discriminator"] = networks(toy_gan.MLPGAN(toy_gan.Config(width=32), self.info))["discriminator"]
        return found if self.config.loss == "minimax" else networks(self)

    monkeypatch.setattr(toy_gan.MLPGAN, "networks", other)
    made = train(name="fits", steps=1, init_from=str(alone), model={"loss": "minimax"})
    assert made.settings.model.width == 24
    with pytest.raises(polygan.ConfigError, match=r"has --model.loss hinge, and this run has --model.loss minimax"):
        train(name="does-not", steps=1, init_from=wide, model={"loss": "minimax"})


def test_bare_weights_and_facts_that_a_recipe_does_not_understand_hand_on_nothing(wide, monkeypatch):
    def broken(config, info):
        raise KeyError("size")

    monkeypatch.setattr(toy_gan.MLPGAN, "inherited", broken)
    assert train(name="same", steps=1, init_from=wide, model={"width": 24}).settings.model.loss == "minimax"


def test_a_run_that_goes_on_needs_its_start_no_more(wide):
    run = train(name="on", steps=1, init_from=wide)
    for path in (Path(wide), Path(wide).with_suffix(".json")):
        path.unlink()
    assert polygan.resume(run.folder, steps=2, quiet=True).settings.model.width == 24
