"""The made-up set `streets`: the same by seed, with every class, at many sizes, with and without its label maps."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from made_pairs import DOMAIN, batch

from polygan import ConfigError
from polygan.data import build_store, split_store
from polygan.testing import check_dataset
from polygan_image.data.pairs.scene import NAMES, PAVEMENT, ROAD, SKY
from polygan_image.data.pairs.streets import StreetsSettings, drawn, streets

FEW = StreetsSettings(source="streets", count=6, resolution="64x32")


def stored(**changes):
    settings = replace(FEW, **changes)
    return split_store(build_store(streets(settings), settings, progress=False), 0.3)


def test_streets_pass_the_checks_of_data_sets():
    check_dataset("streets", {"count": 6, "resolution": "64x32"})


def test_a_street_is_the_same_by_seed():
    one, again, other, next_one = (
        drawn(0, 3, (64, 32)),
        drawn(0, 3, (64, 32)),
        drawn(1, 3, (64, 32)),
        drawn(0, 4, (64, 32)),
    )
    assert (one[0] == again[0]).all()
    assert (one[1] == again[1]).all()
    for different in (other, next_one):
        assert (one[0] != different[0]).any()
        assert (one[1] != different[1]).mean() > 0.5
    assert len({streets(replace(FEW, seed=s, count=c)).fingerprint() for s, c in ((0, 6), (1, 6), (0, 7))}) == 3


def test_twenty_streets_have_every_class():
    labels, pictures = map(np.stack, zip(*(drawn(0, i, (128, 64)) for i in range(20)), strict=True))
    assert (labels.shape, pictures.shape) == ((20, 64, 128), (20, 64, 128, 3))
    shares = np.bincount(labels.ravel(), minlength=len(NAMES)) / labels.size
    assert (shares > 0.001).all()
    assert len(shares) == len(NAMES)
    road, sky = (pictures[labels == c].astype(float).mean(0) for c in (ROAD, SKY))
    assert sky.mean() > road.mean() + 40  # the picture has what the label map says
    assert pictures[labels == PAVEMENT].std() > 15  # and light and texture beside


def test_a_batch_has_the_label_map_one_hot():
    train = stored()["train"]
    both, info = batch(train), train.store.info
    assert (info["pairs"], info["given"]["names"]) == ("folders", list(NAMES))
    assert both["image"].shape == (3, 3, 32, 64)
    labels = torch.from_numpy(np.stack([drawn(0, row, (64, 32))[0] for row in train.rows[:3]])).long()
    assert torch.equal(both["given"], torch.nn.functional.one_hot(labels, len(NAMES)).movedim(-1, 1).float())


def test_other_given_sides_are_derived_from_the_streets():
    for options, shape in (({"pairs": "grey"}, (3, 1, 32, 64)), ({"pairs": "smaller", "factor": 4}, (3, 3, 8, 16))):
        train = stored(**options)["train"]
        assert "given" not in train.store.fields
        assert batch(train)["given"].shape == shape
    with pytest.raises(ConfigError, match=r"data.pairs = left reads a folder or an archive"):
        streets(replace(FEW, pairs="left"))
    assert "given" in streets(replace(FEW, pairs="folders")).fields
    for options in ({"given_labels": False}, {"pairs": "folders", "given": "A"}):
        with pytest.raises(ConfigError, match=r"the given side of streets is their label maps"):
            streets(replace(FEW, **options))


@pytest.mark.parametrize("size", [(32, 32), (48, 96), (256, 128)])
def test_streets_are_drawn_at_many_sizes(size):
    labels, picture = drawn(0, 0, size)
    assert (labels.shape, picture.shape) == (size[::-1], (*size[::-1], 3))
    assert {SKY, ROAD} <= set(np.unique(labels).tolist())


def test_a_size_that_is_not_drawn_is_refused():
    assert streets(replace(FEW, resolution=0)).info["width"] == 128
    for resolution in (16, "600x64"):
        with pytest.raises(ConfigError, match=r"outside \[32, 512\].*--data.resolution 128x64"):
            streets(replace(FEW, resolution=resolution))


def test_a_users_label_map_is_read_by_id_and_by_colour(tmp_path):
    train = stored()["train"]
    given = DOMAIN.given(train, train.rows[:2])
    files = given.save(tmp_path / "shown")  # in colours
    (read,) = DOMAIN.read(files[0], train.store.info)
    assert torch.equal(read.data, given.data[:1])
    assert torch.equal(DOMAIN.take(drawn(0, int(train.rows[1]), (64, 32))[0], train.store.info).data, given.data[1:2])
