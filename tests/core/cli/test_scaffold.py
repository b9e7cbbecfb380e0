"""`polygan new`: what it writes, what it refuses, and that what it writes passes the checks that it brings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import polygan
from polygan.cli import command_line as cli
from polygan.cli.scaffold import lengths, new, requirement
from polygan.plugins import load_catalogue, set_catalogue
from polygan.testing import CHECKS

ROOT = Path(__file__).parents[3]
TOY = ROOT / "tests/toy_gan.py"
ODD = """
import numpy as np, torch, polygan

@polygan.hookimpl
def polygan_domains():
    return [polygan.DomainSpec(n, f"polygan_odd:{n.title()}", "") for n in ("lists", "whole", "apart", "bare", "broken", "pairs")]

@polygan.hookimpl
def polygan_datasets():
    named = ("lists", "whole", "apart", "broken", "pairs")
    return [polygan.DatasetSpec(f"{n}-set", n, f"polygan_odd:{'missing' if n == 'broken' else 'opened'}", "") for n in named]

class Pairs(polygan.Domain):
    id = "pairs"
    def open(self, settings): return opened(settings)
    def real(self, split, rows): return polygan.Samples(split.store.gather("x", rows), self)
    def batch_of(self, samples): return {"label": torch.zeros(len(samples)), "x": samples.data}
    def write(self, samples, path): raise AssertionError
    def render(self, samples): raise AssertionError
    def features(self, samples): raise AssertionError

class Lists(Pairs):
    id = "lists"
    def real(self, split, rows): return polygan.Samples(["text"] * len(rows), self)
class Whole(Pairs):
    id = "whole"
    def real(self, split, rows): return polygan.Samples(split.store.gather("x", rows).long(), self)
class Apart(Pairs):
    id = "apart"
    def batch_of(self, samples): return {"x": samples.data + 1}
class Bare(Pairs): id = "bare"
class Broken(Pairs): id = "broken"

def missing(settings): raise polygan.DataError("the files are\\nnot here; pip install files")

def opened(settings):
    source = Rows()
    source.fields = {"x": polygan.Field("float32", (2, 7)), "label": polygan.Field("int64", ())}
    source.info = {"flag": True, "side": 7, "name": "seven"}
    return source

class Rows(polygan.Source):
    def __len__(self): return 10_000_000
    def fingerprint(self): return "rows"
    def decode(self, index): return {"x": np.full((2, 7), index, "float32"), "label": np.int64(index)}
"""


def site(folder, name, **packages):
    """A folder as pip leaves one: the metadata of polygan-NAME, and packages by name."""
    info = folder / f"polygan_{name}-1.4.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: polygan-{name}\nVersion: 1.4.2\n")
    (info / "entry_points.txt").write_text(f"[polygan]\n{name} = polygan_{name}\n")
    for package, text in packages.items():
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text(text)
    return folder


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield
    set_catalogue(None)


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """The catalogue with an installed plugin whose domains are odd."""
    monkeypatch.syspath_prepend(site(tmp_path / "odd", "odd", polygan_odd=ODD))
    yield load_catalogue(allow=["odd"])
    sys.modules.pop("polygan_odd", None)


@pytest.fixture(scope="module")
def none():
    """A catalogue without plugins."""
    return load_catalogue(allow=[])


def test_a_plugin_with_a_domain_of_its_own(none):
    made = new("my-tunes2", catalogue=none)
    assert made.folder == Path("polygan-my-tunes2")
    assert (made.recipe, made.data) == ("my-tunes2/mlp", "my-tunes2-example")
    package = "src/polygan_my_tunes2"
    modules = ["__init__", "datasets", "domain", "metrics", "mlp"]
    expected = [f"{package}/{m}.py" for m in modules] + [f"{package}/py.typed", "tests/test_my_tunes2.py"]
    assert {str(f.relative_to(made.folder)) for f in made.files} == {
        *expected,
        ".gitignore",
        "README.md",
        "pyproject.toml",
    }
    assert sorted(made.files) == sorted(f for f in made.folder.rglob("*") if f.is_file())
    project = tomllib.loads((made.folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "polygan-my-tunes2"
    assert project["dependencies"] == [requirement("polygan", polygan.__version__)]
    assert project["entry-points"]["polygan"] == {"my-tunes2": "polygan_my_tunes2"}
    assert "class MyTunes2Domain(polygan.Domain)" in (made.folder / package / "domain.py").read_text()


@pytest.mark.parametrize("domain", ["", "pairs"])
def test_no_placeholder_is_left_and_all_of_it_compiles(odd, domain):
    for file in new("tunes", domain=domain, catalogue=odd).files:
        text = file.read_text()
        assert not re.search(r"\$[{\w]|\{package\}|\{module\}", text), file
        if file.suffix == ".py":
            compile(text, file, "exec")


def test_a_recipe_for_an_installed_domain(odd):
    """The shape is seen in a set of ten million samples of which eight are decoded: 2 is a number, 7 is `info["side"]`."""
    made = new("tunes", "there", "pairs", odd)
    assert (made.folder, made.recipe, made.data) == (Path("there"), "pairs/tunes", "pairs-set")
    recipe = (made.folder / "src/polygan_tunes/mlp.py").read_text()
    assert 'self.shape = (2, info["side"])\n' in recipe
    assert 'FIELD = "x"' in recipe
    assert "import polygan\nfrom polygan import losses\n" in recipe
    assert "polygan_odd" not in recipe  # a recipe names its domain by its id
    project = tomllib.loads((made.folder / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == [requirement("polygan", polygan.__version__), "polygan-odd>=1.4,<2"]
    assert not list(made.folder.rglob("domain.py"))


def test_lengths_are_entries_of_info_or_numbers():
    picture = {"classes": ["a", "b", "c"], "grey": True, "channels": 3, "height": 8, "width": 8}
    assert lengths((3, 8, 8), picture) == ('info["channels"]', 'info["height"]', 'info["width"]')
    assert lengths((8, 8, 8), picture) == ('info["height"]', 'info["width"]', "8")
    assert lengths((1,), picture) == ("1",)


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("0.1.0", "x>=0.1,<0.2"),
        ("0.12", "x>=0.12,<0.13"),
        ("2.3.1", "x>=2.3,<3"),
        ("0.3.0.dev4+g12ab", "x>=0.3.0.dev4,<0.4"),
        ("", "x"),
    ],
)
def test_which_versions_are_required(version, wanted):
    assert requirement("x", version) == wanted


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My Music_2", r"cannot be named 'My Music_2' \(did you mean 'my-music-2'\?\): use at most 40 of a-z, 0-9 and"),
        ("polygan-music", r"\(did you mean 'music'\?\).*'polygan-' is put in front"),
        ("polygan", r"cannot be named 'polygan': use"),
        ("Polygan_polygan_Polyp", r"\(did you mean 'polyp'\?\)"),
        ("3d", r"\(did you mean 'd'\?\)"),
        ("a--b", r"\(did you mean 'a-b'\?\)"),
        ("../up", r"\(did you mean 'up'\?\)"),
        ("", r"cannot be named '': use"),
        ("音楽", r"cannot be named '音楽': use"),
        ("x" * 41, f"did you mean '{'x' * 40}'"),
        ("music\n", "did you mean 'music'"),
    ],
)
def test_names_that_no_distribution_has(none, name, words):
    with pytest.raises(polygan.ConfigError, match=words) as caught:
        new(name, catalogue=none)
    assert "\n" not in str(caught.value)
    assert not list(Path().iterdir())


def test_names_that_are_taken(tmp_path, monkeypatch, odd):
    def refused(words, *arguments, **more):
        with pytest.raises(polygan.ConfigError, match=words):
            new(*arguments, **more)

    toy = load_catalogue(allow=[], files=[TOY])
    refused(
        "'points' is taken by domain 'points' of plugin 'toy_gan'.*new my-points --domain points",
        "points",
        catalogue=toy,
    )
    refused("'mlp' is taken by recipe 'points/mlp' of plugin", "mlp", domain="points", catalogue=toy)
    refused(
        r"'odd' is taken by plugin 'odd' \(polygan-odd 1.4.2\): choose another, e.g. 'my-odd'$", "odd", catalogue=odd
    )
    off = load_catalogue(allow=[])
    refused("'odd' is taken by plugin 'odd'", "odd", catalogue=off)
    monkeypatch.syspath_prepend(site(tmp_path / "late", "late"))
    refused("'late' is taken by the installed distribution 'polygan-late'", "late", catalogue=off)
    (tmp_path / "late/polygan_bare").mkdir()
    (tmp_path / "late/polygan_bare/__init__.py").touch()
    refused("'bare' is taken by the installed package 'polygan_bare'", "bare", catalogue=off)
    named = load_catalogue(allow=[])
    named.datasets["tunes-example"] = odd.datasets["pairs-set"]
    named._owners["dataset", "tunes-example"] = odd.owner("dataset", "pairs-set")
    refused("'tunes' is taken by dataset 'tunes-example' of plugin 'odd'", "tunes", catalogue=named)
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("pears", r"no domain 'pears' \(did you mean 'pairs'\?\)"),
        ("lists", r"domain 'lists' gets no recipe from a scaffold: its samples are a list \(seen in 'lists-set'\)"),
        ("whole", r"its samples are torch.int64 \(8, 2, 7\)"),
        ("apart", r"its samples are no field of a batch, which has x, label"),
        ("bare", "cannot be seen: it has no named data set: install one of its data sets, or leave --domain out"),
        ("broken", "cannot be seen: broken-set: the files are not here; pip install files: install"),
    ],
)
def test_domains_that_get_no_recipe(odd, domain, words):
    with pytest.raises(polygan.ConfigError, match=words) as caught:
        new("tunes", domain=domain, catalogue=odd)
    assert "\n" not in str(caught.value)
    assert not list(Path().iterdir())


def test_a_domain_of_a_local_file_gets_no_recipe():
    catalogue = load_catalogue(allow=[], files=[TOY])
    with pytest.raises(polygan.ConfigError, match=r"domain 'points' comes from plugin 'toy_gan'.*a local file"):
        new("tunes", domain="points", catalogue=catalogue)


def test_folders_that_are_there(none):
    Path("full/sub").mkdir(parents=True)
    Path("file").write_text("mine")
    with pytest.raises(polygan.ConfigError, match="full exists and is not empty: name another folder with --out"):
        new("tunes", "full", catalogue=none)
    with pytest.raises(polygan.ConfigError, match="file exists and is no folder"):
        new("tunes", "file", catalogue=none)
    assert sorted(map(str, Path().rglob("*"))) == ["file", "full", "full/sub"]
    made = new("tunes", "full/sub", catalogue=none)  # an empty one is taken
    assert (made.folder / "pyproject.toml").is_file()


def test_the_command_says_what_comes_next(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["new", "tunes", "--out", "my plugins/tunes"])
    out = capsys.readouterr().out
    assert not end.value.code
    assert out.splitlines() == [
        "10 files in my plugins/tunes; next:",
        "  cd 'my plugins/tunes'",
        '  pip install -e ".[test]"',
        "  polygan train tunes/mlp --data tunes-example",
        "  pytest",
    ]
    with pytest.raises(SystemExit) as end:
        cli.main(["new", "tunes", "--out", "my plugins/tunes"])
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("polygan: ConfigError: my plugins/tunes exists and is not empty")


def test_a_recipe_notices_data_of_another_shape(monkeypatch, odd):
    import torch

    monkeypatch.syspath_prepend(new("turned", domain="pairs", catalogue=odd).folder.resolve() / "src")
    module = import_module("polygan_turned.mlp")
    recipe = module.TurnedGAN(module.Config(), {"side": 7})
    with pytest.raises(polygan.ConfigError, match=r"'x' is \(7, 2\) where info says \(2, 7\); correct self.shape"):
        recipe.real({"x": torch.zeros(3, 7, 2)})
    assert recipe.real({"x": torch.zeros(3, 2, 7)}).shape == (3, 2, 7)


def test_the_tests_that_are_written_pass(tmp_path):
    """Of a recipe for an installed domain, in a pytest of their own; those of a whole domain are run by tests/e2e/test_stranger.py."""
    pytest.importorskip("polygan_image", reason="the image plugin is not installed")
    folder = new("tiles", domain="image").folder.resolve()
    places = [site(tmp_path / "site", "tiles"), folder / "src", os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, filter(None, places))), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CHECKS['recipe']) + 1} passed" in done.stdout


# Killed, or in a folder that somebody holds


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kept", [False, True])
def test_a_kill_while_a_plugin_is_written_leaves_its_folder_free(kept, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    folder = Path("." if kept else "polygan-music")
    pid = os.fork()
    if not pid:
        Path.write_text = lambda *_, **__: os._exit(9)
        try:
            new("music", folder)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert [p.name[:5] for p in Path().iterdir()] == [".new-"]
    made = new("music", folder)
    assert all(file.is_file() for file in made.files)
    assert not list(Path().glob(".new-*"))


def test_the_folder_of_the_user_stays_the_same_folder(tmp_path, monkeypatch):
    Path(tmp_path, "real").mkdir()
    Path(tmp_path, "link").symlink_to("real")
    before = Path(tmp_path, "real").stat().st_ino
    new("music", tmp_path / "link")
    assert Path(tmp_path, "link").is_symlink()
    assert Path(tmp_path, "real").stat().st_ino == before
    assert sorted(p.name for p in Path(tmp_path, "real").iterdir()) == [
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src",
        "tests",
    ]


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(polygan.ConfigError, match=r"polygan-music cannot be written \(No space left on device\)"):
        new("music", tmp_path / "polygan-music")
    assert not list(tmp_path.glob("*polygan*")) + list(tmp_path.glob(".new-*"))
