"""`image/dcgan` through the real command line on folders of pictures, whole ones and bad ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("polygan_image", reason="the image plugin is not installed")
from PIL import Image

import polygan
from polygan.cli import command_line as cli
from polygan.plugins import set_catalogue

sys.path.insert(0, str(Path(__file__).parent))
import survival

pytestmark = pytest.mark.e2e
TINY = ("--model.generator_width", 8, "--model.discriminator_width", 8, "--model.latent_dim", 8, "--precision", "fp32")
SHORT = (
    "--steps",
    6,
    "--batch_size",
    8,
    "--save_every",
    3,
    "--log_every",
    2,
    "--sample_every",
    3,
    "--metrics",
    "image/diversity",
)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    set_catalogue(None)


def command(capsys, *words, code=0):
    """The command line in this process."""
    with pytest.raises(SystemExit) as end:
        cli.main(["--no-plugin", "tensorboard", *map(str, words)])
    out = capsys.readouterr()
    assert (end.value.code or 0) == code, out
    assert "Traceback" not in out.err
    return out


def pictures(folder, count, shape=(28, 28)):
    """Light rings on dark ground, PNG."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(folder.name))
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(folder / f"{i:03d}.png")


def test_pictures_with_classes_from_training_to_report(capsys):
    for name in ("cats", "dogs"):
        pictures(Path("pets") / name, 20)
    words = ("--data", "pets", "--data.labels", "folders", "--name", "pets", *TINY, *SHORT)
    out, err = survival.finish(survival.start("train", "image/dcgan", *words))
    assert "report: runs/pets/report.html" in out
    assert "step 6/6" in err
    page = Path("runs/pets/report.html").read_text()
    assert "data:image/png;base64," in page
    assert "cats, dogs" in page
    survival.finish(survival.start("generate", "runs/pets", "-n", 6, "--seed", 3, "--out", "out"))
    names = [*(f"{i:05d}.png" for i in range(6)), "grid.png", "labels.csv"]
    assert sorted(p.name for p in Path("out").glob("[!.]*")) == names
    with Image.open("out/00000.png") as picture:
        assert (picture.size, picture.mode) == ((28, 28), "L")
        assert np.asarray(picture).std() > 0
    command(capsys, "generate", "runs/pets", "-n", 6, "--seed", 3, "--out", "again")
    assert [p.read_bytes() for p in sorted(Path("out").iterdir())] == [
        p.read_bytes() for p in sorted(Path("again").iterdir())
    ]
    command(capsys, "resume", "runs/pets", "--steps", 9)
    assert survival.newest("runs/pets").name == "step-00000009"
    whole = ("--data", "pets", "--data.labels", "folders", "--name", "whole", *TINY, *SHORT, "--steps", 9)
    command(capsys, "train", "image/dcgan", *whole)
    for path in survival.newest("runs/whole").glob("*.safetensors"):
        assert path.read_bytes() == (survival.newest("runs/pets") / path.name).read_bytes(), path.name


def test_pictures_without_classes(capsys):
    pictures("colours", 24, (28, 28, 3))
    command(capsys, "train", "image/dcgan", "--data", "colours", "--name", "colours", *TINY, *SHORT)
    command(capsys, "generate", "runs/colours", "-n", 3, "--out", "three.png")
    with Image.open("three.png") as grid:
        assert grid.mode == "RGB"
    assert Path("runs/colours/report.html").is_file()
    assert polygan.load("runs/colours", device="cpu").generate(2).labels is None


def test_bad_files_are_named_and_skipped(capsys):
    pictures("mixed", 27)
    whole = Path("mixed/000.png").read_bytes()
    Path("mixed/cut.png").write_bytes(whole[: len(whole) // 2])
    Path("mixed/text.jpg").write_text("this is no picture")
    Path("mixed/zero.png").write_bytes(b"")
    bad = ("cut.png", "text.jpg", "zero.png")
    refused = command(capsys, "train", "image/dcgan", "--data", "mixed", *TINY, *SHORT, "--data.max_bad", 0.05, code=1)
    last = refused.err.strip().splitlines()[-1]
    assert last.startswith("polygan: DataError: 3 of 30 samples")
    assert all(name in last for name in bad)
    assert not Path("runs").exists()
    out = command(
        capsys, "train", "image/dcgan", "--data", "mixed", "--name", "mixed", *TINY, *SHORT, "--data.max_bad", 0.2
    )
    (said,) = [line for line in out.err.splitlines() if "of 'mixed' were skipped" in line]
    assert all(name in said for name in bad)
    assert "3 of 30" in said
    page = Path("runs/mixed/report.html").read_text()
    assert all(name in page for name in bad)
    assert len(polygan.load("runs/mixed").splits()["train"].store) == 27


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: pictures(path, 1), "batch_size = 8 is larger than the data: 1 sample;"),
        (lambda path: path.mkdir(), "no pictures in"),
        (lambda path: path.write_text("no folder"), "neither a folder of pictures nor an IDX"),
    ],
    ids=["one picture", "none", "a file"],
)
def test_too_little_is_one_clear_line(make, message, capsys):
    make(Path("few"))
    out = command(capsys, "train", "image/dcgan", "--data", "few", *TINY, *SHORT, code=1)
    last = out.err.strip().splitlines()[-1]
    assert last.startswith("polygan: DataError: ")
    assert message in last
    assert not Path("runs").exists()


def test_numbers_that_are_not_finite_are_named(capsys):
    data = np.random.default_rng(0).random((30, 28, 28), dtype=np.float32)
    data[:4, 3, 3] = np.nan
    np.savez("floats.npz", images=data)
    out = command(capsys, "train", "image/dcgan", "--data", "floats.npz", *TINY, *SHORT, code=1)
    last = out.err.strip().splitlines()[-1]
    assert last.startswith("polygan: DataError: 4 of 30 samples of 'floats.npz' cannot be read")
    assert "picture 0: has NaN or infinite values at 1 of 784 places" in last
    assert not Path("runs").exists()
