"""The wall between the core and its plugins, from both sides.

The core names no plugin of this repository and no id of theirs. It may show an id as an example to a person: after ``e.g.``, or
in a line with a ``polygan`` command. The built-in plugins use what a third party could: `polygan` and its public modules.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import polygan
from polygan.cli.commands import VERBS
from polygan.plugins import load_catalogue

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "core/polygan").rglob("*.py"))
BUILT_IN = {p.name: p for p in sorted(ROOT.glob("plugins/*/src/polygan_*"))}
PUBLIC = {"polygan", "polygan.graphs", "polygan.losses", "polygan.testing", "polygan.hookspecs"}
"""Modules of which plugins may use every name without an underscore (of `polygan` itself: those of ``__all__``)."""
MIME = {"image/png", "audio/wav"}
COMMAND = re.compile(rf"\bpolygan ({'|'.join(VERBS)}) ")


# The core's side


def registered():
    """The ids of everything that the built-in plugins register, and the names of their domains."""
    catalogue = load_catalogue(allow=[name.removeprefix("polygan_") for name in BUILT_IN], strict=True)
    return {*catalogue.recipes, *catalogue.metrics, *catalogue.datasets}, set(catalogue.domains)


def documentation(tree):
    """The string constants that are statements of their own: docstrings, of fields too."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def is_example(text, begin):
    """Whether what stands at ``begin`` is shown to a person: its line has "e.g." or a polygan command before it."""
    line = text[:begin].rpartition("\n")[2]
    return "e.g. " in line or COMMAND.search(line) is not None


def trespasses(code, ids, domains):
    """What of the plugins a module of the core names or imports, a line each."""
    tree = ast.parse(code)
    skipped, found = documentation(tree), []
    scoped = re.compile(rf"(?<![\w/])(?:{'|'.join(domains)})/[\w.-]*")
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [f"{node.lineno}: imports {name}" for name in names if name.partition(".")[0] in BUILT_IN]
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)) or id(node) in skipped:
            continue
        text = node.value
        found += [f"{node.lineno}: names {name}" for name in BUILT_IN if name in text]
        # "text" is also the name of what a Passage holds.
        if text in ids or text in domains - {"text"}:
            found.append(f"{node.lineno}: names {text}")
            continue
        for match in scoped.finditer(text):
            if match.group() not in MIME and not is_example(text, match.start()):
                found.append(f"{node.lineno}: names {match.group()}")
    return found


def test_the_core_names_no_plugin_and_none_of_their_ids():
    ids, domains = registered()
    assert {"image", "text", "audio"} <= domains
    assert len(CORE) > 40
    found = {file.name: lines for file in CORE if (lines := trespasses(file.read_text(encoding="utf-8"), ids, domains))}
    assert found == {}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import polygan_image.layers", ["1: imports polygan_image.layers"]),
        ("def f():\n    from polygan_text import draw", ["2: imports polygan_text"]),
        ("import_module('polygan_audio.mels')", ["1: names polygan_audio"]),
        ("if recipe == 'image/dcgan': pass", ["1: names image/dcgan"]),
        ("if recipe.startswith('audio/'): pass", ["1: names audio/"]),
        ("f'text/{name}'", ["1: names text/"]),
        ("if domain.id == 'image': pass", ["1: names image"]),
        ("data = 'mnist-5k'", ["1: names mnist-5k"]),
        ("raise E('no score image/kid')", ["1: names image/kid"]),
        ("raise E('polygan has image/kid')", ["1: names image/kid"]),
        ('"""e.g.\nimage/dcgan"""\nx = """e.g. this:\nimage/dcgan"""', ["3: names image/dcgan"]),
        ("raise E('which? e.g. `image/dcgan`')", []),
        ("print('  polygan train image/dcgan --help')", []),
        ('"""polygan_image is image/dcgan."""', []),
        ("piece['text'], 'image/png', 'my_image/x', 'a/text/b'", []),
    ],
)
def test_the_rule_for_the_core_tells_use_from_example(code, expected):
    assert trespasses(code, *registered()) == expected


# The plugins' side


def is_public(module, name):
    """Whether a plugin may take ``name`` out of ``module``: a public name, from `polygan` or from where it is at home."""
    if module == "polygan":
        return name in polygan.__all__
    if module in PUBLIC:
        return not name.startswith("_")
    return name in polygan.__all__ and module == f"polygan.{polygan._LAZY.get(name, 'errors')}"


def private_uses(code):
    """What private parts of the core a plugin's module uses, also inside functions and for type hints, a line each."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == "polygan":
            found += [(node, f"{node.module}.{a.name}") for a in node.names if not is_public(node.module, a.name)]
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.partition(".")[0] == "polygan"]
            found += [(node, name) for name in names if name not in PUBLIC]
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "polygan":
            found += [] if node.attr in polygan.__all__ else [(node, f"polygan.{node.attr}")]
        if isinstance(node, ast.Constant) and re.fullmatch(r"polygan(\.\w+)+", str(node.value)):
            found += [] if node.value in PUBLIC else [(node, f"the string {node.value}")]
    return [f"{node.lineno}: {use}" for node, use in found]


def test_no_line_of_a_built_in_plugin_uses_what_is_private():
    assert len(BUILT_IN) >= 3
    files = [file for folder in BUILT_IN.values() for file in folder.rglob("*.py")]
    found = {str(f.relative_to(ROOT)): uses for f in files if (uses := private_uses(f.read_text(encoding="utf-8")))}
    assert found == {}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from polygan.runs.assembly import kinds", ["1: polygan.runs.assembly.kinds"]),
        ("from polygan import runs", ["1: polygan.runs"]),
        ("from polygan.training.trainer import Trainer, Feeder", ["1: polygan.training.trainer.Feeder"]),
        ("import polygan.data.store", ["1: polygan.data.store"]),
        ("def f():\n    from polygan.plugins import get_catalogue", ["2: polygan.plugins.get_catalogue"]),
        ("import polygan\npolygan.runs.folder('x')", ["2: polygan.runs"]),
        ("import_module('polygan.runs.folder')", ["1: the string polygan.runs.folder"]),
        ("from polygan.runs.assembly import ConfigError", ["1: polygan.runs.assembly.ConfigError"]),
        ("from polygan.losses import _softplus", ["1: polygan.losses._softplus"]),
        ("from polygan.seeding import seed_everything", ["1: polygan.seeding.seed_everything"]),
        (
            "from polygan.seeding import mix\nfrom polygan.errors import DataError\nfrom polygan import Recipe, losses\nimport polygan.testing",
            [],
        ),
        ("from .assembly import kinds\nfrom polygan_image import layers\npolygan.train", []),
    ],
)
def test_the_rule_for_plugins_tells_public_from_private(code, expected):
    assert private_uses(code) == expected


WATCH = """
    import builtins, importlib, json, pkgutil, sys
    plain, seen, modules = builtins.__import__, [], []
    def watching(name, globals=None, locals=None, fromlist=(), level=0):
        importer = (globals or {}).get("__name__", "")
        if importer.partition(".")[0] in BUILT_IN and level == 0 and name.partition(".")[0] == "polygan":
            seen.append([importer, name, list(fromlist or ())])
        return plain(name, globals, locals, fromlist, level)
    builtins.__import__ = watching
    for package in BUILT_IN:
        top = importlib.import_module(package)
        modules += [package, *(m.name for m in pkgutil.walk_packages(top.__path__, package + "."))]
    for name in modules:
        importlib.import_module(name)
    print(json.dumps([modules, seen]))
"""


def test_every_module_of_the_built_in_plugins_imports_only_what_is_public():
    """At run time: whoever the importer is, whichever way the statement is reached while its module is imported."""
    code = f"BUILT_IN = {list(BUILT_IN)!r}\n{dedent(WATCH)}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    modules, seen = json.loads(ran.stdout)
    files = [file for folder in BUILT_IN.values() for file in folder.rglob("*.py")]
    assert len(modules) == len(files)
    assert {importer.partition(".")[0] for importer, *_ in seen} == set(BUILT_IN)
    wrong = [
        f"{importer} imports {module}: {', '.join(names)}"
        for importer, module, names in seen
        if not (all(is_public(module, name) for name in names) if names else module in PUBLIC)
    ]
    assert wrong == []
