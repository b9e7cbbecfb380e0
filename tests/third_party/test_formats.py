"""A format that a third party adds to the recipe of another package: exported, imported, listed, refused by name."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import polygan
from polygan.cli import main
from polygan.plugins import load_catalogue, set_catalogue

FILE = Path(__file__).with_name("to_npz.py")
SMALL = {"generator_width": 2, "discriminator_width": 2}


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    set_catalogue(load_catalogue(files=[FILE]))
    yield
    set_catalogue(None)
    sys.modules.pop("to_npz", None)


@pytest.fixture
def run():
    return polygan.train("image/dcgan", "digits", model=SMALL, steps=1, batch_size=4, precision="fp32", quiet=True)


def command(*words, code=0, capsys):
    with pytest.raises(SystemExit) as end:
        main(["--plugin", str(FILE), *map(str, words)])
    out = capsys.readouterr()
    assert (end.value.code or 0) == code, out
    return out


def test_another_packages_recipe_is_exported_and_imported_again(run, capsys):
    assert command("export", run.folder, "--format", "npz", "--out", "g.npz", capsys=capsys).out.split() == ["g.npz"]
    with np.load("g.npz") as file:
        for key, value in run.networks["generator"].state_dict().items():
            assert np.array_equal(file[key], value.numpy())
    files = command("import", "image/dcgan", "g.npz", "--out", "again", capsys=capsys).out.split()
    assert files == ["again.safetensors", "again.json"]
    again = polygan.load("again.safetensors")
    assert torch.equal(again.generate(4, seed=2).data, run.generate(4, seed=2).data)


def test_the_format_is_listed_with_who_brings_it(capsys):
    rows = json.loads(command("list", "--json", capsys=capsys).out)
    mine = [r for r in rows if r["kind"] == "format" and r["plugin"] == "to_npz"]
    assert len(mine) == 2
    assert "npz" in command("list", capsys=capsys).out


def test_an_unknown_format_names_those_that_are_there(run, capsys):
    message = command("export", run.folder, "--format", "nzp", "--out", "g", code=2, capsys=capsys).err
    assert "export of image/dcgan as 'nzp' (did you mean 'npz'?)" in message
    assert {"safetensors", "npz"} <= set(message.rstrip().rpartition("the formats are ")[2].split(", "))
