"""Folders of pairs that tests make."""

import numpy as np
from PIL import Image

from polygan.data import build_store, split_store
from polygan_image.domain import ImageDomain, ImageSettings

DOMAIN = ImageDomain()
PALETTE = [0, 0, 0, 200, 10, 10, 10, 200, 10]
"""Colours of the classes 0, 1 and 2."""


def photo(seed=0, height=8, width=8, channels=3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def ids(seed=0, height=8, width=8, classes=3):
    """A label map of whole blocks, with every class."""
    few = np.random.default_rng(seed).integers(0, classes, (height // 2, width // 2), dtype=np.uint8)
    few.flat[:classes] = range(classes)
    return few.repeat(2, 0).repeat(2, 1)


def palette_map(seed=0, palette=PALETTE, **options):
    picture = Image.fromarray(ids(seed, **options), "P")
    picture.putpalette(palette)
    return picture


def save(root, **pictures):
    """Save pictures under names such as ``A__1__png``: two underscores for each / and the dot before the suffix."""
    for name, picture in pictures.items():
        *folders, stem, suffix = name.split("__")
        path = root.joinpath(*folders, f"{stem}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return root


def folders(root, given="given", made="image", count=6, make=photo, **options):
    """``count`` pairs; ``make(seed)`` makes what is given."""
    for i in range(count):
        save(root, **{f"{made}__{i}__png": photo(i, **options), f"{given}__{i}__png": make(i + 100, **options)})
    return root


def source(path, pairs="folders", **options):
    return DOMAIN.open(ImageSettings(source=str(path), pairs=pairs, **options))


def stored(path, pairs="folders", **options):
    """The source and its splits."""
    settings = ImageSettings(source=str(path), pairs=pairs, **options)
    opened = DOMAIN.open(settings)
    return opened, split_store(build_store(opened, settings, progress=False), 0.3)


def batch(split, n=3):
    collated = DOMAIN.collate(split, split.rows[:n], np.zeros((n, DOMAIN.draws)))
    return DOMAIN.prepare(collated, split.store.info)


def facts(opened):
    return {fact.name: fact.text for fact in opened.describe()}
