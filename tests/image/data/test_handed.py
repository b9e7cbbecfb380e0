"""Pictures in memory are the data of a recipe of pictures: every layout, type and label; wrong ones are errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import polygan
from polygan.data.build import build_store
from polygan.data.rows.arrays import arrays_of
from polygan.data.store import split_store
from polygan_image.domain import ImageDomain, ImageSettings

DOMAIN = ImageDomain()
NCHW = torch.arange(6 * 3 * 8 * 8).reshape(6, 3, 8, 8).to(torch.uint8)


def real(data, tmp_path, **settings):
    settings = ImageSettings(cache=str(tmp_path), **settings)
    source = DOMAIN.source_of(arrays_of(data), settings)
    split = split_store(build_store(source, settings, progress=False), 0)["train"]
    return DOMAIN.real(split, np.arange(len(split)))


@pytest.mark.parametrize("data", [NCHW, NCHW.movedim(1, 3).numpy(), list(NCHW)])
def test_bytes_of_every_layout_are_the_same_pictures(data, tmp_path):
    assert torch.equal(real(data, tmp_path).data, NCHW.float() / 127.5 - 1)


def test_labels_become_classes_unless_they_are_not_wanted(tmp_path):
    samples = real((NCHW[:, :1], ["cat", "dog"] * 3), tmp_path)
    assert samples.class_names() == ["cat", "dog"] * 3
    assert real((NCHW[:, :1], [0, 1] * 3), tmp_path, labels="none").labels is None


def test_floats_have_their_own_window(tmp_path):
    data = torch.linspace(0, 1, 6 * 64).reshape(6, 1, 8, 8)
    torch.testing.assert_close(real(data, tmp_path).data, data * 2 - 1)
    torch.testing.assert_close(real(data, tmp_path, window="-1 1").data, data)


def test_settings_of_pictures_hold_for_pictures_in_memory(tmp_path):
    assert real(NCHW, tmp_path, resolution=4).data.shape == (6, 3, 4, 4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (NCHW.long(), "data: pictures of type int64"),
        (torch.zeros(6, 64), r"data: an array of shape \(6, 64\)"),
        (torch.zeros(2, 1, 8, 8, 8), r"data: an array of shape \(2, 1, 8, 8, 8\)"),
    ],
)
def test_what_is_no_pictures_is_named(data, message, tmp_path):
    with pytest.raises(polygan.DataError, match=message):
        real(data, tmp_path)


def test_samples_become_pillow_pictures(tmp_path):
    made = real(NCHW, tmp_path).pil()
    assert [p.mode for p in made] == ["RGB"] * 6
    assert np.array_equal(np.asarray(made[5]), NCHW[5].movedim(0, 2).numpy())


def test_a_recipe_of_pictures_is_trained_on_a_tensor(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYGAN_CACHE", str(tmp_path / "cache"))
    quick = {"batch_size": 4, "precision": "fp32", "hang_timeout": 0, "quiet": True, "sample_every": 0}
    data = torch.randint(0, 256, (12, 1, 32, 32), dtype=torch.uint8)
    run = polygan.train("image/dcgan", data, steps=1, model={"generator_width": 4, "discriminator_width": 4}, **quick)
    assert polygan.load(run.folder).generate(2).data.shape == (2, 1, 32, 32)
    assert polygan.resume(run.folder, steps=2, quiet=True).step == 2
