"""The first minutes by pip: wheels of every project, their content, and what polygan says before and after a plugin is installed."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
stranger = pytest.importorskip("test_stranger", reason="the image plugin is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed: pip install hatchling"),
    pytest.mark.skipif(os.name != "posix", reason="symbolic links"),
]
ROOT = Path(__file__).parents[2]
PROJECTS = {"polygan": ROOT} | {
    f"polygan_{p.name}": p for p in sorted(ROOT.glob("plugins/*")) if (p / "pyproject.toml").is_file()
}
LARGEST = {"polygan": 350_000}
"""Bytes of a wheel; 300,000 where no other number stands. All of the core is code: 119 files, of which the largest has 5,200 bytes."""
DATA = {
    "polygan": [
        "polygan/py.typed",
        "polygan/report/report.css",
        "polygan/cli/templates/pyproject.toml.template",
        "polygan/cli/templates/own/README.md.template",
        "polygan/cli/templates/joined/README.md.template",
    ],
    "polygan_hub": ["polygan_hub/templates/card.md.j2"],
}
"""Files that are no Python code and that a wheel must carry."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A wheel of each project, by package, built as pip builds them."""
    place = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, *stranger.PIP, "wheel", *stranger.OFFLINE, "--wheel-dir", place, *PROJECTS.values()]
    subprocess.run(command, check=True, timeout=300)
    return {wheel.name.partition("-")[0]: wheel for wheel in place.iterdir()}


def files_of(package, folder):
    """The files of a package in the checkout, as a wheel names them."""
    source = next(path for path in (folder / "core" / package, folder / "src" / package) if path.is_dir())
    found = (path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {f"{package}/{path.relative_to(source).as_posix()}" for path in found}


def test_each_wheel_is_small_and_holds_exactly_the_package_with_its_data_and_licence(wheels):
    assert set(wheels) == set(PROJECTS)
    for package, wheel in wheels.items():
        assert wheel.stat().st_size < LARGEST.get(package, 300_000), wheel.name
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
            (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
            facts = email.message_from_bytes(archive.read(metadata))
        info = metadata.removesuffix("METADATA")
        assert {n for n in names if not n.startswith(info)} == files_of(package, PROJECTS[package])
        assert {f"{package}/py.typed", *DATA.get(package, ())} <= names
        assert f"{info}licenses/LICENSE" in names
        assert facts["License-Expression"] == "MIT"
        assert facts["Description-Content-Type"] == "text/markdown"
        assert facts.get_payload().startswith("# ")
        classifiers = facts.get_all("Classifier")
        assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)} <= set(classifiers)


@pytest.fixture(scope="module")
def sdists(tmp_path_factory):
    """An sdist of each project."""
    place = tmp_path_factory.mktemp("sdists")
    for folder in PROJECTS.values():
        command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", place]
        subprocess.run(command, cwd=folder, check=True, timeout=120, capture_output=True)
    return {sdist.name.partition("-")[0]: sdist for sdist in place.iterdir()}


def test_an_sdist_holds_its_own_project_alone(sdists):
    assert set(sdists) == set(PROJECTS)
    for package, sdist in sdists.items():
        with tarfile.open(sdist) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        inside = "core" if package == "polygan" else "src"
        own = {f"{inside}/{name}" for name in files_of(package, PROJECTS[package])}
        rest = {"LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"}
        rest |= {"polygan": {"CHANGELOG.md", "PYPI.md"}, "polygan_image": {"PYPI.md"}}.get(package, set())
        assert names == own | rest, package


@pytest.mark.skipif(find_spec("twine") is None, reason="twine is not installed: pip install twine")
def test_twine_finds_no_fault(wheels, sdists):
    built = [*wheels.values(), *sdists.values()]
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *built], check=True, timeout=120)


def test_the_core_alone_says_what_to_install_and_the_plugins_then_train(wheels, tmp_path):
    user = stranger.Stranger(stranger.environment(tmp_path / "venv"), tmp_path / "work")
    # Without --no-deps: pip finds every requirement of the wheels fulfilled by what is installed.
    install = ("python", *stranger.PIP, "install", "--no-index", "--no-build-isolation")
    user(*install, wheels["polygan"])
    said = user("polygan", "list")
    assert said.startswith('no recipe, because no plugin brings one: pip install "polygan[all]"')
    for package in PROJECTS.keys() - {"polygan"}:
        assert f"pip install {package.replace('_', '-')}" in said
    refused = subprocess.run(
        [user.commands / "polygan", "train", "image/dcgan", "--data", "x"],
        cwd=user.place,
        env=user.variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert refused.returncode == 2
    assert refused.stderr == (
        "polygan: ConfigError: no recipe 'image/dcgan'; the plugin polygan-image is not installed: pip install polygan-image\n"
    )
    found = json.loads(user("polygan", "doctor", "--json"))
    assert found["works"]
    assert [p["name"] for p in found["plugins"]] == ["tensorboard"]
    assert {
        "extra": "polygan[image]",
        "lacks": "polygan-image<0.2,>=0.1",
        "type": 'pip install "polygan[image]"',
    } in found["missing"]
    assert "Python" in user("polygan", "doctor") or "python" in user("polygan", "doctor")

    user(*install, *(wheel for package, wheel in wheels.items() if package != "polygan"))
    assert {"image/dcgan", "text/seqgan"} <= {id for _, id in user.listed()}
    assert json.loads(user("polygan", "doctor", "--json"))["faults"] == []
    (user.place / "pictures").mkdir()
    for i, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), np.uint8)):
        Image.fromarray(pixels).save(user.place / "pictures" / f"{i}.png")
    small = ("--data.resolution", 16, "--batch_size", 4, "--steps", 3, "--name", "toy", "--no-plugin", "tensorboard")
    user("polygan", "train", "image/dcgan", "--data", "pictures", *small)
    assert (user.place / "runs/toy/report.html").is_file()
