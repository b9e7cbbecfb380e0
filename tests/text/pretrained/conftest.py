"""Each small model is made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import small_model

from polygan_text.quiet import quiet_transformers


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A folder of each kind of model, made when first asked for; tests copy a folder before they change it."""
    made = {}

    def folder(kind, **options):
        key = (kind, *sorted(options.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp(kind) / "model"
            with quiet_transformers():
                getattr(small_model, kind)(made[key], **options)
        return made[key]

    return folder
