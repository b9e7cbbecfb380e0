"""Facts of a source that an earlier start has found."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN, LINES

from polygan import DataError
from polygan.data import build_store
from polygan_text import domain
from polygan_text.data.known import KnownText

ROWS = "\n".join(
    ["long\tshort\tmood", *(f"{line}\t{line[:12]}\t{'ab'[i % 2]}" for i, line in enumerate(LINES)), "x\ty"]
)
PAIRS = {"given": "long", "column": "short", "label_column": "mood", "max_bad": 0.2}


@pytest.fixture
def forbidden(monkeypatch):
    """Reading the files is an error from the call on."""

    def forbid():
        def read(*_args):
            raise AssertionError("the files are read again")

        monkeypatch.setattr(domain, "read_corpus", read)

    return forbid


def test_a_second_start_reads_no_file_and_trains_no_tokenizer(source, forbidden):
    made, options = source(ROWS.encode(), "rows.tsv", **PAIRS)
    store = build_store(made, options, progress=False)
    forbidden()
    again = DOMAIN.open(options)
    assert isinstance(again, KnownText)
    for what in (
        len,
        lambda s: s.fingerprint(),
        lambda s: s.info,
        lambda s: s.fields,
        lambda s: s.describe(),
        lambda s: s.left_out,
    ):
        assert what(again) == what(made)
    assert build_store(again, options, progress=False).path == store.path


def test_a_store_that_is_gone_is_decoded_from_the_files(source):
    made, options = source(ROWS.encode(), "rows.tsv", **PAIRS)
    store = build_store(made, options, progress=False)
    fields = {name: [store.item(name, i).tobytes() for i in range(len(store))] for name in store.fields}
    shutil.rmtree(store.path)
    again = DOMAIN.open(options)
    other = build_store(again, options, progress=False)
    assert isinstance(again, KnownText)
    assert {name: [other.item(name, i).tobytes() for i in range(len(other))] for name in other.fields} == fields
    assert other.bad == store.bad
    assert again.name(18) == "rows.tsv line 20"


@pytest.mark.parametrize("change", ["settings", "file", "sources", "max_bad", "tokenizer"])
def test_what_changes_the_facts_is_looked_at_again(source, tmp_path, change):
    (tmp_path / "sources.txt").write_text("\n".join(LINES))
    tokenizer = tmp_path / "data.json"
    settings = {"given": str(tmp_path / "sources.txt"), "held_out": 0.0}
    made, options = source(LINES, **settings)
    if change == "tokenizer":
        tokenizer.write_text(made.info["tokenizer"])
        made, options = source(LINES, **settings, tokenizer=str(tokenizer))
        tokenizer.write_text(source(LINES, vocabulary=6, held_out=0.0)[0].info["tokenizer"])
    elif change == "file":
        Path(options.source).write_text("\n".join([*LINES[:-1], "another end"]))
    elif change == "sources":
        (tmp_path / "sources.txt").write_text("\n".join([*LINES[:-1], "another end"]))
    else:
        options = type(options)(
            **{**vars(options), "max_length" if change == "settings" else "max_bad": 0.5 if change == "max_bad" else 4}
        )
    again = DOMAIN.open(options)
    assert not isinstance(again, KnownText)
    assert (again.fingerprint() == made.fingerprint()) == (change == "max_bad")


def test_a_stricter_share_of_bad_rows_is_not_passed_by_known_facts(source):
    content = b"\n".join([b"\xdf", *(line.encode() for line in LINES)])
    _, options = source(content, max_bad=0.2)
    with pytest.raises(DataError, match=r"1 of 19 texts .* cannot be read"):
        DOMAIN.open(type(options)(**{**vars(options), "max_bad": 0.0}))


def test_files_that_change_while_they_are_read_are_said(source):
    made, options = source(LINES)
    build_store(made, options, progress=False)
    again = DOMAIN.open(options)
    path = Path(options.source)
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text(path.read_text().replace("river", "lakes"))
    os.utime(path, ns=times)
    with pytest.raises(DataError, match="the files of the data changed while they were read; start again"):
        again.decode(0)


def test_a_cache_that_cannot_be_written_is_no_error(source, tmp_path):
    made, options = source(LINES)
    (tmp_path / "full").write_text("no folder")
    again = DOMAIN.open(type(options)(**{**vars(options), "cache": str(tmp_path / "full")}))
    assert again.info == made.info
    assert np.array_equal(again.decode(0)["tokens"], made.decode(0)["tokens"])
