"""Starting from other networks: what is loaded and what begins anew is said, and what does not fit is refused with its cause."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import polygan
import toy_gan
from polygan.plugins import load_catalogue, set_catalogue
from polygan.runs.networks import starting
from polygan.runs.networks.starting import origin_of
from polygan.training.weights import load_fitting

TOY = Path(__file__).parents[3] / "toy_gan.py"
SORTED = TOY.with_name("sorted_gan.py")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(TOY.parent))
    set_catalogue(load_catalogue(files=[TOY, SORTED]))
    yield
    set_catalogue(None)


def train(name, classes="a,b,c", recipe="points/sorted", size=2, quiet=True, **options):
    data = {"source": "sorted", "names": classes, "size": size}
    settings = {"steps": 1, "batch_size": 4, "precision": "fp32", "hang_timeout": 0, "sample_every": 0, "metrics": []}
    return polygan.train(recipe, data, name=name, quiet=quiet, **settings, **options)


def started(text):
    """The line about the start."""
    (line,) = [line for line in text.splitlines() if line.startswith("init_from ")]
    return line


def weights(run, name):
    return run.networks[name].state_dict()


@pytest.mark.parametrize("how", ["run", "checkpoint", "export"])
def test_with_other_classes_the_rest_is_loaded_and_it_is_said(how, capsys):
    source = train("source")
    start = source.folder
    if how == "checkpoint":
        start = next(start.glob("checkpoints/step-*"))
    elif how == "export":
        start = source.export("model")[0]
    run = train("on", "v,w,x,y,z", init_from=str(start), quiet=False)
    for name in ("generator", "discriminator"):
        before, now = weights(source, name), weights(run, name)
        assert now["embedding.weight"].shape == (5, 8)
        for key in before.keys() - {"embedding.weight"}:
            torch.testing.assert_close(now[key], before[key], atol=1e-6, rtol=0)
    assert started(capsys.readouterr().err) == (
        f"init_from {start}: loaded generator, discriminator; the networks there are for 3 classes and here for 5 classes, so "
        "generator.embedding.weight, discriminator.embedding.weight begin anew"
    )


@pytest.mark.parametrize(("there", "here"), [("a", "a,b"), ("a,b", "a")])
def test_classes_may_come_or_go(there, here, capsys):
    source = train("source", there)
    run = train("on", here, init_from=str(source.folder), quiet=False)
    torch.testing.assert_close(
        weights(run, "generator")["first.weight"], weights(source, "generator")["first.weight"], atol=1e-6, rtol=0
    )
    assert started(capsys.readouterr().err)


def rows(run, name="generator", key="embedding.weight"):
    """The rows of classes by name."""
    return dict(zip(run.recipe.info["classes"], weights(run, name)[key], strict=True))


@pytest.mark.parametrize("here", ["dog,cat", "ant,cat,dog", "cat,horse"])
def test_rows_of_classes_are_taken_by_name_and_new_names_are_said(here, capsys):
    source = train("source", "cat,dog")
    run = train("on", here, init_from=str(source.folder), quiet=False)
    said = started(capsys.readouterr().err)
    before, now = rows(source), rows(run)
    fresh = rows(train("fresh", here))
    for name in here.split(","):
        expected = before if name in before else fresh
        torch.testing.assert_close(now[name], expected[name], atol=1e-2, rtol=0)  # one step of training
    new = [name for name in here.split(",") if name not in before]
    assert said.endswith(
        f"; rows of classes were taken by name{', and these classes are new: ' if new else ''}{', '.join(new)}"
    )


def test_the_same_names_in_the_same_order_change_nothing(capsys):
    source = train("source", "cat,dog")
    train("same", "cat,dog", init_from=str(source.folder), quiet=False)
    assert started(capsys.readouterr().err) == f"init_from {source.folder}: loaded generator, discriminator"


def test_where_it_is_not_plain_which_rows_are_those_of_classes_other_names_are_said(monkeypatch, capsys):
    source = train("source", "cat,dog")
    monkeypatch.setattr(starting, "by_name", lambda *_: None)
    train("on", "cat,horse", init_from=str(source.folder), quiet=False)
    assert "the classes have other names there: dog becomes horse" in started(capsys.readouterr().err)
    train("quiet", "cat,horse", init_from=str(source.folder))
    assert "init_from" not in capsys.readouterr().err


def test_other_settings_are_named_and_those_that_change_no_shape_are_not():
    source = train("source")
    with pytest.raises(polygan.CheckpointError) as error:
        train("on", "a,b,c,d", init_from=str(source.folder), model={"width": 6, "learning_rate": 1.0})
    text = str(error.value)
    assert "is (8, 8) in the checkpoint" in text or "is (8,) in the checkpoint" in text or "(3, 8)" in text
    assert "use what the start was trained with: --model.width is 8 there and 6 here" in text
    assert "learning_rate" not in text
    with pytest.raises(polygan.CheckpointError, match=r"--model.depth is 1 there and 3 here$"):
        train("deep", init_from=str(source.export("model")[0]), model={"depth": 3})
    with pytest.raises(polygan.CheckpointError, match=r"with: the data's size is 2 there and 3 here$"):
        train("wide", size=3, init_from=str(source.folder))
    with pytest.raises(polygan.CheckpointError, match="trained with points/sorted, and this run is points/other"):
        train("other", recipe="points/other", init_from=str(source.folder), model={"width": 6})


def test_facts_that_the_recipe_adds_itself_are_no_difference(monkeypatch):
    source = train("source")
    kind = type(source.recipe)
    init = kind.__init__
    monkeypatch.setattr(kind, "__init__", lambda self, config, info: init(self, config, {**info, "own": True}))
    monkeypatch.setattr(
        starting, "_count", lambda networks, weights: 1
    )  # no setting explains the misfit, so all are named
    with pytest.raises(polygan.CheckpointError, match=r"--model.depth is 1 there and 3 here$"):
        train("deep", init_from=str(source.export("model")[0]), model={"depth": 3})


def test_bare_weights_have_no_settings_to_compare():
    source = train("source")
    model, beside = source.export("model")
    save_file(load_file(model), "bare.safetensors")
    beside.unlink()
    assert origin_of(Path("bare.safetensors")) is None
    train("same", init_from="bare.safetensors")
    with pytest.raises(polygan.CheckpointError, match=r"use the settings \(config.yaml\) that it was trained with"):
        train("on", init_from="bare.safetensors", model={"width": 6})


def test_a_network_that_the_start_lacks_begins_anew_and_is_said(capsys):
    source = train("source")
    save_file({k: v for k, v in load_file(source.export("model")[0]).items() if k.startswith("gen")}, "g.safetensors")
    train("on", init_from="g.safetensors", quiet=False)
    assert started(capsys.readouterr().err) == (
        "init_from g.safetensors: loaded generator; discriminator begins anew, because g.safetensors has no such weights"
    )


def test_a_domain_refuses_data_that_is_not_comparable(monkeypatch):
    asked = []

    def comparable(self, info, other):
        asked.append((info["classes"], other["classes"]))
        return "" if info["classes"] == other["classes"] else "the words differ; use --data.words RUN"

    source = train("source")
    model = source.export("model")[0]
    monkeypatch.setattr(toy_gan.Points, "comparable", comparable)
    for name, start in (("a", source.folder), ("b", model)):
        with pytest.raises(
            polygan.CheckpointError, match=r"does not fit the data: the words differ; use --data.words RUN"
        ):
            train(name, "x,y,z", init_from=str(start))
        assert not (Path("runs") / name).exists()
    assert asked == [(["x", "y", "z"], ["a", "b", "c"])] * 2
    train("same", init_from=str(source.folder))


def test_a_damaged_run_is_a_start_without_origin(tmp_path):
    source = train("source")
    shutil.copytree(source.folder, "copy")
    Path("copy/data.json").write_text("{}")
    assert origin_of(Path("copy")) is None
    origin = origin_of(source.folder)
    assert origin is not None
    assert origin.info["classes"] == ["a", "b", "c"]


def test_a_table_of_words_followed_by_classes_keeps_the_words():
    before, now = torch.nn.Embedding(7 + 2, 3), torch.nn.Embedding(7 + 4, 3)
    own = now.weight.detach().clone()
    assert load_fitting(now, before.state_dict(), (2, 4)) == ["weight"]
    assert torch.equal(now.weight[:7], before.weight[:7])
    assert torch.equal(now.weight[7:], own[7:])
