"""The files for others than users: the image of Docker and the citation fit the checkout, and the packages fit each other."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import polygan

ROOT = Path(__file__).parents[2]
PROJECTS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_names_this_version_and_licence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["version"] == polygan.__version__
    assert cited["license"] == project(ROOT)["license"]


def test_the_image_of_docker_copies_and_installs_what_is_there():
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "core", "plugins"} <= set(copied)
    (install,) = (line for line in lines if "pip install" in line)
    folders = {re.sub(r"\[.*\]", "", word) for word in shlex.split(install) if word.startswith(".")}
    assert folders == {".", *(f"./plugins/{folder.name}" for folder in PROJECTS[1:])}
    assert json.loads(lines[-2].removeprefix("ENTRYPOINT ")) == ["polygan"]


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: folder.name)
def test_a_package_says_its_licence_readme_and_pythons(folder):
    facts = project(folder)
    assert (folder / facts["readme"]).is_file()
    assert all((folder / name).is_file() for name in facts["license-files"])
    pythons = {c.rpartition(" ")[2] for c in facts["classifiers"] if "Python :: 3." in c}
    assert pythons == {"3.11", "3.12", "3.13", "3.14"}
    assert facts["requires-python"] == f">={min(pythons)}"


def test_all_brings_each_plugin_and_the_extra_of_each_plugin_brings_it_alone():
    extras = project(ROOT)["optional-dependencies"]
    names = [project(folder)["name"] for folder in PROJECTS[1:]]
    assert sorted(Requirement(text).name for text in extras["all"]) == names
    for name in names:
        assert [Requirement(text).name for text in extras[name.removeprefix("polygan-")]] == [name]


def test_whoever_needs_torchaudio_bounds_torch_as_the_checkout_does():
    (bound,) = (
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split("\n")
        if "torch" in line and "#" not in line
    )
    for folder in PROJECTS:
        needs = {r.name: r for r in map(Requirement, project(folder)["dependencies"])}
        if "torchaudio" in needs:
            assert str(needs["torch"]) == bound
