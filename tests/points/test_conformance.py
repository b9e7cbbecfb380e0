"""The example of a third party's domain, found by its entry point as if it were installed, and held to `polygan.testing`."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import torch

import polygan
from polygan.plugins import get_catalogue, set_catalogue
from polygan.testing import Case, parametrize_with_checks

EXAMPLE = Path(__file__).parents[2] / "examples/polygan-points"
SMALL = {"size": 60}
MLP = {"width": 8, "latent_dim": 2}


@pytest.fixture(autouse=True, scope="module")
def installed(tmp_path_factory):
    """The example's distribution on the path, as pip leaves it: its metadata, and its source beside."""
    site = tmp_path_factory.mktemp("site")
    info = site / "polygan_points-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: polygan-points\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[polygan]\npoints = polygan_points\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.syspath_prepend(EXAMPLE / "src")
        set_catalogue(None)
        yield
    set_catalogue(None)
    for name in [n for n in sys.modules if n.partition(".")[0] == "polygan_points"]:
        del sys.modules[name]


@parametrize_with_checks(
    [
        Case("points/mlp", {"source": "ring", **SMALL}, MLP),
        Case("points", {"source": "swiss-roll", **SMALL}, kind="domain"),
        *(Case(name, SMALL, kind="dataset") for name in ("ring", "grid", "swiss-roll")),
        Case("points/modes", {"source": "ring", **SMALL}, MLP, kind="metric", recipe="points/mlp"),
    ]
)
def test_contract(check):
    check()


def test_the_plugin_is_found_by_its_entry_point():
    catalogue = get_catalogue()
    owner = catalogue.owner("domain", "points")
    assert (owner.status, owner.distribution, owner.version) == ("loaded", "polygan-points", "0.1.0")
    assert owner.provides == {"domains": 1, "recipes": 1, "datasets": 3, "metrics": 1}


def test_it_is_small_and_uses_nothing_private():
    files = sorted((EXAMPLE / "src").rglob("*.py"))
    assert sum(len(f.read_text().splitlines()) for f in files) < 300
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "polygan":
                assert node.attr in polygan.__all__, f"{file.name}: polygan.{node.attr}"
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("polygan") and not node.level:
                assert (node.module, [a.name for a in node.names]) == ("polygan", ["losses"])


def test_coverage_by_hand():
    from polygan_points.metrics import covered

    modes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    points = torch.tensor([[0.0, 0.05], [0.01, 0.0], [0.95, 0.0], [0.0, 0.93], [0.5, 0.5]])
    assert covered(points, modes, 0.02) == (2, pytest.approx(3 / 5))


def test_points_of_one_s_own(tmp_path, monkeypatch):
    """From a .csv file, trained through the run, written and drawn."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("".join(f"{i / 50:.3f},{(i % 7) / 7:.3f}\n" for i in range(50)))
    run = polygan.train("points/mlp", "mine.csv", model=MLP, steps=2, batch_size=8, precision="fp32", quiet=True)
    made = run.generate(5)
    written = made.save("out.csv")[0].read_text().splitlines()
    assert written == list(run.domain.lines(made))
    assert len(written) == 5
    (piece,) = run.domain.read(tmp_path / "out.csv", run.recipe.info)
    assert torch.allclose(piece.data, made.data, atol=1e-5)
    assert "data:image/png" in (run.folder / "report.html").read_text()
    assert run.evaluate(quiet=True) == []  # no modes are known
    (tmp_path / "wide.csv").write_text("1,2,3\n")
    with pytest.raises(polygan.DataError, match=r"wide.csv is an array \(1, 3\), not \(n, 2\)"):
        polygan.train("points/mlp", "wide.csv", model=MLP, quiet=True)


@pytest.mark.slow
def test_all_modes_of_the_ring_are_covered(tmp_path):
    run = polygan.train("points/mlp", "ring", runs=str(tmp_path), sample_every=0, quiet=True)
    scores = {s.name: s.value for s in run.evaluate(quiet=True)}
    assert scores["points/modes"] == 8
    assert scores["points/good"] > 0.5
