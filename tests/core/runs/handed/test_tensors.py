"""The domain ``tensor``: floats stay, bytes become [-1, 1], pictures are shown, and the score of equal samples is 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import polygan
from polygan.data.build import build_store
from polygan.data.rows.arrays import arrays_of
from polygan.data.source import DataSettings
from polygan.data.store import split_store
from polygan.runs.handed.tensors import TensorDomain, TensorSource, sliced_distance

DOMAIN = TensorDomain()
PICTURES = np.arange(5 * 3 * 4 * 4, dtype=np.uint8).reshape(5, 3, 4, 4)


def split(data, tmp_path):
    source = DOMAIN.source_of(arrays_of(data), None)
    return split_store(build_store(source, DataSettings(cache=str(tmp_path)), progress=False), 0)["train"]


def test_bytes_are_seen_between_minus_one_and_one(tmp_path):
    train = split((PICTURES, range(5)), tmp_path)
    rows = np.arange(5)
    batch = DOMAIN.prepare(DOMAIN.collate(train, rows, np.zeros((5, 4))), train.store.info)
    torch.testing.assert_close(batch["sample"], torch.from_numpy(PICTURES).float() / 127.5 - 1)
    real = DOMAIN.real(train, rows)
    assert torch.equal(real.data, batch["sample"])
    assert real.class_names() == list("01234")
    assert real.labels.tolist() == batch["label"].tolist() == list(range(5))


def test_floats_stay_as_they_are(tmp_path):
    data = np.linspace(-9, 9, 20, dtype=np.float32).reshape(10, 2)
    assert np.array_equal(DOMAIN.real(split(data, tmp_path), np.arange(10)).numpy(), data)


def test_the_facts_of_samples_are_told():
    facts = dict(TensorSource(arrays_of((PICTURES, [0, 1, 0, 1, 1]))).describe())
    assert facts["shape"] == "3x4x4"
    assert facts["values"].endswith("(uint8), which networks see in [-1, 1]")
    assert facts["classes"] == "2"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PICTURES.astype(np.int64), "the data has dtype int64: samples are floats, or uint8 for bytes; convert"),
        (PICTURES.astype(np.float32), r"sample 4 holds 239, .* in \[-1, 1\]: convert with data / 127.5 - 1"),
        (np.full((2, 1, 2, 2), -40.0), r"sample 0 holds -40, .* convert with 2 \* \(x - min\)"),
    ],
)
def test_another_type_or_range_is_an_error_that_says_how_to_convert(data, message):
    with pytest.raises(polygan.DataError, match=message):
        TensorSource(arrays_of(data))


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4), (3, 4, 4), (7,), (2, 5)])
def test_samples_of_every_shape_are_drawn_and_written(shape, tmp_path):
    samples = polygan.Samples(torch.zeros(3, *shape), DOMAIN)
    (piece,) = DOMAIN.render(samples)
    assert piece.png.startswith(b"\x89PNG")
    (file,) = samples.save(tmp_path / "out.npy")
    assert np.load(file).shape == (3, *shape)


def test_pictures_become_pillow_pictures():
    data = torch.stack([torch.full((3, 2, 5), -1.0), torch.full((3, 2, 5), 1.0)])
    black, white = polygan.Samples(data, DOMAIN).pil()
    assert (black.size, black.mode, black.getpixel((0, 0)), white.getpixel((4, 1))) == (
        (5, 2),
        "RGB",
        (0,) * 3,
        (255,) * 3,
    )
    assert [p.mode for p in polygan.Samples(data[:, :1], DOMAIN).pil()] == ["L", "L"]
    with pytest.raises(polygan.ConfigError, match=r"samples \(2,\) are no pictures"):
        polygan.Samples(torch.zeros(1, 2), DOMAIN).pil()


def test_the_sliced_distance_of_moved_samples():
    a = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    assert sliced_distance(a, a[torch.randperm(500)]) < 1e-7
    # A shift by v moves a projection by |v . theta|, whose mean over the sphere in 3 dimensions is |v| / 2.
    assert sliced_distance(a, a + torch.tensor([2.0, 0, 0])) == pytest.approx(1.0, rel=0.1)
