"""No circle of imports in the plugin, type checks included: a reader follows those too."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import polygan_image

ROOT = Path(polygan_image.__file__).parent
MODULES = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in ROOT.rglob("*.py")}
BESIDE = {"colour", "geometry"}
"""Modules at the top that folders may look at, since they look at nothing."""
RECIPES = {"pix2pix", "cyclegan", "cut", "superres"}
"""The recipes whose weights come in from other programs. Formats also look at what recipes have in common."""


def imported(name, path):
    """The modules of the plugin that one of them imports, wherever the import stands."""
    folder = name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = folder[: len(folder) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                yield inner if inner in MODULES else ".".join(base)


def test_there_is_no_circle_and_folders_do_not_look_up():
    graph = {name: set(imported(name, path)) for name, path in MODULES.items()}
    assert set().union(*graph.values()) <= MODULES.keys()
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert len(order) == len(MODULES) > 20
    for name, targets in graph.items():
        if "." in name:
            allowed = {name.split(".")[0], "data", *BESIDE}  # nothing in a folder looks at the recipes
            allowed |= {"networks", "translation", "base", "latent", *RECIPES} if name.startswith("formats.") else set()
            assert {t.split(".")[0] for t in targets} <= allowed, name


def test_no_file_is_long():
    for name, path in MODULES.items():
        assert len(path.read_text().splitlines()) <= 300, name
