"""A toy source of bars in three classes, and generators of known faults."""

from dataclasses import replace

import numpy as np
import torch

from polygan import Samples
from polygan_image.domain import ImageDomain

DOMAIN = ImageDomain()
CLASSES = 3


def bars(labels, seed, noise=30):
    """uint8 (n, 8, 8): class 0 has a bright row, 1 a bright column, 2 a bright diagonal, in one of several places."""
    rng = np.random.default_rng(seed)
    images = np.zeros((len(labels), 8, 8))
    for image, label, place in zip(images, labels, rng.integers(1, 6, len(labels)), strict=True):
        if label == 0:
            image[place] = 220
        elif label == 1:
            image[:, place] = 220
        else:
            image += 220 * np.eye(8, k=int(place) - 3)
    return (images + rng.normal(0, noise, images.shape)).clip(0, 255).astype(np.uint8)


def float_bars(labels, seed, noise=30):
    return torch.from_numpy(bars(labels, seed, noise))[:, None] / 127.5 - 1


def good(n, seed):
    labels = np.arange(n) % CLASSES
    return Samples(float_bars(labels, seed + 1000), DOMAIN, torch.from_numpy(labels))


def shuffled(n, seed):
    """Good pictures of a class other than the one asked for."""
    samples = good(n, seed)
    return replace(samples, labels=(samples.labels + 1) % CLASSES)
