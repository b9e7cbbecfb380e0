"""A newcomer's way: a recipe in one file that makes pictures from pictures, from training to a folder of results.

Both files use nothing but `polygan` and torch, and have at most 90 lines: one learns from pairs, one from two sides without pairs.
"""

from __future__ import annotations

import ast
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("polygan_image", reason="the image plugin is not installed")
from PIL import Image

import polygan
from polygan import testing
from polygan.cli import command_line as cli
from polygan.plugins import load_catalogue, set_catalogue

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from worlds import launch

FILES = {"image/tiny-pix2pix": HERE / "tiny_pix2pix.py", "image/tiny-cyclegan": HERE / "tiny_cyclegan.py"}
SIDES = {"cats": 14, "dogs": 5}  # of the dogs there are fewer than a batch has
BATCH = 8
RUN = {"steps": 6, "batch_size": BATCH, "precision": "fp32", "save_every": 3, "log_every": 2, "sample_every": 3}


def pets(folder):
    """Two folders of small colour pictures, of one size: cats are reddish, dogs bluish."""
    rng = np.random.default_rng(0)
    for kind, (name, count) in enumerate(SIDES.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            picture = rng.integers(0, 120, (16, 16, 3))
            picture[..., 2 * kind] += 120
            Image.fromarray(picture.astype(np.uint8)).save(folder / name / f"{name}{i}.png")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return pets(tmp_path_factory.mktemp("pets"))


def command(recipe, *words, code=0):
    """The command line in this process, with the recipe's file as a plugin."""
    with pytest.raises(SystemExit) as end:
        cli.main(["--no-plugin", "tensorboard", "--plugin", str(FILES[recipe]), *map(str, words)])
    assert (end.value.code or 0) == code


def options(settings):
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


@pytest.fixture(params=FILES)
def recipe(request):
    yield request.param
    set_catalogue(None)


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """The run of each recipe, trained when it is first asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def of(recipe):
        if recipe not in made:
            words = ("--data", data, "--runs", folder, "--name", Path(recipe).name, "--model.width", 4)
            command(recipe, "train", recipe, *words, *options(RUN))
            made[recipe] = folder / Path(recipe).name
        set_catalogue(load_catalogue(files=[FILES[recipe]]))
        return made[recipe]

    return of


def newest(run):
    return sorted((run / "checkpoints").iterdir())[-1]


def test_the_file_is_short_and_uses_polygan_and_torch_alone(recipe):
    text = FILES[recipe].read_text()
    assert len(text.splitlines()) <= 90
    imported, attributes = set(), set()
    for node in ast.walk(ast.parse(text)):
        imported |= {a.name for a in node.names} if isinstance(node, ast.Import) else set()
        imported |= {node.module} if isinstance(node, ast.ImportFrom) else set()
        attributes |= {node.attr} if isinstance(node, ast.Attribute) else set()
    assert imported == {"dataclasses", "polygan", "torch"}
    assert {name for name in attributes if name.startswith("_")} <= {"__init__"}


def test_training_ends_with_a_report_that_shows_pictures(recipe, runs):
    run = runs(recipe)
    assert "data:image/png;base64," in (run / "report.html").read_text()
    values = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert any("g/l1" in v or "g/cycle_a" in v for line in values for v in (line, line.get("values", {})))


def test_stopped_and_resumed_is_uninterrupted_to_the_bit(recipe, runs, tmp_path):
    whole, part = runs(recipe), tmp_path / "part"
    shutil.copytree(whole, part)
    shutil.rmtree(newest(part))  # as if the run had been killed on its way there
    assert newest(part).name == "step-00000003"
    command(recipe, "resume", part)
    for path in newest(whole).glob("*.safetensors"):
        assert path.read_bytes() == (newest(part) / path.name).read_bytes(), path.name
    first = newest(whole).parent / "step-00000003"
    assert any((first / p.name).read_bytes() != p.read_bytes() for p in newest(whole).glob("*.safetensors"))


def test_a_folder_becomes_a_folder_with_the_same_names(recipe, runs, data, tmp_path, capsys):
    command(recipe, "generate", runs(recipe), "--input", data, "--out", tmp_path / "out", "--device", "cpu")
    made = sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.png"))
    assert made == sorted(p.relative_to(data) for p in data.rglob("*.png"))
    assert "19 files" in capsys.readouterr().out
    run = polygan.load(runs(recipe), device="cpu")
    for name in made[:3]:
        with Image.open(tmp_path / "out" / name) as picture:
            assert (picture.size, picture.mode) == ((16, 16), "RGB")
            shown = np.asarray(picture)
        expected = run.generate(given=data / name).data[0]
        assert np.abs(shown - ((expected.numpy() + 1) * 127.5).transpose(1, 2, 0)).max() <= 0.51


def test_one_file_an_array_and_python(recipe, runs, data, tmp_path):
    run, file = polygan.load(runs(recipe), device="cpu"), data / "cats/cats0.png"
    command(recipe, "generate", runs(recipe), "--input", file, "--out", tmp_path / "one.jpg", "--device", "cpu")
    with Image.open(tmp_path / "one.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (16, 16))
    from_file = run.generate(given=file)
    with Image.open(file) as picture:
        from_picture, from_array = run.generate(given=picture), run.generate(given=np.asarray(picture))
    assert torch.equal(from_file.data, from_picture.data)
    assert torch.equal(from_file.data, from_array.data)
    assert from_file.names == ("cats0",)
    files = from_file.save(tmp_path / "named")
    assert [f.name for f in files] == ["cats0.png", "grid.png"]
    assert run.generate(4).data.shape == (1 if recipe.endswith("pix2pix") else 2, 3, 16, 16) or len(run.generate(4)) > 0
    with pytest.raises(polygan.ConfigError, match="n and given exclude each other"):
        run.generate(4, given=file)


def test_an_input_is_never_overwritten(recipe, runs, tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    command(recipe, "generate", runs(recipe), "--input", tmp_path, "--out", tmp_path, "--device", "cpu", code=1)
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_cycle_goes_both_ways(runs, data):
    run = polygan.load(runs("image/tiny-cyclegan"), device="cpu")
    there, same, back = (run.generate(given=data / "cats/cats0.png", to=to) for to in ("dogs", "", "cats"))
    assert torch.equal(there.data, same.data)
    assert not torch.equal(there.data, back.data)
    with pytest.raises(polygan.ConfigError, match="did you mean 'dogs'"):
        run.generate(given=data / "cats/cats0.png", to="dog")
    set_catalogue(None)


def test_what_a_recipe_needs_of_its_data_is_one_clear_line(data, tmp_path, capsys):
    words = ("--data", data, "--runs", tmp_path / "runs", *options(RUN))
    command("image/tiny-pix2pix", "train", "image/tiny-pix2pix", *words, "--data.pairs", "", code=2)
    assert capsys.readouterr().err.strip().splitlines()[-1].endswith("learns from pairs; add --data.pairs grey")
    command("image/tiny-cyclegan", "train", "image/tiny-cyclegan", *words, "--data.labels", "none", code=2)
    assert "needs two classes" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "runs").exists()
    set_catalogue(None)


def test_two_processes_equal_one(recipe, data, tmp_path):
    settings = {**RUN, "steps": 3, "data": str(data), "model": {"width": 4}, "name": "run"}
    facts = {"plugin": FILES[recipe].name, "recipe": recipe, "settings": settings}
    (tmp_path / "run.json").write_text(json.dumps(facts))
    worlds = launch(HERE / "newcomer_worker.py", {size: tmp_path / f"{size}.safetensors" for size in (1, 2)})
    assert len(worlds[1]) >= 12
    for name, one in worlds[1].items():
        difference = (worlds[2][name] - one).abs().max().item()
        assert difference <= 1e-6 * max(1, one.abs().max().item()), f"{name}: {difference}"


def test_the_conformance_suite(recipe):
    testing.check_recipe(recipe, pets_of_the_bench, {"width": 4}, plugins=[FILES[recipe]])


def pets_of_the_bench(folder):
    return pets(folder / "pets")
