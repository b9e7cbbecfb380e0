"""Sources whose samples are given in a list, and their stores in a temporary folder."""

from __future__ import annotations

import numpy as np

from polygan.data import build_store
from polygan.data.source import DataSettings, Field, Source


class Listed(Source):
    """Samples that are given; an exception in the list is raised."""

    def __init__(self, samples, fields, key="key", info=None):
        self.samples, self.fields, self.key, self.info = samples, fields, key, info or {}
        self.decoded = 0

    def __len__(self):
        return len(self.samples)

    def fingerprint(self):
        return self.key

    def decode(self, index):
        self.decoded += 1
        sample = self.samples[index]
        if isinstance(sample, BaseException):
            raise sample
        return sample

    def name(self, index):
        return f"file{index}.png"


BYTES = {"x": Field("uint8", (2,))}


def numbers(n, bad=(), error=None, **options):
    samples = [{"x": np.array([i % 256, i // 256 % 256], np.uint8)} for i in range(n)]
    for i in bad:
        samples[i] = error or ValueError("cannot\nidentify it")
    return Listed(samples, BYTES, **options)


def setting(tmp_path, **options):
    return DataSettings(**{"source": "mine", "cache": str(tmp_path), **options})


def build(tmp_path, source, **options):
    return build_store(source, setting(tmp_path, **options), progress=False)


def leftovers(tmp_path):
    return [p for p in (tmp_path / "stores").iterdir() if p.name.startswith(".")]
