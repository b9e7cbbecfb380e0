"""Exported models: written whole, of a numbered format, and of one piece even after a power cut."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
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


def test_a_full_disk_leaves_no_part_of_a_model(run, monkeypatch):
    weights, _ = run.export("model")
    old = weights.read_bytes()
    names = sorted(p.name for p in Path().iterdir())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for name in ("model", "other"):
        with pytest.raises(
            polygan.CheckpointError,
            match=rf"^{name}\.safetensors cannot be written \(No space left on device\): free some space$",
        ):
            run.export(name)
    assert weights.read_bytes() == old
    assert sorted(p.name for p in Path().iterdir()) == names


def test_a_place_that_cannot_be_written_is_one_line(run):
    Path("file").write_text("")
    with pytest.raises(polygan.CheckpointError, match=r"cannot be written \(.*\): name another place with --out"):
        run.export("file/model")


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_exported_files_have_the_permissions_of_other_new_files(run, mask):
    """Also the files of libraries that only their owner may read."""

    def library(place):
        save_file({"a": torch.ones(1)}, place)
        assert place.stat().st_mode & 0o777 == 0o600
        return [place]

    before = os.umask(mask)
    try:
        files = [*run.export("model"), *exported.write_format(Path("other.bin"), library)]
    finally:
        os.umask(before)
    assert {f.stat().st_mode & 0o777 for f in files} == {0o666 & ~mask}
    assert sorted(p.name for p in Path().glob("*other*")) == ["other.bin"]


def test_another_format_is_written_whole_or_not_at_all(run):
    Path("out").mkdir()
    Path("out/mine").write_text("kept")

    def good(place):
        (place / "deep").mkdir(parents=True)
        (place / "deep/a").write_text("new")
        return [place / "deep/a"]

    def full(place):
        good(place)
        raise OSError(errno.ENOSPC, "No space left on device")

    def odd(place):
        raise polygan.CheckpointError(f"{place} differs")

    for write, words in ((full, r"^out cannot be written \(No space.*free some space$"), (odd, "^out differs$")):
        with pytest.raises(polygan.CheckpointError, match=words):
            exported.write_format(Path("out"), write)
        assert [p.name for p in Path("out").iterdir()] == ["mine"]
    assert exported.write_format(Path("out"), good) == [Path("out/deep/a")]
    assert Path("out/deep/a").read_text() == "new"
    assert Path("out/mine").read_text() == "kept"
    assert not list(Path().glob(".out*"))


@pytest.mark.parametrize(
    "facts",
    ["[" * 100_000, "[]", '{"format": 1}', '{"format": null}', "9" * 5_000, '{"recipe": [], "model": 1, "info": 2}'],
)
def test_facts_of_another_shape_are_one_line(run, facts):
    weights, beside = run.export("model")
    save_file(load_file(weights), weights)
    beside.write_text(facts)
    with pytest.raises(polygan.CheckpointError, match="exported model") as error:
        polygan.load(weights)
    assert "\n" not in str(error.value)


def test_weights_that_are_not_finite_are_named(run):
    weights, _ = run.export("model")
    with safe_open(weights, "pt") as file:
        facts = file.metadata()
    tensors = load_file(weights)
    name = next(iter(tensors))
    save_file({**tensors, name: torch.full_like(tensors[name], float("nan"))}, weights, facts)
    with pytest.raises(polygan.CheckpointError, match=rf"{name} holds numbers that are not finite"):
        polygan.load(weights)
