"""Recipes that translate, exported models, imported weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import polygan
from polygan.cli import command_line as cli
from polygan.plugins import load_catalogue, set_catalogue

TOY = Path(__file__).parents[2] / "toy_gan.py"
MIRROR = TOY.with_name("mirror_gan.py")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(TOY.parent))
    set_catalogue(load_catalogue(files=[TOY, MIRROR]))
    yield
    set_catalogue(None)


def command(*words, code=0, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--plugin", str(TOY), "--plugin", str(MIRROR), *map(str, words)])
    out = capsys.readouterr()
    assert (end.value.code or 0) == code, out
    return out


def train(recipe="points/mirror", **kw):
    return polygan.train(recipe, "ring", **{"quiet": True, "steps": 2, "precision": "fp32", "hang_timeout": 0, **kw})


# Given things


def test_a_recipe_that_needs_something_given_is_shown_held_out_samples(capsys):
    run = train(sample_every=1)
    held_out = run.splits()["held_out"]
    real = held_out.store.gather("point", held_out.rows[:8])
    torch.testing.assert_close(run.generate(8, scale=2.0).data, -2 * real)
    assert len(run.generate(10_000)) == len(held_out)
    scores = run.evaluate(quiet=True)
    assert scores[0].name == "points/spread"
    page = run.report().read_text()
    assert "Samples" in page


def test_a_file_is_made_of_each_file(capsys):
    run = train()
    Path("in").mkdir()
    for name in ("a", "b"):
        np.save(f"in/{name}.npy", np.ones((20, 2)))
    more = ("--format", "npy", "--scale", "3")
    out = command("generate", run.folder, "--input", "in", "--out", "out", *more, capsys=capsys)
    assert "2 files" in out.out
    assert np.load("out/b.npy").tolist() == [[-3, -3]] * 20
    Path("empty").mkdir()
    for words, message in (
        (["--input", "missing"], "'missing' does not exist"),
        (["--input", "empty"], "'empty' holds no file that domain 'points' reads (.npy)"),
    ):
        assert message in command("generate", run.folder, *words, code=1, capsys=capsys).err
    plain = train("points/mlp", name="plain")
    message = command("generate", plain.folder, "--input", "in", code=2, capsys=capsys).err
    assert "makes samples from noise" in message
    assert "leave --input (given=...) out" in message


# Exported models


def test_an_exported_model_opens_like_a_run(capsys):
    run = train("points/mlp")
    weights, _ = run.export("out/model")
    again = polygan.load(weights)
    torch.testing.assert_close(again.generate(5, seed=3).data, run.generate(5, seed=3).data)
    assert again.step == run.step
    assert "samples: out/model/generated" in command("generate", weights, "-n", 5, capsys=capsys).out
    message = command("evaluate", weights, code=2, capsys=capsys).err
    assert "is an exported model and has no data" in message
    save_file(load_file(weights), weights)  # as an export of before, with its facts beside it alone
    Path("out/model.json").write_text(json.dumps({"recipe": "points/mlp"}))
    with pytest.raises(polygan.CheckpointError, match=r"model.json beside it cannot be used \(KeyError: 'model'\)"):
        polygan.load(weights)
    Path("out/model.json").unlink()
    with pytest.raises(polygan.CheckpointError, match="No such file"):
        polygan.load(weights)


def test_formats_of_other_programs_are_the_recipes_own(capsys):
    run = train()
    assert command("export", run.folder, "--format", "npy", "--out", "w.npy", capsys=capsys).out.split() == ["w.npy"]
    assert np.array_equal(np.load("w.npy"), run.networks["generator"][0].weight.numpy())
    message = command("export", run.folder, "--format", "onx", "--out", "w", code=2, capsys=capsys).err
    assert "export of points/mirror as 'onx': no plugin has it; the formats are safetensors, sum, npy" in message


def test_a_format_made_from_another_is_there_for_each_recipe_that_has_the_other():
    run = train()
    (path,) = run.export("w.sum", "sum")
    recipe, file, total = path.read_text().split()
    assert (recipe, file) == ("Mirror", "model.npy")
    assert float(total) == pytest.approx(float(run.networks["generator"][0].weight.sum()))
    assert [p.name for p in Path().iterdir() if p.suffix == ".npy"] == []
    with pytest.raises(
        polygan.ConfigError, match=r"points/mlp as 'sum': no plugin has it; the formats are safetensors$"
    ):
        train("points/mlp").export("w.sum", "sum")


def test_a_recipes_own_format_goes_before_that_of_every_recipe(tmp_path):
    plugin = tmp_path / "own_sum.py"
    plugin.write_text(
        "import polygan\n@polygan.hookimpl\ndef polygan_formats():\n"
        "    return [polygan.FormatSpec('points/mirror', 'sum', 'export', 'mirror_gan:to_npy', '')]\n"
    )
    for files in ([TOY, MIRROR, plugin], [TOY, plugin, MIRROR]):
        found = load_catalogue(files=files).format("points/mirror", "sum", "export")
        assert (found.recipe, found.made_from) == ("points/mirror", "")


SCALED = """
import dataclasses, polygan

@dataclasses.dataclass(frozen=True)
class Options:
    factor: float = 2.0
    \"\"\"What sums are multiplied by.\"\"\"

@dataclasses.dataclass(frozen=True)
class More(Options):
    factor: float = 3.0
    word: str = "made"

def scaled(recipe, networks, path, options):
    path.write_text(str(options.factor * float(networks["generator"][0].weight.sum())))
    return [path]

def told(recipe, files, path, options):
    path.write_text(f"{options.word} {files[0].read_text()}")
    return [path]

@polygan.hookimpl
def polygan_formats():
    return [
        polygan.FormatSpec("points/mirror", "scaled", "export", "scaled:scaled", "", settings="scaled:Options"),
        polygan.FormatSpec("points/mirror", "told", "export", "scaled:told", "", made_from="scaled", settings="scaled:More"),
    ]
"""


def test_a_format_has_options_of_its_own_and_hands_them_on_to_the_one_it_is_made_from(tmp_path, capsys):
    (tmp_path / "scaled.py").write_text(SCALED)
    run, plugin = train(), tmp_path / "scaled.py"
    total = float(run.networks["generator"][0].weight.sum())

    def exported(*words, code=0):
        return command("--plugin", plugin, "export", run.folder, *words, code=code, capsys=capsys)

    for words, factor in (((), 2), (("--factor", "5"), 5)):
        exported("--out", "w.scaled", *words)
        assert float(Path("w.scaled").read_text()) == pytest.approx(factor * total)
    for words, factor, word in (((), 3, "made"), (("--factor=7", "--word", "told"), 7, "told")):
        exported("--out", "w", "--format", "told", *words)
        said, number = Path("w").read_text().split()
        assert (said, float(number)) == (word, pytest.approx(factor * total))
    assert "options of --format scaled" in (shown := exported("--help").out)
    assert "What sums are multiplied by." in shown
    for words, message in (
        (("--out", "w.scaled", "--fator", "5"), "did you mean --factor?"),
        (("--out", "w.scaled", "--factor", "much"), "factor"),
        (("--out", "w.npy", "--factor", "5"), "polygan export as npy"),
        (("--out", "w", "--factor", "5"), "polygan export as safetensors"),
    ):
        assert message in exported(*words, code=2).err, words
    plugin = tmp_path / "odd.py"
    plugin.write_text(SCALED.replace("scaled:Options", "scaled:told").replace("scaled:", "odd:"))
    assert "odd:told is not a dataclass: decorate it" in exported("--out", "w.scaled", code=1).err
    with pytest.raises(polygan.ConfigError, match="unknown option 'factor' of export as safetensors; it has none"):
        run.export("w", factor=5)


# Imported weights


def test_imported_weights_generate_and_are_a_start(capsys):
    torch.manual_seed(5)
    network = train(name="source", model={"width": 16}).networks["generator"]
    torch.save(network.state_dict(), "other.pt")
    files = command("import", "points/mirror", "other.pt", "--out", "model.safetensors", capsys=capsys).out.split()
    assert files == ["model.safetensors", "model.json"]
    loaded = polygan.load("model.safetensors")
    assert loaded.settings.model.width == 16
    for key, value in network.state_dict().items():
        assert torch.equal(loaded.networks["generator"].state_dict()[key], value)
    started = train(name="on", init_from="model.safetensors", model={"width": 16, "learning_rate": 1e-9}, steps=1)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(started.networks["generator"].state_dict()[key], value, atol=1e-6, rtol=0)


def test_what_cannot_be_imported_is_said(capsys):
    assert (
        "missing.pt does not exist"
        in command("import", "points/mirror", "missing.pt", "--out", "x", code=1, capsys=capsys).err
    )
    Path("other.pt").write_bytes(b"")
    message = command("import", "points/mlp", "other.pt", "--out", "x", code=2, capsys=capsys).err
    assert "import of points/mlp: no plugin has it; the formats are none" in message
    torch.save({"0.bias": torch.zeros(16)}, "part.pt")
    message = command("import", "points/mirror", "part.pt", "--out", "x", code=1, capsys=capsys).err
    assert "part.pt: generator.0.weight is missing in the checkpoint" in message


# Scores


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_no_score_at_all_is_an_error(more, capsys, monkeypatch):
    run = train("points/mlp")

    def refuse(evaluation):
        raise polygan.DataError("not for this")

    monkeypatch.setattr("toy_gan.spread", refuse)
    message = command("evaluate", run.folder, *more, code=2, capsys=capsys).err
    assert "points/spread was left out: not for this" in message
    assert "no metric could be computed" in message


OPENS = """\
import sys
import torch
import polygan
from polygan.plugins import load_catalogue, set_catalogue

set_catalogue(load_catalogue(files=sys.argv[2:]))
run = polygan.load(sys.argv[1])
run.generate(4)
assert "torch._dynamo" not in sys.modules, "torch's compiler was imported"
torch.optim.Adam(run.networks["generator"].parameters())
assert "torch._dynamo" in sys.modules, "optimizers made afterwards are no longer what torch makes them"
"""


def test_a_model_is_opened_without_torchs_compiler():
    """Its import takes 2 to 3 s; a process of its own, for it may be imported here."""
    run = train("points/mlp")
    words = [sys.executable, "-c", OPENS, str(run.folder), str(TOY), str(MIRROR)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr


def test_a_run_without_facts_of_its_data_says_so():
    run = train("points/mlp")
    (run.folder / "data.json").write_text("{}")
    with pytest.raises(polygan.ConfigError, match=r"data.json does not say what the data was \(info\)"):
        polygan.load(run.folder)


def test_a_report_that_fails_does_not_fail_the_run(monkeypatch, capsys):
    def broken(folder):
        raise TypeError("what is this")

    monkeypatch.setattr("polygan.report.page.write_report", broken)
    run = train("points/mlp", quiet=False)
    assert run.step == 2
