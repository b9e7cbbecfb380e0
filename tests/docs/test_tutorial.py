"""Every code block of the tutorial and of the page on hooks, run as it stands in the text.

A block with a title is written to the file of that name. Python without a title is run as a script, and a block titled
"output" holds what it prints; one titled "message" has a test of its own. In a console block each line that begins with
"$ " is run by the shell in the page's folder, and the lines below are what it prints: "..." stands for anything,
"[exit code N]" ends what does not exit with 0.

One thing is replaced: `pip install FOLDER` builds and installs the package with the real pip, but into a folder of the
test that is on PYTHONPATH, without its dependencies and with the build tools that are there, so that it needs no
network. And one line is left out: that a plugin is still being loaded, which a slow machine is told on stderr.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from polygan.testing import Case, ContractError
from polygan.testing.bench import Bench
from polygan.testing.recipe_checks import check_recipe_generates_as_many_as_asked

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


@dataclass
class Block:
    """A fenced block: ``place`` is page:line of its first line."""

    place: str
    language: str
    title: str
    text: str


def blocks(page):
    text = page.read_text()
    found = [
        Block(f"{page.name}:{text[: m.start()].count(chr(10)) + 1}", m[1], m[2] or "", m[3])
        for m in FENCE.finditer(text)
    ]
    assert 2 * len(found) == len(re.findall("^ *```", text, re.M)), f"{page.name} has fences that are not understood"
    return found


def commands(block):
    """(command, what it prints, exit code) of a console block."""
    assert block.text.startswith("$ "), f"{block.place}: a console block begins with a command"
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, _, output = part.partition("\n")
        lines = output.splitlines()
        code = re.fullmatch(r"\[exit code (\d+)\]", lines[-1]) if lines else None
        yield command, lines[:-1] if code else lines, int(code[1]) if code else 0


def matches(expected, printed):
    """Whether output is as the text shows it, apart from how wide its gaps are."""
    parts = [r"(?:.*\n)*?" if line == "..." else _line(line) + r" *\n" for line in expected]
    return re.fullmatch("".join(parts), printed) is not None


def _line(text):
    return ".*".join(re.sub(r"(\\ )+", " +", re.escape(part)) for part in text.split("..."))


class Shell:
    """A folder in which `polygan`, `python` and `pip` are those of the tests."""

    def __init__(self, folder):
        self.folder = folder / "tutorial"
        tools, site = folder / "tools", folder / "site"
        for new in (self.folder, tools, site):
            new.mkdir()
        offline = f"--quiet --target '{site}' --no-index --no-deps --no-build-isolation"
        for name, words in {
            "python": '"$@"',
            "polygan": '-m polygan "$@"',
            "pip": f'-m pip "$1" {offline} "$2"',
        }.items():
            (tools / name).write_text(f"#!/bin/sh\nexec '{sys.executable}' {words}\n")
            (tools / name).chmod(0o755)
        paths = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
        ours = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": paths, "TERM": "dumb"}
        self.environment = {**os.environ, **ours, "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *words, shell=False):
        done = subprocess.run(
            words[0] if shell else words,
            shell=shell,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return done.returncode, re.sub("^plugin .* still being loaded after .*\n", "", done.stdout, flags=re.M)

    def console(self, block):
        for command, expected, code in commands(block):
            got, printed = self.run(command, shell=True)
            assert got == code, f"{block.place}: `{command}` exits with {got}, not {code}:\n{printed}"
            wanted = "\n".join(expected)
            assert matches(expected, printed), (
                f"{block.place}: `{command}` prints\n{printed}\nbut the page says\n{wanted}"
            )

    def script(self, block, expected):
        code, printed = self.run(sys.executable, "-c", block.text)
        assert code == 0, f"{block.place}: the script exits with {code}:\n{printed}"
        lines = expected.text.splitlines() if expected else []
        assert matches(lines, printed), f"{block.place}: the script prints\n{printed}\nbut the page says\n{lines}"


def play(page, shell):
    """Run a page from top to bottom; returns how many blocks were run."""
    found = blocks(page)
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.title in ("output", "message"):
            continue
        if block.title:
            file = shell.folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
        elif block.language == "console":
            shell.console(block)
        elif block.language == "python":
            shell.script(block, after if after and after.title == "output" else None)
        else:
            pytest.fail(f"{block.place}: a block of {block.language or 'no language'} without a title is not run")
    return len(found)


@pytest.mark.e2e
def test_every_block_of_the_tutorial_runs_as_it_stands(tmp_path):
    missing = [name for name in ("sklearn", "pip", "setuptools") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the tutorial needs {', '.join(missing)}")
    shell = Shell(tmp_path)
    assert play(DOCS / "tutorial.md", shell) > 10
    assert (shell.folder / "made.png").read_bytes().startswith(b"\x89PNG")
    assert "hookimpl" not in (shell.folder / "polygan-tiny/src/polygan_tiny/gan.py").read_text()


@pytest.mark.slow
@pytest.mark.e2e
def test_the_listeners_of_the_page_on_hooks_run_as_they_stand(tmp_path):
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("the page needs sklearn")
    assert play(DOCS / "hooks.md", Shell(tmp_path)) == 9


def test_the_message_of_a_broken_contract_is_what_the_check_says(tmp_path):
    if importlib.util.find_spec("sklearn") is None:
        pytest.skip("the tutorial needs sklearn")
    found = {block.title: block.text for block in blocks(DOCS / "tutorial.md")}
    code = found["my_gan.py"].replace("my_gan:", "careless_gan:")
    careless = code.replace("request.noise.normal(request.n,", "torch.randn(request.n,")
    assert careless != code
    (tmp_path / "careless_gan.py").write_text(careless)
    small = {"latent_dim": 4, "width": 8}
    bench = Bench(Case("image/tiny", "digits", small, plugins=[tmp_path / "careless_gan.py"]))
    with bench.catalogue(), pytest.raises(ContractError) as raised:
        check_recipe_generates_as_many_as_asked(bench)
    sys.modules.pop("careless_gan")
    assert matches(found["message"].splitlines(), f"{raised.value}\n"), raised.value


@pytest.mark.parametrize(
    ("expected", "printed", "fits"),
    [
        (["a b"], "a   b\n", True),
        (["a b"], "a c\n", False),
        (["...", "run: x"], "1\n2\nrun: x\n", True),
        (["...", "run: x"], "run: y\n", False),
        (["a:", "  b: 1"], "a:\n  b: 1\n", True),
        (["12 passed in ..."], "12 passed in 3.1s\n", True),
        (["12 passed in ..."], "11 passed in 3.1s\n", False),
        ([], "noise\n", False),
    ],
)
def test_output_is_compared(expected, printed, fits):
    assert matches(expected, printed) is fits


def test_a_block_that_nothing_runs_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```ruby\nputs 1\n```\n")
    with pytest.raises(pytest.fail.Exception, match=r"page.md:1: a block of ruby"):
        play(page, Shell(tmp_path))
