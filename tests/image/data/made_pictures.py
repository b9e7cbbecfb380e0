"""Pictures that are made and opened as a source, for the tests of this folder."""

import numpy as np

from polygan_image.domain import ImageDomain, ImageSettings


def source(path, **options):
    return ImageDomain().open(ImageSettings(source=str(path), **options))


def gradient(width=8, height=8):
    return np.add.outer(np.arange(height) * 4, np.arange(width) * 8).astype(np.uint8)


def one(folder, name, picture, **options):
    """What a single saved picture is decoded to."""
    folder.mkdir(exist_ok=True)
    save = {k: options.pop(k) for k in ("exif", "quality") if k in options}
    picture.save(folder / name, **save)
    return source(folder, **options).decode(0)["image"]
