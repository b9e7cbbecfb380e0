"""Samples made of what a user hands in: files, folders, arrays, standard input."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import polygan
from polygan.cli import main
from polygan.plugins import load_catalogue, set_catalogue
from polygan.runs.given import files_of, targets_of

TESTS = Path(__file__).parents[2]
TOY = TESTS / "toy_gan.py"
FILES = (TOY, TESTS / "mirror_gan.py")


@pytest.fixture(autouse=True)
def _toys(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(TESTS))
    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=FILES))
    yield
    set_catalogue(None)


@pytest.fixture
def run():
    return polygan.train("points/mirror", "ring", quiet=True, steps=1, precision="fp32", hang_timeout=0)


def save(path, rows=20, value=1.0):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((rows, 2), value, "float32"))


def command(*words, code=0, capsys):
    with pytest.raises(SystemExit) as end:
        main([*(w for f in FILES for w in ("--plugin", str(f))), *map(str, words)])
    out = capsys.readouterr()
    assert (end.value.code or 0) == code, out
    return out


def test_a_folder_keeps_its_names_and_folders(run):
    save("in/a.npy")
    save("in/deep/er/b.npy", value=2)
    save("in/.hidden.npy")
    Path("in/readme.txt").write_text("no points")
    made = run.convert("in", "out", format="npy", scale=3.0)
    assert [str(p) for p in made] == ["out/a.npy", "out/deep/er/b.npy"]
    assert np.load("out/deep/er/b.npy").tolist() == [[-6, -6]] * 20  # read in pieces of 16 rows
    assert sorted(p.name for p in Path("out").rglob("[!.]*") if p.is_file()) == ["a.npy", "b.npy"]


def test_one_file_becomes_one_file(run):
    save("a.npy")
    assert run.convert("a.npy", "made.csv") == [Path("made.csv")]
    assert np.loadtxt("made.csv", delimiter=",").shape == (20, 2)
    assert run.convert("a.npy", "folder") == [Path("folder/a.csv")]  # the domain's usual suffix


def test_files_of_the_user_are_never_replaced_and_earlier_outputs_are(run, monkeypatch):
    save("in/a.npy")
    save("in/deep/b.npy")
    Path("out/deep").mkdir(parents=True)
    Path("out/deep/b.csv").write_text("mine")
    with pytest.raises(
        polygan.ConfigError, match=r"out/deep/b\.csv exists, and polygan did not write it; name a new folder"
    ):
        run.convert("in", "out")
    assert not Path("out/a.csv").exists()  # refused before any work
    Path("out/deep/b.csv").unlink()
    Path("out/notes.csv").write_text("mine")
    run.convert("in", "out")
    first = Path("out/a.csv").read_text()
    assert run.convert("in/a.npy", "out", scale=3.0) == [Path("out/a.csv")]
    assert Path("out/a.csv").read_text() != first
    assert Path("out/deep/b.csv").exists()  # what other inputs became stays
    assert Path("out/notes.csv").read_text() == "mine"
    Path("out/a.csv").write_text("edited by the user")
    with pytest.raises(polygan.ConfigError, match=r"out/a\.csv exists"):
        run.convert("in", "out")
    run.convert("in/a.npy", "out/a.csv")  # a file that is named is meant
    assert Path("out/a.csv").read_text() == first


def test_what_was_made_before_an_error_may_be_made_again(run):
    save("in/a.npy")
    Path("in/b.npy").write_bytes(b"nothing")
    for _ in range(2):
        with pytest.raises(polygan.DataError, match="1 of 2 files"):
            run.convert("in", "out")


def test_an_input_is_never_overwritten(run):
    save("in/a.npy")
    before = Path("in/a.npy").read_bytes()
    with pytest.raises(polygan.DataError, match=r"a.npy would be overwritten by its own output; name another folder"):
        run.convert("in/a.npy", "in", format="npy")
    with pytest.raises(polygan.DataError, match="1 of 1 files of in could not be converted"):
        run.convert("in", "in", format="npy")
    Path("link.npy").symlink_to("in/a.npy")
    with pytest.raises(polygan.DataError, match="would be overwritten"):
        run.convert("in/a.npy", "link.npy")
    assert Path("in/a.npy").read_bytes() == before
    assert [p.name for p in Path("in").iterdir()] == ["a.npy"]


def test_bad_files_are_named_and_counted_and_the_others_are_made(run, capsys):
    save("in/a.npy")
    save("in/c.npy")
    Path("in/b.npy").write_bytes(b"nothing")
    out = command("generate", run.folder, "--input", "in", "--out", "out", code=1, capsys=capsys)
    assert "1 of 3 files of in could not be converted, as the lines above say; the others are in out" in out.err
    assert [line for line in out.err.splitlines() if "b.npy" in line]
    assert sorted(p.name for p in Path("out").glob("[!.]*")) == ["a.csv", "c.csv"]
    with pytest.raises(polygan.DataError, match=r"b.npy"):
        run.convert("in/b.npy", "out")
    np.save("in/empty.npy", np.zeros((0, 2), "float32"))
    with pytest.raises(polygan.DataError, match=r"empty.npy holds no sample"):
        run.convert("in/empty.npy", "out")


def test_a_write_that_fails_leaves_nothing_behind(run, monkeypatch):
    save("a.npy")

    def torn(self, samples, path):
        Path(path).write_text("half")
        raise polygan.DataError(f"{path}: the disk is full")

    monkeypatch.setattr(type(run.domain), "write", torn)
    with pytest.raises(polygan.DataError, match=r"a.npy: out/a.csv: the disk is full"):
        run.convert("a.npy", "out")
    assert list(Path("out").iterdir()) == []


@pytest.mark.parametrize(
    ("source", "out", "suffix", "message"),
    [
        ("in", "one.csv", "", "one.csv is one file, and in is a folder; name a folder with --out"),
        ("in/a.npy", "a.wav", "", "writes .csv, .npy; use one of these suffixes, or name a folder"),
        ("in", "out", "wav", "format = 'wav' is unknown; domain 'points' writes csv, npy"),
    ],
)
def test_places_that_do_not_fit_are_refused_before_work(run, source, out, suffix, message):
    save("in/a.npy")
    with pytest.raises(polygan.ConfigError, match=message):
        run.convert(source, out, format=suffix)
    assert not Path(out).exists()


def test_two_inputs_do_not_become_one_file(run):
    domain = run.domain
    paths = [Path("in/a.npy"), Path("in/a.NPY")]
    for path in paths:
        save("x.npy")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(Path("x.npy").read_bytes())
    found = files_of(Path("in"), domain)
    assert sorted(found) == sorted(paths)
    assert {str(p) for p in targets_of(sorted(paths), Path("in"), Path("out"), domain, "")} == {
        "out/a.csv",
        "out/a.npy.csv",
    }


def test_a_file_keeps_the_suffix_that_its_domain_says(run, monkeypatch):
    for name in ("in/a.npy", "in/b.npy"):
        save(name)
    domain = type(run.domain)
    monkeypatch.setattr(domain, "made_suffix", lambda self, path, info: ".csv" if path.stem == "a" else ".npy")
    monkeypatch.setattr(domain, "writes", (".csv", ".npy"))
    monkeypatch.setattr(domain, "write_file", lambda self, pieces, path: path.write_text(str(len(list(pieces)))))
    assert {path.name for path in run.convert("in", "out")} == {"a.csv", "b.npy"}
    assert {path.name for path in run.convert("in", "named", format="csv")} == {"a.csv", "b.csv"}


def test_what_is_made_in_another_domain_has_its_usual_suffix(run, monkeypatch):
    class Other(type(run.domain)):
        id = "other"

    save("in/a.npy")
    monkeypatch.setattr(type(run.domain), "made_suffix", lambda self, path, info: ".none")
    monkeypatch.setattr(type(run), "given_domain", Other())
    assert [path.name for path in run.convert("in", "out")] == ["a.csv"]


def test_arrays_samples_and_files_in_python(run):
    save("a.npy", value=2)
    for given in ("a.npy", Path("a.npy"), np.full((20, 2), 2.0), polygan.Samples(torch.full((20, 2), 2.0))):
        made = run.generate(given=given, scale=0.5)
        assert made.data.tolist() == [[-1, -1]] * 20
    assert made.domain is run.domain
    assert made.save("out.csv") == [Path("out.csv")]
    Path("folder").mkdir()
    for wrong, error, message in (
        ({"given": "folder"}, polygan.ConfigError, "folder is a folder; use convert"),
        ({"given": "missing.npy"}, polygan.DataError, "missing.npy does not exist"),
        ({"given": "a.npy", "n": 3}, polygan.ConfigError, "n and given exclude each other"),
    ):
        with pytest.raises(error, match=message):
            run.generate(**wrong)


def test_names_of_what_is_given_stay(run):
    given = polygan.Samples(torch.zeros(2, 2), names=["left", "right"])
    assert run.generate(given=given).names == ["left", "right"]


def test_standard_input_to_standard_output(run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("1 2\n3 4\n"))
    assert command("generate", run.folder, "--input", "-", "--scale", 2, capsys=capsys).out == "-2 -4\n-6 -8\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("1 2\n3 4\n"))
    command("generate", run.folder, "--input", "-", "--out", "made.npy", capsys=capsys)
    assert np.load("made.npy").tolist() == [[-1, -2], [-3, -4]]
    monkeypatch.setattr(sys, "stdin", io.StringIO("1 2\nthree four\n"))
    with pytest.raises(ValueError, match="three"):
        run.write_lines(run.convert_lines(sys.stdin), Path("made.npy"))
    assert len(np.load("made.npy")) == 2  # the file of before
    assert not [p for p in Path().iterdir() if p.name.startswith(".")]
    monkeypatch.setattr(sys, "stdin", io.StringIO("1 2\n"))
    assert (
        command("generate", run.folder, "--input", "-", "--out", "folder", capsys=capsys).out == "folder/samples.csv\n"
    )


def test_a_recipe_that_needs_something_says_so():
    recipe = load_catalogue(files=FILES).resolve(load_catalogue(files=FILES).recipe("points/mirror"))
    made = recipe(recipe.Config(), {"size": 2})
    with pytest.raises(polygan.ConfigError, match="Mirror makes samples from points and was given none"):
        polygan.make_samples(made, made.networks(), 3)


def test_a_run_on_noise_takes_no_input():
    plain = polygan.train("points/mlp", "ring", quiet=True, steps=1, hang_timeout=0)
    save("a.npy")
    for act in (lambda: plain.convert("a.npy", "out"), lambda: plain.generate(given="a.npy")):
        with pytest.raises(polygan.ConfigError, match="makes samples from noise and takes no input"):
            act()


def test_an_exported_model_makes_samples_of_given_ones(run):
    again = polygan.load(run.export("model")[0])
    assert again.generate(given=np.ones((2, 2))).data.tolist() == [[-1, -1]] * 2


class Parted:
    """A domain whose suffix has two parts, and whose folders with a file ``one`` are one input."""

    id, reads, writes = "parted", (".a.gz", ".b"), (".a.gz", ".b")
    suffix_of = polygan.Domain.suffix_of
    animates = ()

    def is_one(self, folder):
        return (folder / "one").exists()


def test_suffixes_of_two_parts_and_folders_that_are_one_input(tmp_path):
    for name in ("x.a.gz", "y.gz", "sub/z.B", "whole/one"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    domain = Parted()
    found = files_of(tmp_path, domain)
    assert [path.name for path in found] == ["z.B", "x.a.gz"]
    made = targets_of(found, tmp_path, "out", domain, "", lambda path: ".a.gz")
    assert [str(path) for path in made] == ["out/sub/z.a.gz", "out/x.a.gz"]
    assert targets_of(found[1:], found[1], "out/v.a.gz", domain, "a.gz") == [Path("out/v.a.gz")]
    whole = tmp_path / "whole"
    assert files_of(whole, domain) == [whole]
    assert targets_of([whole], whole, "out", domain, "") == [Path("out/whole.a.gz")]
    assert targets_of([whole], whole, "v.b", domain, "") == [Path("v.b")]
    with pytest.raises(polygan.ConfigError, match=r"v\.b is one file"):
        targets_of(found, tmp_path, "v.b", domain, "")
