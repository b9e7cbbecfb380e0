"""The docs say what the code has, every public name, hook, error and setting; the site builds without a broken link."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

import polygan
from polygan import errors, hookspecs
from polygan.cli import commands as verbs
from polygan.plugins import discovery, get_catalogue, load_catalogue, set_catalogue
from polygan.runs.assembly import kinds
from polygan.settings.trainer import RunSettings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True, scope="module")
def catalogue():
    set_catalogue(None)
    yield get_catalogue()
    set_catalogue(None)


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def sections(text, level="##"):
    """Text below each heading of a level, by heading."""
    parts = re.split(rf"^{level} (.+)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# Settings


def described(text):
    """(type, default, meaning) by option, of a section of the page of settings."""
    pattern = r"^\*\*`--(\S+)`\*\* &ensp;`(.+?)` &ensp;default: (.+)\n:   (.+)$"
    return {m[1]: m.groups()[1:] for m in re.finditer(pattern, text, re.M)}


def names(config, prefix=""):
    return [f"{prefix}{field.name}" for field in dataclasses.fields(config)]


def test_every_field_of_every_recipe_and_domain_is_on_the_page_with_its_meaning(generate, catalogue):
    found = sections(generate.configuration())
    assert list(described(found["Trainer and run"])) == names(RunSettings)
    for spec in catalogue.domains.values():
        options, *_ = re.split("^### .*$", found[f"Data: {spec.id}"], flags=re.M)
        assert list(described(options)) == names(catalogue.resolve(spec).Settings, "data.")
    for spec in catalogue.recipes.values():
        recipe, _ = kinds(spec.id, catalogue)
        model, *sampling = re.split("^### .*$", found[f"Recipe: {spec.id}"], flags=re.M)
        assert list(described(model)) == names(recipe.Config, "model.")
        assert [list(described(part)) for part in sampling] == [names(recipe.Sampling)] * len(sampling)
        assert bool(sampling) == bool(dataclasses.fields(recipe.Sampling))
        assert all(f"`--{key} {value}`" in model for key, value in recipe.defaults.items())
    assert len(found) == 1 + len(catalogue.domains) + len(catalogue.recipes)
    assert "No description." not in "".join(found.values())


@dataclass(frozen=True)
class Base:
    """A base."""

    width: int = 3
    """How wide
    it is, > 0."""
    gone: float = 0.5


@dataclass(frozen=True)
class Odd(Base):
    """Every kind of field."""

    mode: Literal["a", "b"] = "a"
    """<Which>."""
    note: str = ""
    """Said."""
    sizes: tuple[int, ...] = (1, 2)
    """Some."""
    width: int = 4
    """Wider."""
    limit: int | None = polygan.ranged(None, "[1, inf)")
    """At most."""


def test_types_defaults_and_meanings_are_those_of_the_code(generate):
    assert described(generate.options(Odd, "x.")) == {
        "x.width": ("int", "`4`", "Wider."),
        "x.gone": ("float", "`0.5`", "No description."),
        "x.mode": ("a | b", "`a`", "&lt;Which&gt;."),
        "x.note": ("str", "empty", "Said."),
        "x.sizes": ("tuple[int, ...]", "`(1, 2)`", "Some."),
        "x.limit": ("int | None", "`None`", "At most. Range: at least 1."),
    }
    assert list(described(generate.options(Odd, "x.", without=Base))) == ["x.mode", "x.note", "x.sizes", "x.limit"]


def test_a_plugin_that_is_added_gets_its_section(generate, tmp_path):
    code = (ROOT / "tests/toy_gan.py").read_text().replace("toy_gan:", "documented_gan:")
    code = code.replace('8 Gaussians on a circle"', '8 Gaussians on a circle", settings="documented_gan:RingSettings"')
    code += (
        "\n\n@dataclass(frozen=True, kw_only=True)\nclass RingSettings(polygan.DataSettings):\n    size: int = 512\n"
    )
    (tmp_path / "documented_gan.py").write_text(code)
    before = get_catalogue()
    set_catalogue(load_catalogue(files=[tmp_path / "documented_gan.py"]))
    try:
        found = sections(generate.configuration())
    finally:
        set_catalogue(before)
        del sys.modules["documented_gan"]
    assert described(found["Recipe: points/mlp"])["model.critic_steps"] == (
        "int",
        "`1`",
        "Discriminator steps an iteration.",
    )
    domain, *ring = found["Data: points"].partition("### `--data ring`")
    assert "data.held_out" in described(domain)
    assert list(described("".join(ring))) == ["data.size"]


# Reference


def test_every_public_name_has_an_entry_on_one_page(generate):
    pages = {**generate.reference(), "errors.md": page("errors.md")}
    entries = [name for text in pages.values() for name in re.findall(r"^::: polygan\.(\w+)$", text, re.M)]
    assert sorted(entries) == sorted(polygan.__all__)
    linked = re.findall(r"^- \[`polygan\.(\w+)`\]\((\S+)\)", pages["reference/index.md"], re.M)
    assert [name for name, _ in linked] == polygan.__all__
    for name, place in linked:
        file = os.path.normpath(f"reference/{place.partition('#')[0]}")
        assert f"::: polygan.{name}\n" in pages[file], f"the index sends {name} to {file}"


def test_every_check_of_testing_is_said(generate):
    found = generate.reference()["reference/testing.md"]
    for check in {check for checks in polygan.testing.CHECKS.values() for check in checks}:
        assert re.search(rf"^- `{check.__name__}`: \S", found, re.M)


def test_every_hook_has_a_section_that_says_its_arguments_and_an_example():
    text = page("hooks.md")
    found = sections(text, "###")
    assert sorted(found) == sorted(discovery.HOOKS)
    for name in discovery.HOOKS:
        arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
        if arguments:
            assert found[name].strip().startswith(f"`({arguments})`"), name
        else:
            assert "Returns a list of" in found[name], name
    implemented = set(re.findall(r"@polygan.hookimpl\ndef (\w+)", text + page("tutorial.md")))
    assert implemented == set(discovery.HOOKS)


def test_every_error_has_its_code_and_what_to_do():
    text = page("errors.md")
    classes = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.PolyganError)]
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", text, re.M))
    assert len(classes) >= 7
    for cls in classes:
        said = [code for code, row in rows.items() if re.search(rf"`{cls.__name__}`", row)]
        assert said == [str(cls.exit_code)], cls
        below = text.partition(f"::: polygan.{cls.__name__}\n")[2].partition(":::")[0]
        assert "**What to do:**" in below or cls is errors.PolyganError, cls


def test_versions_on_the_page_of_compatibility_are_those_of_the_code():
    text = page("compatibility.md")
    newest, oldest = hookspecs.API_VERSION, hookspecs.OLDEST_API
    assert f"`polygan.API_VERSION`, now {newest}." in text
    assert f"`polygan.hookspecs.OLDEST_API` (now {oldest})" in text
    for api in (newest + 1, oldest - 1):
        plugin = type("Plugin", (), {"POLYGAN_API": api})
        with pytest.raises(discovery.Refused) as refused:
            discovery.attach(plugin)
        assert f"`{refused.value}`" in text


def test_every_command_on_a_page_is_there():
    text = "".join(file.read_text(encoding="utf-8") for file in DOCS.glob("*.md"))
    used = set(re.findall(r"(?:^\$ |`)polygan (?:--plugin \S+ )?([a-z]+)\b", text, re.M))
    assert {"train", "generate", "resume", "plugins"} <= used
    of_plugins = set(get_catalogue().commands)
    assert not used - set(verbs.VERBS) - of_plugins - {"generat", "greet"}


# The site


def test_links_between_files_become_links_between_pages(generate):
    for file, place in generate.documents().items():
        text, pictures = generate.document(file, place)
        assert not re.search(r"\]\([^)]*README\.md", text), file
        assert all(source.is_file() for source in pictures.values())
    text, pictures = generate.document("README.md", "project/readme.md")
    assert "[polygan-text](../plugins/text.md)" in text
    assert "[tutorial](../tutorial.md#4-a-domain-of-your-own)" in text
    assert "(../examples/readme.png)" in text
    assert list(pictures) == re.findall(r"!\[.*?\]\((.*?)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert "examples/readme.png" in pictures


def anchors(text):
    """What a link into a page may name: its headings as MkDocs calls them, and the public names that it documents."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", prose, re.M)
    plain = (re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower() for heading in headings)
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain} | set(re.findall(r"^::: (\S+)$", text, re.M))


def test_every_link_leads_to_a_page_and_a_heading(generate):
    pages = {file.name: file.read_text(encoding="utf-8") for file in DOCS.glob("*.md") if file.name[0] != "_"}
    made = dict(generate.pages())
    pages |= {place: text for place, text in made.items() if isinstance(text, str)}
    seen = 0
    for place, text in pages.items():
        prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            name, _, anchor = target.partition("#")
            if re.match(r"\w+:", target):
                continue
            page = os.path.normpath(os.path.join(os.path.dirname(place), name)) if name else place
            assert page in pages or page in made, f"{place} links to {target}, which is no page"
            if anchor:
                assert anchor in anchors(pages[page]), f"{place} links to {target}; {page} has no such heading"
            seen += 1
    assert seen > 100


def test_the_navigation_has_every_page(generate):
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = re.findall(r": ([\w/-]+\.md)$", nav, re.M)
    own = {file.name for file in DOCS.glob("*.md") if file.name[0] != "_"}
    made = {place for place, text in generate.pages() if isinstance(text, str) and not place.startswith("plugins/")}
    assert sorted(listed) == sorted(own | made)


def test_the_walks_of_contributing_name_what_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    walks = sections(sections(text)["Three walks"], "###")
    assert len(walks) == 3
    for title, walk in walks.items():
        steps = re.findall(r"^\d+\. (.+)$", walk, re.M)
        assert len(steps) == 10, title
        defined = set()
        for step in steps:
            files = [ROOT / name for name in re.findall(r"`([\w/]+\.py)`", step)]
            assert files, step
            defined |= {name for file in files for name in definitions(file)}
            names = re.findall(r"`([\w.]+)`", step)
            called = [name for name in names if not name.endswith(".py") and name not in ("d", "Request")]
            assert called, step
            assert [name for name in called if name not in defined] == [], f"{title}: {step}"


def definitions(file):
    """The functions, and the methods with their class, that a file defines."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef))


@pytest.mark.slow
@pytest.mark.e2e
def test_the_site_builds_in_strict_mode(tmp_path):
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("the site needs mkdocs: `make docs` installs it")
    words = ["build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run([sys.executable, "-m", "mkdocs", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    built = {
        name: (tmp_path / "site" / name / "index.html").read_text() for name in ("configuration", "hooks", "errors")
    }
    assert 'id="polygan.ConfigError"' in built["errors"]
    assert "--model.latent_dim" in built["configuration"]
    assert not list((tmp_path / "site").rglob("*.py"))
    html = "".join(file.read_text() for file in (tmp_path / "site/reference").rglob("index.html"))
    exceptions = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    missing = {name for name in polygan.__all__ if f'id="polygan.{name}"' not in html}
    assert missing == exceptions.intersection(polygan.__all__)


# Gallery


def test_the_gallery_has_a_command_and_a_picture_or_a_sentence_of_each_recipe():
    text = (ROOT / "examples/gallery/README.md").read_text(encoding="utf-8")
    known = {id for id in get_catalogue().recipes if id.partition("/")[0] in ("image", "audio", "text")}
    trained = set(re.findall(r"polygan train (\w+/[\w-]+)", text))
    shown = set(re.findall(r"`(\w+/[\w-]+)`", text))
    assert known - trained == set()
    assert known - shown == set()
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert all((ROOT / "examples/gallery" / name).is_file() for name in pictures)
    assert len(pictures) >= len(shown) - 5  # one picture of two recipes, and four sentences
    sizes = [path.stat().st_size for path in (ROOT / "examples/gallery").iterdir()]
    assert max(sizes) < 60_000
