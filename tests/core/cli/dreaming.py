"""A plugin that adds commands and recipes, and the command line in this process."""

from __future__ import annotations

import pytest

from polygan.cli import main

DREAM = """
import polygan

@polygan.hookimpl
def polygan_commands():
    return [polygan.CommandSpec("muse", "dreams of NAME", "dreams:dream"), polygan.CommandSpec("nap", "", "dreams:nap")]

@polygan.hookimpl
def polygan_recipes():
    return [polygan.RecipeSpec("a/b", "dreams:B", "b", tags=("fast", "small")), polygan.RecipeSpec("a/c", "dreams:C", "c")]

def dream(words):
    print("dreaming of", words)
    if words[:1] == ["nothing"]:
        raise polygan.DataError("nothing to dream of; name something")
    return {"badly": 7, "oddly": "odd"}.get(words[0] if words else "")
"""


def run(capsys, *words, code=0):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    out = capsys.readouterr()
    assert (end.value.code or 0) == code, out
    return out
