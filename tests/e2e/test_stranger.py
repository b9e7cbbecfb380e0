"""The way of a stranger: polygan from wheels in an environment of its own, a plugin from `polygan new`, and out again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("polygan_image", reason="the image plugin is not installed")

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parents[2]
OURS = ("polygan", "_polygan", "__editable__", "_editable_impl_")
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation")


def environment(folder):
    """A fresh virtual environment that sees what this process's has, but nothing of polygan; returns its folder of commands."""
    venv.create(folder, with_pip=False)
    links = folder / "dependencies"
    links.mkdir()
    for place in (Path(p) for p in sys.path if Path(p).name in ("site-packages", "dist-packages") and Path(p).is_dir()):
        for entry in place.iterdir():
            link = links / entry.name
            if not entry.name.startswith(OURS) and entry.suffix != ".pth" and not link.is_symlink():
                link.symlink_to(entry)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "dependencies.pth").write_text(f"{links}\n")
    return folder / "bin"


class Stranger:
    """Somebody in an empty folder, with the commands of an environment."""

    def __init__(self, commands, place):
        self.commands, self.place = commands, place
        place.mkdir()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "POLYGAN", "PIP", "VIRTUAL_ENV"))}
        self.variables = {**kept, "OMP_NUM_THREADS": "1", "POLYGAN_CACHE": str(place.parent / "cache")}
        self.variables["PYTHONDONTWRITEBYTECODE"] = "1"

    def __call__(self, command, *words, code=0, folder="."):
        """Run a command of the environment; what it printed."""
        done = subprocess.run(
            [self.commands / command, *map(str, words)],
            cwd=self.place / folder,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, f"{command} {words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def listed(self):
        """{(kind, id): distribution} of `polygan list`."""
        return {(r["kind"], r["id"]): r["distribution"] for r in json.loads(self("polygan", "list", "--json"))}


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed: pip install hatchling")
@pytest.mark.skipif(os.name != "posix", reason="symbolic links")
def test_a_stranger_s_plugin_comes_and_goes(tmp_path):
    stranger = Stranger(environment(tmp_path / "venv"), tmp_path / "work")
    wheels = tmp_path / "wheels"
    stranger("python", *PIP, "wheel", *OFFLINE, "--wheel-dir", wheels, ROOT, ROOT / "plugins/image")
    assert [w.name.partition("-")[0] for w in sorted(wheels.iterdir())] == ["polygan", "polygan_image"]
    stranger("python", *PIP, "install", *OFFLINE, *wheels.iterdir())
    where = "import polygan, polygan_image; print(polygan.__file__); print(polygan_image.__file__)"
    for file in stranger("python", "-c", where).splitlines():
        assert Path(file).is_relative_to(tmp_path / "venv"), file
    before = stranger.listed()
    assert set(before.values()) == {"polygan-image"}

    said = stranger("polygan", "new", "music")
    assert "  polygan train music/mlp --data music-example\n" in said
    stranger("python", *PIP, "install", *OFFLINE, "./polygan-music")
    brought = {("domain", "music"), ("recipe", "music/mlp"), ("dataset", "music-example"), ("metric", "music/energy")}
    assert stranger.listed() == before | dict.fromkeys(brought, "polygan-music")

    quick = ("--no-plugin", "tensorboard")
    stranger("polygan", "train", "music/mlp", "--data", "music-example", "--steps", 50, "--name", "first", *quick)
    stranger("polygan", "generate", "runs/first", "-n", 5, "--seed", 3, "--out", "out.csv")
    rows = np.loadtxt(stranger.place / "out.csv", delimiter=",")
    assert rows.shape == (5, 2)
    assert np.unique(rows, axis=0).shape == (5, 2)
    (score,) = json.loads(stranger("polygan", "evaluate", "runs/first", "--json"))
    assert score["name"] == "music/energy"
    assert 0 <= score["floor"] < score["value"]
    report = stranger.place / "runs/first/report.html"
    report.unlink()
    stranger("polygan", "report", "runs/first")
    assert "music/energy" in report.read_text("utf-8")
    passed = stranger("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", folder="polygan-music")
    assert " passed" in passed.splitlines()[-1]

    stranger("python", *PIP, "uninstall", "--yes", "polygan-music")
    assert stranger.listed() == before
    said = stranger("polygan", "train", "image/dcgan", "--data", "pictures", "--dry-run")
    assert "recipe: image/dcgan\n" in said
    said = stranger("polygan", "report", "runs/first")
    assert said.strip() == "runs/first/report.html"
