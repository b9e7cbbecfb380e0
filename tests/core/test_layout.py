"""The folders of the core: imports go downwards only, nowhere in a circle, also for type hints; few files in each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = (
    (
        "double_backward",
        "errors",
        "files",
        "foreach",
        "graphs",
        "hookspecs",
        "losses",
        "messages",
        "reading",
        "seeding",
    ),
    ("settings",),
    ("data",),
    ("game",),
    ("training",),
    ("plugins",),
    ("scoring",),
    ("record",),
    ("report",),
    ("runs",),
    ("cli", "testing"),
)
"""From the ground up: a folder (or file) imports what stands before it, and its own."""
MOST_FILES = 12
PACKAGES = {
    "polygan": ROOT / "core/polygan",
    **{p.name: p for p in sorted(ROOT.glob("plugins/*/src/polygan_*"))},
}


def modules(package):
    """The modules of a package by their dotted names within it ('' is the package itself)."""
    root = PACKAGES[package]
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(package, name, path, known):
    """The modules of the same package that one imports, at any place and also under TYPE_CHECKING."""
    here = name.split(".") if path.name == "__init__.py" and name else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix(f"{package}.") for a in node.names if a.name.startswith(f"{package}.")}
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = here[: len(here) - node.level + 1]
        elif (node.module or "").partition(".")[0] == package:
            base = []
        else:
            continue
        words = (node.module or "").split(".") if node.module else []
        words = words[1:] if not node.level else words
        module = ".".join([*base, *words])
        for alias in node.names:
            inner = f"{module}.{alias.name}".strip(".")
            found.add(inner if inner in known else module)
    return found & known.keys() - {name}


def graph(package):
    known = modules(package)
    return {name: imported(package, name, path, known) for name, path in known.items()}


def circle(edges):
    """Modules that import each other in a circle, or an empty list."""
    done, trail = set(), []

    def visit(name):
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        trail.append(name)
        for other in sorted(edges[name]):
            if found := visit(other):
                return found
        done.add(trail.pop())
        return []

    for name in sorted(edges):
        if found := visit(name):
            return found
    return []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_circle_of_imports(package):
    # A package re-exports from its modules, and a module may ask the package at its top for its version.
    edges = {name: {other for other in others if other} for name, others in graph(package).items() if name}
    assert circle(edges) == []


def test_imports_of_the_core_go_downwards():
    level = {top: i for i, row in enumerate(ORDER) for top in row}
    edges = graph("polygan")
    tops = {name.split(".")[0] for name in edges if name} - {"__main__"}
    assert tops == level.keys()
    wrong = [
        f"{name} imports {other}"
        for name, others in edges.items()
        for other in others
        if name not in ("", "__main__") and other and level[other.split(".")[0]] > level[name.split(".")[0]]
    ]
    assert wrong == []


def test_a_folder_of_the_core_can_be_taken_in_at_a_glance():
    folders = [PACKAGES["polygan"], *(p.parent for p in PACKAGES["polygan"].rglob("__init__.py"))]
    crowded = {f.name: n for f in folders if (n := len([*f.glob("*.py")])) > MOST_FILES}
    assert crowded == {}


def test_files_and_functions_of_the_core_are_short():
    long = {}
    for name, path in modules("polygan").items():
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > 300:
            long[name] = lines
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 60:
                long[f"{name}.{node.name}"] = node.end_lineno - node.lineno + 1
    assert long == {}


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"]),
        ({"a": {"a"}}, ["a", "a"]),
    ],
)
def test_the_rule_finds_circles(edges, found):
    assert circle(edges) == found


def test_the_rule_reads_every_kind_of_import(tmp_path, monkeypatch):
    monkeypatch.setitem(PACKAGES, "house", tmp_path)
    for name, text in {
        "__init__.py": "",
        "roof/__init__.py": "from .tile import x",
        "roof/tile.py": "from ..cellar import wine\nfrom ..cellar.wine import y",
        "cellar/__init__.py": "",
        "cellar/wine.py": "if TYPE_CHECKING:\n    from ..roof.tile import z\ndef f():\n    import house.roof",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert graph("house") == {
        "": set(),
        "roof": {"roof.tile"},
        "roof.tile": {"cellar.wine"},
        "cellar": set(),
        "cellar.wine": {"roof.tile", "roof"},
    }
    assert circle(graph("house"))
