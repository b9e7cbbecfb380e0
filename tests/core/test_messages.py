"""Messages: shown by default, silenced, redirected; the command line shows them whatever plugins do."""

from __future__ import annotations

import ast
import logging
import subprocess
import sys
from pathlib import Path

import pytest

import polygan
from polygan import messages

CORE = Path(polygan.__file__).parent


def heard(setting):
    """What a script that begins with ``setting`` prints on stderr for one message of each level."""
    code = (
        f"import logging, sys\n{setting}\nfrom polygan.messages import fail, say, warn\n"
        "say('said 100 %s')\nwarn('warned')\nfail('failed')\n"
        "logging.getLogger('polygan').warning('by a plugin')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr.splitlines()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("", ["said 100 %s", "warned", "failed", "by a plugin"]),
        ("logging.getLogger('polygan').setLevel(logging.WARNING)", ["warned", "failed", "by a plugin"]),
        ("logging.getLogger('polygan').setLevel(logging.CRITICAL)", []),
        ("logging.getLogger('polygan').addHandler(logging.NullHandler())", []),
        ("logging.getLogger('polygan').disabled = True", []),
        ("logging.disable(logging.WARNING)", ["failed"]),
        ("logging.basicConfig()", ["WARNING:polygan:warned", "ERROR:polygan:failed", "WARNING:polygan:by a plugin"]),
        (
            "logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')",
            ["INFO said 100 %s", "WARNING warned", "ERROR failed", "WARNING by a plugin"],
        ),
        (
            "logging.getLogger('polygan').addHandler(logging.StreamHandler(sys.stderr))",
            ["warned", "failed", "by a plugin"],
        ),
        # Configured after the first message, each line is still there once.
        (
            "from polygan.messages import say; say('early'); logging.basicConfig(level=0, format='%(message)s')",
            ["early", "said 100 %s", "warned", "failed", "by a plugin"],
        ),
    ],
)
def test_a_script_decides_what_is_shown(setting, expected):
    assert heard(setting) == expected


def test_a_file_takes_the_lines(tmp_path, capsys):
    logger = logging.getLogger("polygan")
    handler = logging.FileHandler(tmp_path / "log")
    logger.addHandler(handler)
    try:
        messages.say("said")
    finally:
        logger.removeHandler(handler)
        handler.close()
    assert (tmp_path / "log").read_text() == "said\n"


def test_the_command_line_shows_each_line_once_and_leaves_logging_as_it_was(capsys, monkeypatch):
    logger = logging.getLogger("polygan")
    monkeypatch.setattr(logger, "handlers", [])
    before = (logger.level, logger.propagate)
    with messages.shown_on_stderr(), messages.shown_on_stderr():
        logging.getLogger().addHandler(other := logging.StreamHandler())  # as a plugin's library may
        messages.say("said")
        logging.getLogger().removeHandler(other)
    assert capsys.readouterr().err == "said\n"
    assert (logger.level, logger.propagate, logger.handlers) == (*before, [])


def test_a_line_stands_above_a_progress_bar():
    code = (
        "import sys\nfrom tqdm import tqdm\nfrom polygan.messages import say\n"
        "with tqdm(total=10, desc='bar') as bar:\n    say('said')\n    bar.update(5)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert b"\rsaid\n" in done.stderr  # where the bar was


def test_no_module_of_the_core_prints_to_stderr_by_itself():
    found = {}
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                to = [ast.unparse(k.value) for k in node.keywords if k.arg == "file"]
                if to == ["sys.stderr"]:
                    found[path.name] = found.get(path.name, 0) + 1
    assert found == {"messages.py": 1, "progress.py": 1}  # the line of training's progress is no message
