"""Data sets of the library `datasets`: which places are such sets, which split is read, and columns that do not fit."""

from __future__ import annotations

import sys
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

import polygan

datasets = pytest.importorskip("datasets", reason="datasets is not installed: pip install datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


def rows(*words):
    features = datasets.Features(
        {"word": datasets.Value("string"), "kind": datasets.ClassLabel(names=["short", "long"])}
    )
    return datasets.Dataset.from_dict({"word": words, "kind": [len(w) > 3 for w in words]}, features=features)


def words(source):
    return [row["word"] for part in polygan.open_table(str(source), "it").batches("word") for row in part]


def test_places_that_are_no_tables(tmp_path):
    (tmp_path / "deep/er").mkdir(parents=True)
    rows("a").to_parquet(str(tmp_path / "deep/er/a.parquet"))
    assert not any(
        map(polygan.is_table, (str(tmp_path), str(tmp_path / "deep"), str(tmp_path / "gone.parquet"), "", "mnist"))
    )
    assert all(map(polygan.is_table, (str(tmp_path / "deep/er"), str(tmp_path / "deep/er/a.parquet"), "hf:x")))


def test_names_of_files_and_folders_tell_the_splits(tmp_path):
    for place, word in {
        "data/train-0.parquet": "train", "data/attest.parquet": "attest", "data/my_dev.parquet": "dev",
        "data/validation/0.parquet": "valid", "data/Test-00000-of-00001.parquet": "test",
    }.items():  # fmt: skip
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        rows(word).to_parquet(str(tmp_path / place))
    assert sorted(words(tmp_path)) == ["attest", "train"]
    assert sorted(words(f"{tmp_path}#test")) == ["dev", "test", "valid"]
    assert words(tmp_path / "data/my_dev.parquet") == ["dev"]


def test_rows_are_read_from_threads_and_classes_are_names(tmp_path):
    rows("a", "bbbb", "c").save_to_disk(tmp_path / "set")
    table = polygan.open_table(str(tmp_path / "set"), "it")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: table.row(i % 3, "word")["word"], range(60))) == ["a", "bbbb", "c"] * 20
    assert list(table.batches("word", "kind", size=2)) == [
        [{"word": "a", "kind": "short"}, {"word": "bbbb", "kind": "long"}], [{"word": "c", "kind": "short"}],
    ]  # fmt: skip
    assert (len(table), table.kinds, table.place(1)) == (
        3, {"word": "string", "kind": "ClassLabel"}, f"{tmp_path / 'set'} row 2",
    )  # fmt: skip
    assert table.check("word", "--x", "string") == "word"
    with pytest.raises(
        polygan.DataError, match=r"no column 'wrd' \(did you mean 'word'\?\), only word, kind; name one with --x"
    ):
        table.check("wrd", "--x", "string")
    with pytest.raises(
        polygan.DataError, match=r"column 'kind' of .* is of ClassLabel; no column is of Audio: name one with --x"
    ):
        table.check("kind", "--x", "Audio")


def test_a_set_of_several_configurations_says_how_to_name_one(monkeypatch):
    def refuse(path):
        raise ValueError("Config name is missing.\nPlease pick one among the available configs: ['en', 'it']")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(polygan.DataError, match=r"\['en', 'it'\]; name one as hf:me/x:CONFIGURATION"):
        polygan.open_table("hf:me/x", "it")


def test_progress_bars_of_the_library_stay_as_they_were(monkeypatch):
    seen, data = [], rows("a")
    library = types.SimpleNamespace(
        load_dataset=lambda path: seen.append("load") or data,
        is_progress_bar_enabled=lambda: True,
        disable_progress_bars=lambda: seen.append("off"),
        enable_progress_bars=lambda: seen.append("on"),
    )
    monkeypatch.setitem(sys.modules, "datasets", library)
    polygan.open_table("hf:me/x", "it")
    assert seen == ["off", "load", "on"]
