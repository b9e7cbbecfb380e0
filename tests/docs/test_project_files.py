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
    assert {"pyproject.toml", project(ROOT)["readme"], "LICENSE", "core", "plugins"} <= set(copied)
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


# Workflows

WORKFLOWS = {path.stem: path for path in sorted(ROOT.glob(".github/workflows/*.yml"))}
TOOLS = {"build", "twine", "pip", "venv"}
"""Modules that a workflow runs and that its own steps, or Python, bring."""


def workflow(name):
    found = yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))
    return found, found[True]  # YAML reads the key `on` as true


def steps(found):
    return [step for job in found["jobs"].values() for step in job["steps"]]


def faults(script):
    """What a script of a step names that this checkout does not have."""
    words = shlex.split(re.sub(r"[;\n]", " ; ", script))
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    lines, missing = " ".join("\n" if word in (";", "do", "&&") else shlex.quote(word) for word in words), []
    for line in lines.splitlines():
        parts = shlex.split(line)
        if parts[:1] == ["make"]:
            missing += [word for word in parts[1:] if "=" not in word and word not in targets]
        if "-m" in parts[:2] and parts[0].endswith("python"):
            missing += [module for module in parts[parts.index("-m") + 1 :][:1] if module not in TOOLS]
        for word in [piece for part in parts for piece in part.rpartition("TEST_ARGS=")[2].split()]:
            made = word.startswith(("dist/", "fresh/", "-", "TEST_ARGS")) or "/" not in word
            if not made and not list(ROOT.glob(word.removeprefix("./").rstrip("/"))):
                missing.append(word)
    return missing


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_step_of_a_workflow_runs_what_the_checkout_has(name):
    found, _ = workflow(name)
    assert found["permissions"] == {"contents": "read"}
    for step in steps(found):
        if "uses" in step:
            assert re.fullmatch(r"(actions/[a-z-]+@v\d+|pypa/gh-action-pypi-publish@release/v\d+)", step["uses"])
        else:
            assert faults(step["run"]) == [], step
    assert all("timeout-minutes" in job for job in found["jobs"].values())
    text = WORKFLOWS[name].read_text(encoding="utf-8")
    assert not re.search(r"https?://|secrets\.|password|\w\.(com|org|io)\b", text)
    pythons = {p for job in found["jobs"].values() for p in job.get("strategy", {}).get("matrix", {}).get("python", ())}
    assert "3.11" in pythons


def test_wrong_steps_are_found():
    assert faults("make instal && .ci/runn\npython -m twin check dist/*") == ["instal", ".ci/runn", "twin"]
    assert faults('make test TEST_ARGS="-m slow tests/e2e/gone.py"') == ["tests/e2e/gone.py"]
    assert faults("make lint\nfor p in . plugins/*/; do\n  python -m build --outdir dist $p\ndone") == []


def test_ci_runs_the_script_of_the_checkout():
    found, events = workflow("ci")
    assert [step["run"] for step in steps(found) if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o100
    assert {"push", "pull_request"} <= events.keys()


def test_a_release_checks_and_tests_before_it_publishes_on_a_tag_alone():
    found, events = workflow("release")
    assert events["push"] == {"tags": ["v*"]}
    jobs = found["jobs"]
    assert (jobs["test"]["needs"], jobs["publish"]["needs"]) == ("build", "test")
    assert jobs["publish"]["if"] == "github.event_name == 'push' && startsWith(github.ref, 'refs/tags/v')"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}  # trusted publishing: no secret is stored
    assert not any("permissions" in job for name, job in jobs.items() if name != "publish")
    scripts = "\n".join(step.get("run", "") for step in steps({"jobs": {k: jobs[k] for k in ("build", "test")}}))
    for wanted in (
        "for project in . plugins/*/",
        "twine check --strict dist/*",
        "install -c constraints.txt dist/*.whl",
    ):
        assert wanted in scripts
    assert "tests/e2e/test_wheels.py" in scripts
    assert jobs["publish"]["steps"][-1]["uses"].startswith("pypa/gh-action-pypi-publish@")
