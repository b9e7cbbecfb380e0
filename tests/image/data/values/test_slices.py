"""A source of another package: slices of volumes on the common base of sources."""

import numpy as np
import pytest

from polygan import DataError
from polygan.data import build_store, split_store
from polygan_image.data import survey
from polygan_image.data.sources import PictureSource
from polygan_image.data.values import crops
from polygan_image.data.values.facts import crop_facts, value_facts
from polygan_image.domain import ImageDomain, ImageSettings


class Slices(PictureSource):
    """The slices of volumes (slices, H, W) of int16."""

    def __init__(self, volumes, settings):
        self.slices = [one for volume in volumes for one in volume]
        sizes = {one.shape[::-1] for one in self.slices}
        self.dtype = "int16"
        self.ragged = settings.keeps_sizes
        self.least_side = min(min(size) for size in sizes)
        self._settle(settings, settings.size if settings.resolution else next(iter(sizes)), 1, None)

    def __len__(self):
        return len(self.slices)

    def fingerprint(self):
        return self._fingerprint(len(self.slices))

    def decode(self, index):
        return {**self._as_fields(self._of_values(self.slices[index][..., None])), **self._labelled(index)}

    def describe(self):
        seen = survey.of_one_kind(len(self), self.slices[0].shape[::-1], 1, self.dtype)
        return [
            *crop_facts(seen, self.settings),
            *value_facts(seen, self.dtype, self.info["window"], self.settings.window),
        ]


def volumes():
    rng = np.random.default_rng(0)
    return [rng.integers(-1000, 2000, shape, dtype=np.int16) for shape in ((3, 20, 24), (2, 30, 18))]


@pytest.mark.parametrize(("options", "shape"), [({"resolution": 16}, (1, 16, 16)), ({"crop": 16}, (None, 1))])
def test_slices_keep_hounsfield_units(tmp_path, options, shape):
    settings = ImageSettings(source="ct", cache=str(tmp_path), window="-1000 1000", held_out=0, **options)
    found = Slices(volumes(), settings)
    assert found.fields["image"] == ("int16", shape)
    split = split_store(build_store(found, settings, progress=False), 0)["train"]
    assert (split.store.info["window"], split.store.info["dtype"]) == ([-1000, 1000], "int16")
    batch = ImageDomain().prepare(ImageDomain().collate(split, np.arange(5), np.zeros((5, 4))), split.store.info)
    assert batch["image"].shape == (5, 1, 16, 16)
    assert (float(batch["image"].min()), float(batch["image"].max())) == (-1, 1)
    if "crop" in options:
        np.testing.assert_array_equal(crops.stored(split.store, "image", 4)[0], volumes()[1][1])
    assert dict(found.describe())["values"] == "int16; black is -1000 and white 1000"


def test_the_window_of_slices_is_found_and_slices_smaller_than_the_crop_are_named(tmp_path):
    settings = ImageSettings(source="ct", cache=str(tmp_path), crop=19, window="full")
    found = Slices(volumes(), settings)
    assert found.info["window"] == [min(v.min() for v in volumes()[:1]), max(v.max() for v in volumes()[:1])]
    with pytest.raises(DataError, match=r"18x30 pixels are smaller than data\.crop = 19"):
        found.decode(4)
