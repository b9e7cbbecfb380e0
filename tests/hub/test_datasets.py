"""Data sets of the Hub as data, `hf:OWNER/NAME`: the real library `datasets` against the stub, in a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("datasets", reason="datasets is not installed: pip install datasets")
pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("polygan_text", reason="the text plugin is not installed")
from pyarrow import parquet
from stub_hub import TOKEN

OPEN = """
import json, sys
import polygan
from polygan_text.data.settings import TextSettings
from polygan_text.domain import TextDomain

said = []
for source in sys.argv[1:]:
    try:
        found = TextDomain().open(TextSettings(source=source, column="short", held_out=0.0))
        said.append([getattr(found, "whole", found).corpus.text(i) for i in range(len(found))] + [line.what for line in found.left_out])
    except polygan.DataError as error:
        said.append(str(error))
print(json.dumps(said))
"""


def table(*texts):
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"short": texts}), file)
    return file.getvalue()


@pytest.fixture
def said(hub, tmp_path):
    """What is read of each source, or the error."""

    def run(*sources, **variables):
        settings = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1", **variables}
        done = subprocess.run(
            [sys.executable, "-c", OPEN, *sources],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


def test_a_data_set_of_the_hub_is_read_by_name_revision_and_split_and_refusals_are_one_line(hub, said):
    old = hub.make("me/dated", {"data/train-00000-of-00001.parquet": table("an old text")})
    hub.make(
        "me/words",
        {
            "data/train-00000-of-00001.parquet": table("one", "two"),
            "data/test-00000-of-00001.parquet": table("three and four"),
        },
    )
    hub.make("me/dated", {"data/train-00000-of-00001.parquet": table("a new text")})
    hub.make("me/gated", {"data/train-00000-of-00001.parquet": table("one")})
    hub.repos["me/gated"]["gated"] = True
    newest, by_split, by_commit, gated, absent, revision = said(
        "hf:me/words", "hf:me/words#test", f"hf:me/dated@{old}", "hf:me/gated", "hf:me/nothing", "hf:me/words@v9"
    )
    assert newest == ["one", "two", "rows of the split test"]
    assert by_split == ["three and four", "rows of the split train"]
    assert by_commit == ["an old text"]
    assert gated.startswith("hf:me/gated cannot be loaded: Dataset 'me/gated' is a gated dataset on the Hub")
    assert absent.startswith(
        "hf:me/nothing cannot be loaded: Dataset 'me/nothing' doesn't exist on the Hub or cannot be accessed"
    )
    assert revision.startswith("hf:me/words@v9 cannot be loaded: ")
    assert all("\n" not in text for text in (gated, absent, revision))
    assert not [path for _, path in hub.requests if "telemetry" in path]
    hub.requests.clear()
    kept, offline = said("hf:me/words", "hf:me/never-seen", HF_HUB_OFFLINE="1")
    assert kept[:2] == ["one", "two"]
    assert offline.startswith("hf:me/never-seen cannot be loaded: ")
    assert hub.requests == []


def test_the_domain_of_a_data_set_of_the_hub_has_to_be_named(capsys):
    from polygan.cli import command_line
    from polygan.plugins import load_catalogue, set_catalogue

    set_catalogue(load_catalogue())
    with pytest.raises(SystemExit) as end:
        command_line.main(["data", "hf:me/words"])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "data 'hf:me/words' holds files of " in said
    assert "name the domain with --domain" in said
