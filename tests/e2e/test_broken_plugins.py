"""Thirty-odd broken plugins installed at once beside a good one: every command works, and each is named with the remedy."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/polygan-points/src"
pytestmark = pytest.mark.e2e
HEAD = "import polygan\nfrom polygan import DatasetSpec, DomainSpec, MetricSpec, RecipeSpec, hookimpl\n"
SOUND = "\n@hookimpl\ndef polygan_recipes(): return [RecipeSpec('ID', 'MODULE_impl:It', '')]\n"
SPECS = "@hookimpl\ndef polygan_recipes(): return "
EVENTS = "run_started logged sampled evaluated saved diverged run_ended"

REFUSED = {
    "import-error": ("raise ImportError('no codec')", "ImportError: no codec at .*--no-plugin 'import-error'"),
    "dependency": ("import nobody_has_this", "package 'nobody_has_this' is not installed: pip install nobody_has_this"),
    "syntax": ("def (:", "SyntaxError: .* at .*broken_syntax.py:3: .*--no-plugin 'syntax'"),
    "signature": ("@hookimpl\ndef polygan_saved(evnt): ...", "evnt.*: see polygan.hookspecs for each hook's arguments"),
    "unknown-hook": (
        "@hookimpl\ndef polygan_recipe(): ...",
        r"unknown hook 'polygan_recipe' \(did you mean 'polygan_re",
    ),
    "newer-api": ("POLYGAN_API = 99", "asks for plugin API 99, .*: pip install --upgrade polygan"),
    "older-api": ("POLYGAN_API = 0", "written for plugin API 0, this polygan needs at least 2: upgrade the plugin"),
    "api-text": ("POLYGAN_API = 'one'", "POLYGAN_API is 'one', not an integer: set POLYGAN_API = 2"),
    "zz-duplicate": (SOUND.replace("ID", "points/mlp"), "'points/mlp' is already registered by .*: rename one"),
    "no-namespace": (SOUND.replace("ID", "mlp"), "id 'mlp' is not allowed: use domain/name"),
    "hook-raises": (f"{SPECS}1 / 0", "ZeroDivisionError: .* at .*hook_raises.py:4: .*--no-plugin 'hook-raises'"),
    "hook-exits": (f"{SPECS}exit(5)", "SystemExit: 5 at .*--no-plugin 'hook-exits'"),
    "wrong-type": (f"{SPECS}dict(a=1)", "returned dict: return a list of RecipeSpec"),
    "nothing": (f"{SPECS}None", "returned None: return a list of RecipeSpec"),
    "target-text": (
        f"{SPECS}[RecipeSpec('a/b', 'c.d', '')]",
        "target 'c.d' of 'a/b' is no import string: use 'module:na",
    ),
    "generator": (
        "@hookimpl\ndef polygan_logged(): yield",
        "polygan_logged is a generator or .*: make it a plain func",
    ),
    "exits": ("import sys; sys.exit('bye')", "SystemExit: bye at .*--no-plugin 'exits'"),
    "empty": ("", "implements no hook: decorate a function such as polygan_recipes"),
    "unmarked": ("def polygan_recipes(): return []", "not marked as a hook and ignored: polygan_recipes; add @polyg"),
    "no-module": (None, "there is no module 'nowhere': correct the import string, or install the plugin again"),
    "no-attribute": (None, "no attribute 'plugin' at .*--no-plugin 'no-attribute'"),
    "metadata": (None, "its entry_points.txt is malformed: install metadata again"),
    "metadata-bytes": (None, "its entry_points.txt is malformed: install metadata-bytes again"),
}
"""By name: the module and what `polygan plugins` says. All of them are refused when they are loaded."""

CONFIG = "import dataclasses, polygan\nclass It(polygan.Recipe):\n    domain = 'points'\n    "
LATE = {
    "late-module": (None, "cannot import '.*': there is no module '.*': correct the import string"),
    "late-attribute": (
        "Its = 1",
        "AttributeError: .* no attribute 'It': .*leave it out with --no-plugin 'late-attribute'",
    ),
    "late-error": ("raise OSError('no disk')", "OSError: no disk at .*leave it out with --no-plugin 'late-error'"),
    "late-dependency": ("import nobody_has_this", "package 'nobody_has_this' is not installed: pip install"),
    "no-recipe": ("class It: ...", "is not a subclass of polygan.Recipe: correct the spec's target"),
    "no-dataclass": (f"{CONFIG}class Config: ...", "It.Config is not a dataclass: decorate it"),
    "no-type": (
        f"{CONFIG}Config = dataclasses.make_dataclass('C', [], namespace=dict(width=8))",
        "write width: int = 8",
    ),
    "no-default": (
        f"{CONFIG}Config = dataclasses.make_dataclass('C', [('width', int)])",
        "Config.width has no default: give",
    ),
    "no-data": (
        f"{CONFIG}Config = dataclasses.make_dataclass('C', [('f', object, print)])",
        "is not plain data: use num",
    ),
}
"""By name: what the recipe's target holds and what is said where it is used. Listing them is sound."""

LISTENER = "\n".join(f"@hookimpl\ndef polygan_{event}(event): raise OSError('{event}')" for event in EVENTS.split())
METRIC = "@hookimpl\ndef polygan_metrics(): return [MetricSpec('points/gone', 'nowhere:gone', '')]"
RUDE = {
    "listener": (LISTENER, ""),
    "metric": (METRIC, ""),
    "prints": ("print('hello there')" + SOUND, ""),
    "slow": ("import os, time; time.sleep(float(os.environ.get('NAP', 0)))" + SOUND, "took .* s to load: do less at"),
    "heavy": (
        "import os\nif 'NAP' in os.environ: import torch" + SOUND,
        "imports torch, for which every command now wa",
    ),
    "half-marked": ("def polygan_logged(event): ..." + SOUND, "not marked as a hook and ignored: polygan_logged; add"),
}
"""By name: the module, and what `polygan plugins` says where it says something. They load, and disturb."""


MALFORMED = {"metadata": b"[polygan]\nfoo bar\n", "metadata-bytes": b"[polygan]\n\xff = x\n"}
VALUES = {"no-module": "nowhere", "no-attribute": "json:plugin"}
ALL = ("site", "malformed")
BROKEN = {**REFUSED, **LATE, **RUDE}


def distribution(name):
    """Its name; where no entry point can be read, polygan calls the plugin by it."""
    return name if name in MALFORMED else f"dist-{name}"


def install(root, name, code, impl=None, value=""):
    """A distribution of version 1.0 with an entry point NAME, as pip leaves it."""
    module = f"broken_{name.replace('-', '_')}"
    for file, text in ((module, code), (f"{module}_impl", impl)):
        if text is not None:
            (root / f"{file}.py").write_text((HEAD + text).replace("ID", f"broken/{name}").replace("MODULE", module))
    info = root / f"dist_{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution(name)}\nVersion: 1.0\n")
    entries = MALFORMED.get(name, f"[polygan]\n{name} = {value or VALUES.get(name, module)}\n".encode())
    (info / "entry_points.txt").write_bytes(entries)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with everything installed in ``site``, and with the run of the good plugin once it is trained.

    What is malformed is in ``malformed``: torch and triton look for entry points too, and do not import beside it.
    """
    place = tmp_path_factory.mktemp("broken")
    site, malformed = place / "site", place / "malformed"
    site.mkdir()
    malformed.mkdir()
    for name, (code, _) in {**REFUSED, **RUDE}.items():
        install(malformed if name in MALFORMED else site, name, code)
    for name, (impl, _) in LATE.items():
        install(site, name, SOUND, impl)
    install(site, "points", None, value="polygan_points")
    return place


def start(place, *command, folders=("site",), **variables):
    """A command in ``place`` with the plugins on the path, which must end with 0; (stdout, stderr)."""
    path = os.pathsep.join(map(str, (*(place / folder for folder in folders), EXAMPLE)))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **variables}
    process = subprocess.run(
        [sys.executable, *command], cwd=place, env=environment, capture_output=True, text=True, timeout=240
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "Traceback" not in process.stderr
    return process.stdout, process.stderr


def polygan(place, *words, **more):
    return start(place, "-m", "polygan", *words, **more)


def test_there_are_more_than_twenty():
    assert len(REFUSED) > 20
    assert len(BROKEN) == len(REFUSED) + len(LATE) + len(RUDE)


def test_help_and_list_work(place):
    assert "polygan train" in polygan(place, "--help", folders=ALL)[0]
    out, err = polygan(place, "list", folders=ALL)
    assert re.search("points/mlp .* polygan-points|points/mlp .* dist-points", out)
    failed = re.findall("^plugin '(.*)' failed to load; `polygan plugins` says why$", err, re.M)
    assert sorted(failed) == sorted(REFUSED)
    assert "hello there" in err


def test_what_programs_read_stays_json(place):
    rows = json.loads(polygan(place, "list", "--json", folders=ALL)[0])
    assert {"points/mlp", *(f"broken/{name}" for name in LATE)} <= {row["id"] for row in rows}
    plugins = json.loads(polygan(place, "plugins", "--json", folders=ALL)[0])
    found = {plugin["name"]: plugin for plugin in plugins}
    assert {name for name, plugin in found.items() if plugin["status"] == "failed"} == set(REFUSED)
    assert {name for name, plugin in found.items() if plugin["status"] == "loaded"} >= {"points", *LATE, *RUDE}
    for name, (_, expected) in {**REFUSED, **RUDE}.items():
        plugin = found[name]
        assert plugin["distribution"] == distribution(name)
        assert "\n" not in plugin["reason"]
        if name not in ("slow", "heavy"):
            assert re.search(expected, plugin["reason"]), plugin
            assert bool(expected) == bool(plugin["reason"]), plugin


def test_plugins_names_each_broken_one_with_its_remedy_and_the_one_that_hangs_meanwhile(place):
    out, err = polygan(place, "plugins", NAP="4")
    assert (
        "plugin 'slow' (dist-slow 1.0): still being loaded after 3 s; if it hangs, leave it out with --no-plugin 'slow'"
        in err
    )
    lines = " ".join(out.split())
    for name, (_, expected) in {**REFUSED, **RUDE}.items():
        if name in MALFORMED:
            continue
        row = lines.partition(f" {name} dist-{name} 1.0 ")[2]
        assert row.startswith("failed " if name in REFUSED else "loaded ")
        assert re.search(expected, row.partition(" dist-")[0]), name
    assert "failed" not in lines.partition(" points dist-points")[2][:20]


ALONE = """
    import json
    from polygan.runs.assembly import settings_parser
    from polygan.errors import PluginError
    from polygan.plugins import load_catalogue, set_catalogue
    said = {}
    for name in REFUSED + LATE + ["listener"]:
        try:
            catalogue = load_catalogue(allow=["points", name])
            assert catalogue.strict and name not in REFUSED, name
            set_catalogue(catalogue)
            if name in LATE:
                settings_parser(f"broken/{name}")
            for hook in EVENTS:
                said[f"{name} {hook}"] = ""
                try:
                    catalogue.emit(f"polygan_{hook}", **dict.fromkeys(ARGUMENTS.get(hook, ()), None), event=None)
                except PluginError as error:
                    said[f"{name} {hook}"] = str(error)
        except PluginError as error:
            said[name] = str(error)
    print(json.dumps(said))
"""
ARGUMENTS = {
    "logged": ["values"],
    "sampled": ["pieces"],
    "evaluated": ["scores"],
    "saved": ["checkpoint"],
    "diverged": ["message"],
    "run_ended": ["status"],
}


def test_each_alone_raises_in_strict_mode_or_where_it_is_used(place):
    refused = [name for name in REFUSED if name not in MALFORMED]
    given = {"REFUSED": refused, "LATE": list(LATE), "EVENTS": EVENTS.split(), "ARGUMENTS": ARGUMENTS}
    head = "".join(f"{name} = {value!r}\n" for name, value in given.items())
    said = json.loads(start(place, "-c", head + dedent(ALONE), POLYGAN_STRICT="1")[0])
    assert set(said) == {*refused, *LATE, *(f"listener {event}" for event in EVENTS.split())}
    for name, line in said.items():
        plugin, _, event = name.partition(" ")
        assert "\n" not in line
        owner = f"plugin '{plugin}' (dist-{plugin} 1.0): "
        assert line.startswith(owner if plugin not in LATE else f"recipe 'broken/{plugin}' of {owner}"), name
        assert re.search(f"OSError: {event} at " if event else BROKEN[plugin][1], line), line


def test_the_good_plugin_trains_and_the_listener_that_always_raises_stops_nothing(place):
    small = ("--model.width", "8", "--steps", "4", "--batch_size", "8", "--precision", "fp32", "--save_every", "2")
    often = ("--log_every", "1", "--sample_every", "2", "--evaluate_every", "2", "--evaluate_samples", "16")
    words = ("points/mlp", "--data", "ring", "--data.size", "60", "--name", "good", *small, *often)
    out, err = polygan(place, "train", *words, POLYGAN_CACHE=str(place / "cache"))
    assert "run: runs/good" in out
    for event in EVENTS.split():
        told = err.count(f"plugin 'listener' (dist-listener 1.0): polygan_{event} raised OSError: {event} at ")
        assert told == (event != "diverged"), event
    assert "plugin 'listener' (dist-listener 1.0): polygan_logged raised 4 times" in err
    assert "points/gone was left out: metric 'points/gone' of plugin 'metric' (dist-metric 1.0): cannot import" in err
    assert [folder.name for folder in (place / "runs/good/checkpoints").glob("step-*4")] != []
    after(place)


IN_TURN = """
    import contextlib, io, json, sys
    from polygan.cli import main
    said = []
    for words in json.loads(sys.argv[1]):
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main(words)
        except SystemExit as ended:
            said.append([ended.code, out.getvalue(), err.getvalue()])
    print(json.dumps(said))
"""


def after(place):
    """What follows on training, each command with every plugin loaded anew, in one process: torch is imported once."""
    report = place / "runs/good/report.html"
    report.unlink()
    commands = [
        ["generate", "runs/good", "-n", "5", "--out", "five.csv"],
        ["evaluate", "runs/good", "--json"],
        ["report", "runs/good"],
        ["train", "broken/no-default", "--data", "ring"],
    ]
    cache = {"POLYGAN_CACHE": str(place / "cache")}
    said = json.loads(start(place, "-c", dedent(IN_TURN), json.dumps(commands), **cache)[0])
    generated, evaluated, reported, refused = said
    assert [code for code, *_ in said] == [0, 0, 0, 1], said
    assert generated[1] == "5 samples: five.csv\n"
    assert (place / "five.csv").read_text().count("\n") == 5
    assert {"points/modes", "points/good"} == {score["name"] for score in json.loads(evaluated[1])}
    assert "points/gone was left out" in evaluated[2]
    assert reported[1] == "runs/good/report.html\n"
    assert "points/modes" in report.read_text()
    owner = "plugin 'no-default' (dist-no-default 1.0)"
    assert refused[1] == ""
    assert refused[2].splitlines()[-1] == (
        f"polygan: PluginError: recipe 'broken/no-default' of {owner}: "
        "broken_no_default_impl:It.Config.width has no default: give it one"
    )
