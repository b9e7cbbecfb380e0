"""Texts of data sets of the library `datasets`, and of Parquet files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from text_files import DOMAIN

from polygan import ConfigError, DataError
from polygan.data import build_store, split_store
from polygan_text.data.settings import TextSettings

datasets = pytest.importorskip("datasets", reason="datasets is not installed: pip install datasets")

TEXTS = ["a small tool", "a tool", None, "  ", "sounds\r\nand more", "a small sound"]
GIVEN = ["This is a small tool.", "A tool.", "x", "y", None, "It sounds small."]
FEATURES = datasets.Features(
    {
        "short": datasets.Value("string"),
        "long": datasets.Value("large_string"),
        "mood": datasets.ClassLabel(names=["sad", "glad"]),
        "stars": datasets.Value("int8"),
        "tags": datasets.List(datasets.Value("string")),
        "translation": datasets.Translation(languages=["en", "it"]),
    }
)


def rows(count=6):
    cells = {
        "short": TEXTS,
        "long": GIVEN,
        "mood": [0, 1, 1, 0, 1, -1],
        "stars": [1, 5, 5, 1, 5, 1],
        "tags": [["a"]] * 6,
        "translation": [{"en": f"the {i} tools", "it": f"gli {i} attrezzi"} for i in range(6)],
    }
    return datasets.Dataset.from_dict({k: v[:count] for k, v in cells.items()}, features=FEATURES)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def parquet(tmp_path):
    """A folder as the Hub has one."""
    (tmp_path / "set/data").mkdir(parents=True)
    rows().to_parquet(str(tmp_path / "set/data/train-00000-of-00001.parquet"))
    rows(2).to_parquet(str(tmp_path / "set/data/test-00000-of-00001.parquet"))
    (tmp_path / "set/README.md").write_text("# A set\n")
    return tmp_path / "set"


def opened(source, **settings):
    return DOMAIN.open(TextSettings(source=str(source), **{"held_out": 0.0, "column": "short"} | settings))


def texts(source, **settings):
    """All texts of a source, through the store."""
    made = opened(source, **settings)
    split = split_store(build_store(made, TextSettings(source=str(source)), progress=False), 0.0)["train"]
    return DOMAIN.real(split, np.arange(len(split)))


def test_texts_of_a_folder_of_parquet_are_the_rows_of_the_split_for_training(parquet):
    found = texts(parquet)
    assert found.data == ["a small tool", "a tool", "sounds\nand more", "a small sound"]
    left = {line.what: (line.count, line.example) for line in opened(parquet).left_out}
    assert left["rows without text"] == (2, f"{parquet} row 3")
    assert left["rows of the split test"] == (2, "")
    assert left[".md file"][0] == 1


@pytest.mark.parametrize("form", ["file", "saved", "splits", "hf:"])
def test_each_form_gives_the_same_texts(parquet, tmp_path, form):
    place = {"file": parquet / "data/train-00000-of-00001.parquet", "hf:": f"hf:{parquet}"}.get(form, tmp_path / form)
    if form == "saved":
        rows().save_to_disk(place)
    elif form == "splits":
        datasets.DatasetDict({"test": rows(1), "train": rows()}).save_to_disk(place)
    assert texts(place).data == texts(parquet).data
    assert opened(place).fingerprint() == opened(place).fingerprint()


def test_a_split_is_named_after_a_number_sign_and_may_be_the_test_side(parquet):
    assert texts(f"hf:{parquet}#test").data == ["a small tool", "a tool"]
    made = opened(parquet, test=f"{parquet}#test")
    assert [int(made.decode(i)["held_out"]) for i in range(len(made))] == [0, 0, 0, 0, 1, 1]
    with pytest.raises(DataError, match=r"no split 'tset' \(did you mean 'test'\?\); its splits are test, train"):
        opened(f"{parquet}#tset")


def test_classes_come_from_names_of_classes_or_from_values(parquet):
    found = texts(f"{parquet}#test", label_column="mood")
    assert (found.labels.tolist(), found.classes) == ([0, 1], ("sad", "glad"))
    assert texts(f"{parquet}#test", label_column="stars").classes == ("1", "5")
    with pytest.raises(DataError, match="row 6: has no value for 'mood'"):
        opened(parquet, label_column="mood")


def test_pairs_are_two_columns(parquet):
    made = opened(parquet, given="long")
    split = split_store(build_store(made, TextSettings(), progress=False), 0.0)["train"]
    assert DOMAIN.given(split, np.arange(3)).data == [GIVEN[0], GIVEN[1], GIVEN[5]]
    assert {line.what: line.count for line in made.left_out}["texts without a source"] == 1
    found = opened(parquet, column="translation.it", given="translation.en")
    split = split_store(build_store(found, TextSettings(), progress=False), 0.0)["train"]
    assert DOMAIN.real(split, np.arange(2)).data == ["gli 0 attrezzi", "gli 1 attrezzi"]
    assert DOMAIN.given(split, np.arange(2)).data == ["the 0 tools", "the 1 tools"]


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"column": "shrt"}, DataError, r"has no column 'shrt' \(did you mean 'short'\?\), only short, long, mood, stars, tags"),
        ({"column": "stars"}, DataError, "column 'stars' of .* is of int8; columns of string .* are short, long, translation.en"),
        ({"given": "tags"}, DataError, "column 'tags' of .* is of List; .*: name one with --data.given"),
        ({"label_column": "tags"}, DataError, "column 'tags' .* --data.label_column"),
        ({"column": ""}, DataError, "--data.column is empty"),
        ({"given": "short"}, ConfigError, "is also the column of the texts"),
        ({"documents": "file"}, DataError, "each row is a text; leave --data.documents out"),
        ({"test": "hf:nowhere/at-all"}, DataError, "hf:nowhere/at-all cannot be loaded"),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_are_named_with_those_that_are_there(parquet, monkeypatch, settings, error, said):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(error, match=said):
        opened(parquet, **settings)


def test_more_text_than_is_allowed_is_refused(tmp_path):
    big = datasets.Dataset.from_dict({"text": ["word " * 40_000] * 6})
    big.to_parquet(str(tmp_path / "big.parquet"))
    with pytest.raises(DataError, match=r"has more than 1 MB of text; raise --data.max_megabytes"):
        opened(tmp_path / "big.parquet", column="text", max_megabytes=1)


def test_broken_and_empty_files_are_one_line(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"broken.parquet cannot be loaded: ") as caught:
        opened(tmp_path / "broken.parquet")
    assert "\n" not in str(caught.value)
    datasets.Dataset.from_dict(
        {"short": []}, features=datasets.Features({"short": datasets.Value("string")})
    ).to_parquet(str(tmp_path / "none.parquet"))
    with pytest.raises(DataError, match=r"none.parquet (has no rows|cannot be loaded)"):
        opened(tmp_path / "none.parquet")


def test_without_the_library_the_line_to_type_is_named(parquet, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"needs the package datasets; pip install 'polygan-text\[datasets\]'"):
        opened(parquet)
