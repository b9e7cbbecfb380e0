"""Whatever recipe a plugin of this repository brings has an ONNX export, and those that are functions of tensors a program of torch."""

from __future__ import annotations

import pytest

from polygan.plugins import load_catalogue

STEPPED = {
    "audio/griffin-lim",
    "audio/tacotron2",
    "audio/voice-conversion",
    "audio/parallel-wavegan",
    "audio/vocos",
    "text/seq2seq",
}
"""Recipes without a program of torch: their generators loop, or have parts that torch.export does not save."""


def test_every_recipe_goes_out_as_onnx():
    catalogue = load_catalogue()
    names = [name for name in catalogue.recipes if name.partition("/")[0] in ("image", "audio", "text")]
    if len(names) < 10:
        pytest.skip("the plugins are not installed")
    for name in names:
        formats = catalogue.formats_of(name, "export")
        assert "onnx" in formats, name
        assert ("pt2" in formats) == (name not in STEPPED), name
        for format in {"onnx", "pt2"} & formats.keys():
            assert callable(catalogue.resolve(formats[format]))
