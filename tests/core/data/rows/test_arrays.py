"""What a script hands in becomes one checked array; what cannot be samples is an error that says how to convert it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset, TensorDataset

from polygan import DataError
from polygan.data.rows import arrays
from polygan.data.rows.arrays import arrays_of, is_handed

X = np.arange(12, dtype=np.float32).reshape(6, 2)


class Pairs(torch.utils.data.Dataset):
    """A map-style data set of (x, label)."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return torch.from_numpy(X[index]), index % 2


class Endless(IterableDataset):
    def __iter__(self):
        yield 1


class Nameless(torch.utils.data.Dataset):
    def __getitem__(self, index):
        return index


@pytest.mark.parametrize(
    "data",
    [
        X,
        X.astype(np.float64),
        torch.from_numpy(X),
        torch.from_numpy(X).requires_grad_(),
        torch.from_numpy(X).to(torch.bfloat16),
        list(X),
        [torch.from_numpy(x) for x in X],
        X.tolist(),
    ],
)
def test_every_form_gives_the_same_floats(data):
    found = arrays_of(data)
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, X)
    assert found.labels is None
    assert found.identity == arrays_of(X).identity


def test_a_table_gives_its_columns_of_numbers():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1].astype(int)})
    np.testing.assert_array_equal(arrays_of(table).values, X)
    with pytest.raises(DataError, match=r"column 'name' holds (object|str)"):
        arrays_of(table.assign(name="x"))
    with pytest.raises(DataError, match="sample 1 holds nan"):
        arrays_of(table.assign(a=[0, None, 1, 2, 3, 4]))


def test_bytes_and_booleans_stay_whole_numbers():
    assert arrays_of(X.astype(np.uint8)).values.dtype == np.uint8
    assert arrays_of(X > 3).values.dtype == np.uint8
    assert arrays_of(X.astype(np.uint8)).identity != arrays_of(X).identity


@pytest.mark.parametrize(
    "data",
    [
        Pairs(),
        TensorDataset(torch.from_numpy(X), torch.arange(6) % 2),
        (X, [0, 1] * 3),
        (torch.from_numpy(X), torch.tensor([0.0, 1.0] * 3)),
        [(x, torch.tensor(i % 2)) for i, x in enumerate(X)],
    ],
)
def test_pairs_of_samples_and_labels_have_classes(data):
    found = arrays_of(data)
    np.testing.assert_array_equal(found.values, X)
    assert (found.labels.tolist(), found.classes) == ([0, 1] * 3, ("0", "1"))


def test_names_of_classes_and_other_labels_are_another_identity():
    named, numbered = arrays_of((X, ["dog", "cat"] * 3)), arrays_of((X, [1, 0] * 3))
    assert (named.classes, named.labels.tolist()) == (("cat", "dog"), [1, 0] * 3)
    assert len({named.identity, numbered.identity, arrays_of((X, [0, 1] * 3)).identity, arrays_of(X).identity}) == 4


BAD = [
    ([], "the data is empty"),
    (np.zeros((0, 3)), "the data is empty"),
    (np.zeros((4, 0)), r"shape \(4, 0\), samples without numbers"),
    (np.zeros(5), r"shape \(5,\), one number a sample: write data\[:, None\]"),
    ([X[0], X[0, :1]], r"sample 1 has shape \(1,\), and sample 0 has \(2,\): crop, pad or resize"),
    (np.array([["a", "b"]]), r"the data has dtype <U1, no real numbers"),
    (X + 1j, "dtype complex64, no real numbers"),
    (np.where(X == 5, np.nan, X), r"sample 2 holds nan \(1 of 6 samples do\): drop these samples"),
    (np.where(X == 5, -np.inf, X), "sample 2 holds -inf"),
    ([[1, 2], [3, "x"]], "sample 1 has dtype <U21, no real numbers"),
    ([[[1], [2, 3]]], "sample 0 is no array of numbers"),
    (3, "data = int holds no samples: hand over a tensor"),
    ({"a": 1}.keys(), "data = dict_keys holds no samples"),
    (Endless(), "an IterableDataset has no length"),
    (Nameless(), "the Dataset cannot be read .* give it __len__"),
    ((X, [0] * 6, 1), "data is a tuple of 3"),
    ([(X[0], 1), (X[1], 1, 2)], "sample 1 is a tuple of 3"),
    ((X, [0, 1]), r"labels have shape \(2,\) for 6 samples"),
    ((X, [0, 0.5, 1, 1, 1, 1]), r"label 1 is 0.5, no whole number: hand over classes as labels.astype\(int\)"),
    ((X, [0, np.nan, 1, 1, 1, 1]), "label 1 is nan, no whole number"),
    ((X, [None] * 6), "labels have dtype object"),
]


@pytest.mark.parametrize(("data", "message"), BAD)
def test_what_is_wrong_is_named_with_its_place_and_remedy(data, message):
    with pytest.raises(DataError, match=message) as error:
        arrays_of(data)
    assert "\n" not in str(error.value)


def test_too_many_classes_are_refused(monkeypatch):
    monkeypatch.setattr(arrays, "MOST_CLASSES", 5)
    with pytest.raises(
        DataError, match="labels name 6 classes, more than 5: hand over the samples without these labels"
    ):
        arrays_of((X, range(6)))


def test_names_and_paths_and_settings_are_not_samples(tmp_path):
    assert [is_handed(data) for data in (None, "mnist-5k", tmp_path, {"source": "x"})] == [False] * 4
    assert all(is_handed(data) for data in (X, torch.from_numpy(X), [], (X, X), Pairs()))
