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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 語 👨‍👩‍👧 عربي", "plain é 語 👨‍👩‍👧 عربي"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("two\nlines\r\t\u2028", r"two\nlines\r\t\u2028"),
        ("bytes \udcff of a name", r"bytes \udcff of a name"),
        ("gpj.\u202egnp", r"gpj.\u202egnp"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text, shown):
    assert messages.printable(text) == shown
    messages.printable(text).encode()


def test_a_message_is_one_line_that_any_name_may_stand_in(capsys):
    evil = "a\x1b[2J\nb\udc80"
    with messages.shown_on_stderr():
        messages.warn(f"file {evil}")
        logging.getLogger("polygan").warning(
            "by a plugin: %s", "\x1b[2J\x9b"
        )  # pytest-xdist cannot carry a lone surrogate
    messages.say(f"file {evil}")
    line = r"file a\x1b[2J\nb\udc80"
    assert capsys.readouterr().err.splitlines() == [line, r"by a plugin: \x1b[2J\x9b", line]


def test_a_count_has_its_noun_in_the_right_number():
    assert messages.plural(1, "thread") == "1 thread"
    assert messages.plural(0, "thread") == "0 threads"
    assert messages.plural(12_000, "class", "classes") == "12,000 classes"
    assert messages.plural(1, "class", "classes") == "1 class"
