"""Exported models: written whole, of a numbered format, and of one piece even after a power cut."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import polygan
from polygan.cli import main
from polygan.plugins import load_catalogue, set_catalogue
from polygan.runs import exported

TOY = Path(__file__).parents[2] / "toy_gan.py"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(TOY.parent))
    set_catalogue(load_catalogue(files=[TOY]))
    yield polygan.train("points/mlp", "ring", quiet=True, steps=1, precision="fp32", hang_timeout=0)
    set_catalogue(None)


def as_before(weights, **changes):
    """The two files as the first polygan wrote them: nothing within the model, no number beside it."""
    beside = weights.with_suffix(".json")
    facts = json.loads(beside.read_text())
    del facts["format"]
    save_file(load_file(weights), weights, {"format": "pt", "recipe": facts["recipe"]})
    beside.write_text(json.dumps({**facts, **changes}))


def test_a_model_of_the_first_polygan_opens(run):
    weights, _ = run.export("model")
    as_before(weights)
    torch.testing.assert_close(polygan.load(weights).generate(3).data, run.generate(3).data, rtol=0, atol=0)


def test_formats_are_numbered(run, monkeypatch):
    weights, beside = run.export("model")
    assert json.loads(beside.read_text())["format"] == 1
    as_before(weights, format=2)
    with pytest.raises(polygan.CheckpointError, match="has format 2, and this polygan reads 1: upgrade polygan"):
        polygan.load(weights)
    as_before_zero = {k: v for k, v in json.loads(beside.read_text()).items() if k != "step"}
    beside.write_text(json.dumps({**as_before_zero, "format": 0, "iterations": 7}))
    monkeypatch.setitem(exported.MODEL.migrations, 0, lambda found: {**found, "step": found["iterations"]})
    assert polygan.load(weights).step == 7


@pytest.mark.parametrize("renames", [0, 1])
def test_an_export_that_the_power_cuts_leaves_the_old_model_or_the_new_one(run, monkeypatch, renames):
    """Killed before the first rename, and between the two."""
    weights, _ = run.export("model")
    old = polygan.load(weights).generate(3).data
    wider = polygan.train("points/mlp", "ring", quiet=True, steps=1, hang_timeout=0, model={"width": 48})
    plain, done = Path.replace, []

    def cut(self, target):
        if len(done) == renames:
            os._exit(9)
        done.append(plain(self, target))

    child = os.fork()
    if not child:
        Path.replace = cut
        wider.export("model")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert torch.equal(polygan.load(weights).generate(3).data, old)
    wider.export("model")
    assert torch.equal(polygan.load(weights).generate(3).data, wider.generate(3).data)


def test_both_files_are_on_the_disk_before_either_has_its_name(run, monkeypatch):
    seen, plain, replace = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append("fsync"), plain(handle))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (seen.append("rename"), replace(self, to))[1])
    run.export("model")
    assert seen == ["fsync", "fsync", "rename", "rename", "fsync"]
    assert sorted(p.name for p in Path().glob("*model*")) == ["model.json", "model.safetensors"]


def test_a_model_opens_without_the_file_beside_it(run):
    weights, beside = run.export("model")
    beside.unlink()
    assert polygan.load(weights).step == 1


def test_an_export_does_not_write_through_a_link(run):
    Path("mine").write_text("old")
    Path("model.json").symlink_to("mine")
    with pytest.raises(polygan.ConfigError, match=r"model\.json is a symbolic link"):
        run.export("model")
    assert Path("mine").read_text() == "old"
    assert not Path("model.safetensors").exists()


@pytest.mark.parametrize("words", [("--out", "x.onnx"), ("--out", "deep/x.PT"), ("--out", "x.v2")])
def test_a_suffix_that_is_no_format_is_refused_with_the_known_ones(run, words, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--plugin", str(TOY), "export", str(run.folder), *words])
    assert end.value.code == 2
    assert "networks are not exported as ." in (message := capsys.readouterr().err)
    assert "use .safetensors" in message
    assert not list(Path().glob("x*")) + list(Path().glob("deep"))


@pytest.mark.parametrize(
    ("path", "kind", "found"),
    [
        ("model", "", "safetensors"),
        ("model-1.5", "", "safetensors"),
        ("x.safetensors", "", "safetensors"),
        ("x.ONNX", "", "onnx"),
        ("x.onnx", "onnx", "onnx"),
        ("folder", "onnx", "onnx"),
        ("x.bin", "huggingface", "huggingface"),
        ("x.safetensors", "huggingface", "huggingface"),
    ],
)
def test_the_suffix_says_the_format(path, kind, found):
    assert exported.export_kind(path, kind, ("onnx", "huggingface")) == found


@pytest.mark.parametrize(
    ("path", "kind"), [("x.onnx", "safetensors"), ("x.pt", "safetensors"), ("x.onnx", "huggingface")]
)
def test_a_suffix_and_a_format_that_differ_are_refused(path, kind):
    with pytest.raises(
        polygan.ConfigError, match=rf"{path} ends in .*, and the format is {kind}; end the name in .{kind}"
    ):
        exported.export_kind(path, kind, ("onnx",))


def test_an_imported_model_is_not_written_under_another_suffix(run):
    Path("weights.pt").touch()
    with pytest.raises(polygan.ConfigError, match=r"x.onnx ends in .onnx, and the format is safetensors"):
        polygan.import_weights("points/mlp", "weights.pt", "x.onnx")
