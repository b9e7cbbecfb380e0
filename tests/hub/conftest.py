"""A Hub on the loopback address, a token of its own, and one short run of the toy recipe that the tests push."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "hub")]  # toy_runs, the toys and the stub are modules of these folders

import toy_runs
from stub_hub import TOKEN, StubHub


def catalogue():
    from polygan.plugins import load_catalogue, set_catalogue

    set_catalogue(load_catalogue(files=[TESTS / "toy_gan.py"]))


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """The Hub, whose token the user has; the working folder is empty, and so is polygan's cache."""
    from huggingface_hub import constants

    from polygan.plugins import set_catalogue

    stub = StubHub()
    monkeypatch.setenv("HF_ENDPOINT", stub.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    catalogue()
    yield stub
    set_catalogue(None)
    stub.stop()


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a finished run; tests that change it take a copy (`run`)."""
    folder = tmp_path_factory.mktemp("trained")
    before = os.getcwd()
    os.chdir(folder)
    try:
        catalogue()
        run = toy_runs.train(steps=4, batch_size=8, evaluate_every=4, name="toy", evaluate_samples=16, save_every=2)
    finally:
        os.chdir(before)
    return run.folder if run.folder.is_absolute() else folder / run.folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run, to change."""
    import shutil

    return Path(shutil.copytree(trained, tmp_path / "runs/toy"))
