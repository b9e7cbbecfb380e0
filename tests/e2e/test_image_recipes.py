"""Every other recipe of pictures through the real command line: train, resume to the bit, generate."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("polygan_image", reason="the image plugin is not installed")
from PIL import Image

from polygan.cli import command_line as cli
from polygan.plugins import set_catalogue

sys.path.insert(0, str(Path(__file__).parent))
import survival

pytestmark = pytest.mark.e2e
NARROW = ("--model.generator_width", 4, "--model.discriminator_width", 4, "--model.latent_dim", 8)
RECIPES = {
    "stylegan": (
        "--model.channel_base",
        128,
        "--model.channel_max",
        8,
        "--model.latent_dim",
        8,
        "--model.path_weight",
        2,
    ),
    "sngan": (*NARROW, "--model.critic_steps", 2),
    "r3gan": (*NARROW, "--model.depth", 1, "--model.augment", "diffaugment"),
}
ROWS = torch.export.Dim("rows", min=1)
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
    "--precision",
    "fp32",
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


class Means(torch.nn.Module):
    """A feature network: the mean and the deviation of each colour."""

    def forward(self, x):
        return torch.cat([x.mean((2, 3)), x.std((2, 3))], 1)


def pictures(folder, count, size=(32, 32)):
    rng = np.random.default_rng(len(folder.name))
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)).save(folder / f"{i:03d}.png")


@pytest.mark.parametrize("name", RECIPES)
def test_train_resume_generate(name, capsys):
    for folder in ("cats", "dogs"):
        pictures(Path("pets") / folder, 16)
    words = ("--data", "pets", "--data.labels", "folders", "--data.held_out", 0.25, *RECIPES[name], *SHORT)
    out, err = command(capsys, "train", f"image/{name}", "--name", "whole", *words)
    assert "report: runs/whole/report.html" in out
    assert "step 6/6" in err
    first = json.loads(Path("runs/whole/log.jsonl").read_text().splitlines()[0])
    assert [note in err for note in first.get("notes", [])] == [True] * (name != "r3gan") + [True] * (
        name == "stylegan"
    )
    command(capsys, "train", f"image/{name}", "--name", "part", *words)
    for path in (Path("runs/part/checkpoints")).glob("step-00000006/*"):
        path.unlink()  # as if it had been killed on its way there
    command(capsys, "resume", "runs/part")
    for path in survival.newest("runs/whole").glob("*.safetensors"):
        assert path.read_bytes() == (survival.newest("runs/part") / path.name).read_bytes(), path.name
    page = Path("runs/whole/report.html").read_text()
    assert "data:image/png;base64," in page
    command(capsys, "generate", "runs/whole", "-n", 8, "--walk", 4, "--out", "walk.webp")
    with Image.open("walk.webp") as picture:
        assert (picture.n_frames, picture.size) == (8, (32, 32))
    command(capsys, "generate", "runs/whole", "-n", 3, "--label", "dogs", "--out", "dogs")
    assert len(list(Path("dogs").glob("0*.png"))) == 3
    if name == "r3gan":
        torch.export.save(
            torch.export.export(Means(), (torch.zeros(4, 3, 32, 32),), dynamic_shapes=({0: ROWS},)), "means.pt2"
        )
        metrics = ("--metrics", "image/frechet", "image/precision-recall", "--samples", 16)
        out = command(capsys, "evaluate", "runs/whole", "--features", "means.pt2", "--allow-code", *metrics, "--json")
        scores = json.loads(out.out)
        assert [s["name"] for s in scores] == ["image/frechet", "image/precision", "image/recall"]
        assert all("network means.pt2 (sha256 " in s["note"] for s in scores)
        refused = command(capsys, "evaluate", "runs/whole", "--features", "means.pt2", *metrics, code=2)
        assert "add --allow-code" in refused.err
        refused = command(capsys, "evaluate", "runs/whole", "--features", "none.onnx", *metrics, code=2)
        said = (
            "image/frechet and image/precision-recall were left out: features = 'none.onnx': there is no file none.onnx"
        )
        assert said in refused.err
    if name == "stylegan":
        command(capsys, "generate", "runs/whole", "-n", 9, "--mix", "coarse", "--truncation", 0.7, "--out", "mix.png")
        words = ("--project", "pets/cats/000.png", "--project-steps", 4, "--label", "cats", "--out", "way.gif")
        command(capsys, "generate", "runs/whole", "-n", 3, *words)
        assert Path("way.gif").stat().st_size > 500
        assert "truncation = 9" in command(capsys, "generate", "runs/whole", "--truncation", 9, code=2).err


def test_a_size_that_stylegan_does_not_make_is_one_clear_line(capsys):
    pictures(Path("large"), 12, (48, 48))
    out = command(capsys, "train", "image/stylegan", "--data", "large", *SHORT, code=2)
    last = out.err.strip().splitlines()[-1]
    assert "48x48 pixels" in last
    assert last.endswith("--data.resolution 64")
    assert not Path("runs").exists()
