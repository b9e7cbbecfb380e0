"""What the site shows of the code itself: a hook of MkDocs that makes pages while the site is built.

`pages()` gives every page as text by place: the settings of the trainer and of every registered recipe and domain, the reference
of the public names, and the files of the repository that are pages too. Nothing of this is written into the repository.
"""

from __future__ import annotations

import ast
import dataclasses
import html
import inspect
import posixpath
import re
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polygan
from polygan.plugins import get_catalogue
from polygan.runs.assembly import kinds
from polygan.settings.help import meanings
from polygan.settings.ranges import ranges_of
from polygan.settings.trainer import RunSettings
from polygan.testing import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]

REFERENCE = {
    "running": ("Training and using runs", ("runs", "report")),
    "recipes": ("Recipes", ("game", "training", "settings", "seeding")),
    "data": ("Domains and data", ("data", "scoring")),
    "plugins": ("Plugins", ()),
}
"""Pages by name: title, and the folders of the core whose public names they hold. The last page holds every other name."""


# Settings


def type_name(kind: Any) -> str:
    """A type as a reader writes its values: ``bf16 | fp32`` for a Literal, else as in Python."""
    if typing.get_origin(kind) is typing.Literal:
        return " | ".join(map(str, typing.get_args(kind)))
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return " | ".join(type_name(k) for k in typing.get_args(kind))
    if kind is types.NoneType:
        return "None"
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind).replace("typing.", "")


def default_of(field: dataclasses.Field[Any]) -> str:
    """A field's default as the command line takes it."""
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()}`"
    return "empty" if field.default in ("", ()) else f"`{field.default}`"


def options(config: type, prefix: str = "", without: type | None = None) -> str:
    """Fields of a dataclass as options: name, type, default, meaning and range; those that ``without`` has are left out."""
    hints, said, ranges = typing.get_type_hints(config), meanings(config), ranges_of(config)
    known = {field.name for field in dataclasses.fields(without)} if without else set()
    lines = []
    for field in dataclasses.fields(config):
        if field.name in known:
            continue
        name, kind = f"**`--{prefix}{field.name}`**", f"`{type_name(hints[field.name])}`"
        meaning = html.escape(said.get(field.name, ""), quote=False) or "No description."
        meaning += f" Range: {ranges[field.name]}." if field.name in ranges else ""
        lines.append(f"{name} &ensp;{kind} &ensp;default: {default_of(field)}\n:   {meaning}\n")
    return "\n".join(lines) if lines else "None.\n"


def configuration() -> str:
    """The page of all settings."""
    catalogue = get_catalogue()
    parts = [(ROOT / "docs/_settings.md").read_text(encoding="utf-8"), "## Trainer and run\n", options(RunSettings)]
    for spec in sorted(catalogue.domains.values(), key=lambda spec: spec.id):
        domain = catalogue.resolve(spec)
        parts += [f"## Data: {spec.id}\n", f"Of every recipe `{spec.id}/...`: {html.escape(spec.summary)}.\n"]
        parts.append(options(domain.Settings, "data."))
        for data in catalogue.datasets.values():
            if data.domain == spec.id and data.settings:
                parts += [f"### `--data {data.id}`\n", f"Of this data set: {html.escape(data.summary)}.\n"]
                parts.append(options(catalogue.data_settings(data), "data.", without=domain.Settings))
    for spec in sorted(catalogue.recipes.values(), key=lambda spec: spec.id):
        recipe, _ = kinds(spec.id, catalogue)
        paper = f" {html.escape(spec.paper)}." if spec.paper else ""
        parts += [f"## Recipe: {spec.id}\n", f"{html.escape(spec.summary)}.{paper}\n"]
        if recipe.defaults:
            parts.append("Its own defaults: " + ", ".join(f"`--{k} {v}`" for k, v in recipe.defaults.items()) + ".\n")
        parts.append(options(recipe.Config, "model."))
        if dataclasses.fields(recipe.Sampling):
            parts += [f"### `polygan generate` with {spec.id}\n", options(recipe.Sampling)]
    return "\n".join(parts)


# Reference


def homes() -> dict[str, str]:
    """The folder (or file) of the core that each public name is imported from."""
    tree = ast.parse(Path(inspect.getfile(polygan)).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
    found = {alias.name: node.module or alias.name for node in imports for alias in node.names}
    return {name: found[name].partition(".")[0] for name in polygan.__all__}


def reference() -> dict[str, str]:
    """The pages of the public names, and their index. Exceptions have a page of their own; graphs, losses, testing are modules."""
    homed, last = homes(), list(REFERENCE)[-1]
    placed: dict[str, list[str]] = {page: [] for page in REFERENCE}
    index: dict[str, str] = {}
    for name in polygan.__all__:
        value = getattr(polygan, name)
        if isinstance(value, types.ModuleType):
            index[name] = f"{name}.md"
        elif isinstance(value, type) and issubclass(value, polygan.PolyganError):
            index[name] = f"../errors.md#polygan.{name}"
        else:
            page = next((page for page, (_, folders) in REFERENCE.items() if homed[name] in folders), last)
            placed[page].append(name)
            index[name] = f"{page}.md#polygan.{name}"
    for page, names in placed.items():
        folders = REFERENCE[page][1]
        names.sort(key=lambda name: folders.index(homed[name]) if homed[name] in folders else 0)
    made = {
        f"reference/{page}.md": f"# {REFERENCE[page][0]}\n\n" + "".join(f"::: polygan.{name}\n\n" for name in names)
        for page, names in placed.items()
    }
    made["reference/losses.md"] = "# Losses\n\n::: polygan.losses\n    options:\n      show_root_heading: false\n"
    made["reference/graphs.md"] = "# Graphs\n\n::: polygan.graphs\n    options:\n      show_root_heading: false\n"
    made["reference/testing.md"] = (
        f"# Testing\n\n::: polygan.testing\n    options:\n      show_root_heading: false\n\n{checks()}"
    )
    rows = "".join(f"- [`polygan.{name}`]({place})\n" for name, place in index.items())
    made["reference/index.md"] = f"# Reference\n\nEvery public name of `polygan`.\n\n{rows}"
    return made


def checks() -> str:
    """Each check of `polygan.testing` by kind, with what it demands."""
    lines = ["## The checks\n"]
    for kind, found in CHECKS.items():
        lines.append(f"\nOf a {kind}:\n")
        lines += [f"- `{check.__name__}`: {(check.__doc__ or '').strip().splitlines()[0]}" for check in found]
    return "\n".join(lines) + "\n"


# Files of the repository


def documents() -> dict[str, str]:
    """Files of the repository that are pages, by the page's place."""
    found = {
        "README.md": "project/readme.md",
        "CONTRIBUTING.md": "project/contributing.md",
        "SECURITY.md": "project/security.md",
    }
    found["examples/gallery/README.md"] = "gallery.md"
    found |= {"CHANGELOG.md": "project/changelog.md", "examples/polygan-points/README.md": "examples/polygan-points.md"}
    for file in sorted(ROOT.glob("plugins/*/README.md")):
        found[file.relative_to(ROOT).as_posix()] = f"plugins/{file.parent.name}.md"
    return found


def document(file: str, place: str) -> tuple[str, dict[str, Path]]:
    """A file's text with its links between files made links between pages, and the pictures that it shows."""
    known, pictures = documents(), {}

    def link(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        name, _, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), name))
        if re.match(r"\w+:|#", target):
            return match[0]
        if mark and (ROOT / path).is_file():
            pictures[path] = ROOT / path
        elif path in known:
            path = known[path]
        elif path.startswith("docs/") and (ROOT / path).is_file():
            path = path.removeprefix("docs/")
        else:
            return text
        path = posixpath.relpath(path, posixpath.dirname(place))
        return f"{mark}[{text}]({path}{f'#{anchor}' if anchor else ''})"

    return re.sub(r"(!?)\[([^\]\[]*)\]\(([^)\s]+)\)", link, (ROOT / file).read_text(encoding="utf-8")), pictures


def sources() -> str:
    """The files of the complete example as code blocks."""
    folder = ROOT / "examples/polygan-points"
    files = [folder / "pyproject.toml", *sorted(folder.glob("src/polygan_points/*.py"))]
    blocks = []
    for file in files:
        name, language = file.relative_to(folder).as_posix(), "toml" if file.suffix == ".toml" else "python"
        blocks.append(f'## `{file.name}`\n\n```{language} title="{name}"\n{file.read_text(encoding="utf-8")}```\n')
    return "\n".join(blocks)


def pages() -> Iterator[tuple[str, str | Path]]:
    """(place, text) of every page that is made, and (place, file) of every picture."""
    yield "configuration.md", configuration()
    yield from reference().items()
    for file, place in documents().items():
        text, pictures = document(file, place)
        yield place, text + (f"\n{sources()}" if place.startswith("examples/") else "")
        yield from pictures.items()


# MkDocs


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the pages of the plugins in the navigation, whichever there are."""
    plugins = [{Path(place).stem: place} for place in documents().values() if place.startswith("plugins/")]
    assert config.nav is not None
    config.nav.append({"Plugins": plugins})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made to the files of the site."""
    from mkdocs.structure.files import File

    for place, made in pages():
        content = made if isinstance(made, str) else made.read_bytes()
        files.append(File.generated(config, place, content=content))
    return files
