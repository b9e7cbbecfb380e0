"""Lines of text and what is read of them, for the tests of this folder."""

from __future__ import annotations

import numpy as np

from polygan.data import build_store, split_store
from polygan_text.domain import TextDomain

DOMAIN = TextDomain()
LINES = [
    f"the {a} {b} sees the {c}."
    for a in ("old", "small", "brown")
    for b in ("dog", "cat")
    for c in ("bird", "house", "river")
]


def texts(opened):
    made, options = opened
    splits = split_store(build_store(made, options, progress=False), options.held_out)
    return {name: DOMAIN.real(s, np.sort(s.rows)).data for name, s in splits.items() if len(s)}, made.info
