"""Whatever recipe a plugin of this repository brings goes out as ONNX and as a program of torch."""

from __future__ import annotations

import pytest

from polygan.plugins import load_catalogue


def test_every_recipe_goes_out_as_onnx_and_as_a_program_of_torch():
    catalogue = load_catalogue()
    names = [name for name in catalogue.recipes if name.partition("/")[0] in ("image", "audio", "text")]
    if len(names) < 10:
        pytest.skip("the plugins are not installed")
    for name in names:
        formats = catalogue.formats_of(name, "export")
        for kind in ("onnx", "pt2"):
            assert kind in formats, name
            assert callable(catalogue.resolve(formats[kind]))
