"""Every command of the READMEs and of the pages on what was measured is understood: its options exist and its values are in range."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from polygan import read_options
from polygan.cli.command import own_values
from polygan.cli.commands import VERBS
from polygan.plugins import get_catalogue, set_catalogue
from polygan.runs.assembly import kinds, resolve
from polygan.runs.exported import export_kind, format_options
from polygan.settings.parser import build
from polygan_audio.mel_scales.command import Check
from polygan_demo.commands import Demo
from polygan_hub.commands import Pull, Push
from polygan_image.dreaming.command import Dream

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "PYPI.md",
    "examples/gallery/README.md",
    "plugins/image/PYPI.md",
    *(str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("plugins/*/README.md"))),
]
PAGES += [
    "docs/data.md",
    "docs/speaking.md",
    *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").glob("measured*.md"))),
]
ELSEWHERE = ("--plugin", "points/mlp", "FILE", "FOLDER", "RUN", "...")
"""What a command has that needs a plugin or a run which is not there."""
OF_PLUGINS = {
    "demo": (Demo, "run"),
    "dream": (Dream, "network"),
    "mels": (Check, ("action", "mels")),
    "pull": (Pull, "name"),
    "push": (Push, ("run", "name")),
}
"""The commands of plugins with the class of their options, and the options that are typed without their names."""


@pytest.fixture(autouse=True, scope="module")
def catalogue():
    set_catalogue(None)
    yield get_catalogue()
    set_catalogue(None)


def commands(text):
    """The polygan commands of the console blocks of a page, as words; a block's and earlier blocks' variables are filled in."""
    variables, found = {}, []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if not line.startswith("$ "):
                continue
            line = re.sub(r"\$(\w+)", lambda m: variables.get(m[1], m[0]), line[2:])
            if assigned := re.fullmatch(r'(\w+)="(.*)"\s*(#.*)?', line):
                variables[assigned[1]] = assigned[2]
            for part in re.split(r"&&|\||;", re.sub(r"\s#\s.*", "", line)):
                words = shlex.split(part)
                if "polygan" in words and words[0] in ("polygan", "timeout"):
                    found.append(words[words.index("polygan") + 1 :])
    return found


def understand(words):
    """Refuse a command that the command line would refuse before it looks at data or at a run."""
    verb, rest = words[0], words[1:]
    command = VERBS[verb]
    arguments, left = command.read(verb, rest)
    if verb == "train":
        resolve(arguments.recipe, [], left)
    elif verb == "generate" or (verb == "evaluate" and left):
        recipe = recipe_of(arguments.run)
        sampling = kinds(recipe, get_catalogue())[0].Sampling
        build(sampling, own_values(sampling, left, verb, recipe, command.options), recipe)
    elif verb == "export":
        recipe, catalogue = recipe_of(arguments.run), get_catalogue()
        kind = export_kind(arguments.out, arguments.format, catalogue.formats_of(recipe, "export"))
        options = format_options(recipe, kind, catalogue)
        build(options, own_values(options, left, verb, kind), kind)


def recipe_of(run):
    """The id of the recipe that a run's name begins with."""
    name = Path(run).name.removesuffix(".safetensors")
    known = {id.partition("/")[2]: id for id in get_catalogue().recipes} | {
        "coco": "text/seqgan",
        "idioms": "text/seqgan",
        "vocoder": "audio/hifigan",
        "mine": "audio/hifigan",
    }
    return next(id for short, id in known.items() if f"{name}-".startswith(f"{short}-"))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_understood(page):
    found = commands((ROOT / page).read_text(encoding="utf-8"))
    assert found or page == "docs/measured.md"
    for words in found:
        if set(ELSEWHERE) & set(words):
            continue
        if words[0] in OF_PLUGINS:
            kind, first = OF_PLUGINS[words[0]]
            assert read_options(words[0], kind, words[1:], first=first)
            continue
        if words[0] not in VERBS:
            pytest.fail(f"{page}: `polygan {shlex.join(words)}` is no command")
        understand(words)


def test_commands_are_found_and_wrong_ones_refused():
    page = '```console\n$ more="--steps 5 --threads 1"\n$ polygan train image/dcgan $more \\\n    --data x && polygan list\n```\n'
    assert commands(page) == [["train", "image/dcgan", "--steps", "5", "--threads", "1", "--data", "x"], ["list"]]
    for wrong in (
        ["evaluate", "runs/seqgan-x", "--judge", "y"],
        ["train", "image/dcgan", "--data", "x", "--steps", "0"],
    ):
        with pytest.raises(Exception, match=r"judge|steps"):
            understand(wrong)
    with pytest.raises(Exception, match="temperature"):
        understand(["generate", "runs/seqgan-x", "--temperature", "cold", "--out", "y"])
