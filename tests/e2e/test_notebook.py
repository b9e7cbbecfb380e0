"""The notebook of the first minutes, executed as it stands, and what its cells show."""

from __future__ import annotations

import base64
import io
import os
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed: pip install nbclient ipykernel")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install nbclient ipykernel")
pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install ipykernel")
for package in ("polygan_image", "polygan_audio", "polygan_text", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed")

NOTEBOOK = Path(__file__).parents[2] / "examples/first_minutes.ipynb"
pytestmark = pytest.mark.e2e


def test_the_notebook_is_stored_without_outputs():
    stored = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(stored)
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert len(code) >= 8
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert NOTEBOOK.stat().st_size < 10_000


def html(cell):
    """What a cell shows as HTML."""
    return "".join(o.data.get("text/html", "") for o in cell.outputs if o.output_type == "execute_result")


def test_its_cells_show_pictures_players_and_sentences(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env={**os.environ})
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    by_start = {cell.source.partition("\n")[0]: cell for cell in code}
    run = html(by_start["digits = polygan.train("])
    assert "image/dcgan" in run
    assert "data:image/png;base64," in run
    samples = html(by_start['samples = digits.generate(16, seed=0, label="3")'])
    assert "Samples(8 x image" in samples
    picture = re.search(r"data:image/png;base64,([^\"]+)", samples)[1]
    assert min(Image.open(io.BytesIO(base64.b64decode(picture))).size) >= 8
    assert (
        by_start["samples.numpy().shape, samples.pil()[0].size"].outputs[0].data["text/plain"]
        == "((16, 1, 8, 8), (8, 8))"
    )
    sounds = html(by_start["drums = polygan.train("])
    assert sounds.count("<audio controls") == 3
    sound = re.search(r"data:audio/wav;base64,([^\"]+)", sounds)[1]
    assert base64.b64decode(sound)[:4] == b"RIFF"
    sentences = re.findall(r"<blockquote[^>]*>([^<]*)</blockquote>", html(by_start["sentences = polygan.train("]))
    assert len(sentences) == 5
    assert sum(len(text.split()) > 2 for text in sentences) >= 3
    scores = by_start['for score in digits.evaluate(["image/duplicates"], samples=200):']
    printed = "".join(o.text for o in scores.outputs if o.output_type == "stream" and o.name == "stdout").splitlines()
    assert printed[0].startswith("image/duplicates")
    assert Path(tmp_path, printed[-1]).is_file()
    assert code[-1].outputs[-1].data["text/plain"] == "160"
