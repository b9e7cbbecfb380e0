"""Completion scripts do in their shell what they promise; bash runs the script itself."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from dreaming import run

from polygan.cli.command import Option
from polygan.cli.commands import VERBS
from polygan.cli.environment.completion import script

BASH = shutil.which("bash")
LISTED = "recipes\nid  what\ntoy/gan  small\ntoy/wgan  too\n\nmetrics\nid\nfar/away\n"


def completed(*words, text=None):
    """What bash offers for the last word of a command line; `polygan list` is played by a function."""
    text = text or script("bash", {name: (v.summary, v.options) for name, v in VERBS.items()})
    line = " ".join(f"'{word}'" for word in words)
    commands = [
        f"polygan() {{ printf '{LISTED}'; }}",
        text,
        f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _polygan; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    ]
    ran = subprocess.run([BASH, "--norc", "-c", "\n".join(commands)], capture_output=True, text=True, timeout=20)
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.skipif(BASH is None, reason="bash is not there")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("polygan", "re"), ["resume", "report"]),
        (("polygan", "train", "toy/w"), ["toy/wgan"]),
        (("polygan", "import", ""), ["toy/gan", "toy/wgan"]),
        (("polygan", "train", "--dry"), ["--dry-run"]),
        (("polygan", "generate", "runs/x", "-"), None),
        (("polygan", "resume", "x"), []),
        (("polygan", "train", "toy/gan", "x"), []),
        (("polygan", "banana", "--"), ["--help"]),
    ],
)
def test_bash_completes_commands_recipes_and_options(words, offered):
    found = completed(*words)
    if offered is None:
        assert {"-n", "--seed", "--out", "--help"} <= set(found)
        assert "--dry-run" not in found
    else:
        assert found == offered


def test_commands_of_plugins_are_completed_too(dreams, capsys):
    text = run(capsys, "completion", "bash", "--plugin", dreams).out
    assert 'compgen -W "list ' in text
    assert " muse nap" in text
    if BASH:
        assert completed("polygan", "mu", text=text) == ["muse"]


def test_zsh_takes_the_script_of_bash_and_fish_has_a_line_for_each_option(capsys):
    bash, zsh = (run(capsys, "completion", shell).out for shell in ("bash", "zsh"))
    assert zsh.endswith(bash)
    assert zsh.startswith("autoload -U +X compinit bashcompinit")
    fish = run(capsys, "completion", "fish").out
    assert "complete -c polygan -n '__fish_seen_subcommand_from generate' -s n -d 'the number of samples'" in fish
    assert "-n '__fish_seen_subcommand_from train' -l dry-run -d " in fish
    text = script("fish", {"a": ("it's C:\\x", {"b": Option(str, "d'e")})})
    assert "-a a -d 'it\\'s C:\\\\x'" in text
    assert "-l b -d 'd\\'e'" in text


def test_another_shell_is_one_line_that_names_those_that_are_there(capsys):
    err = run(capsys, "completion", "bsh", code=2).err
    assert (
        err == "polygan: ConfigError: no completion for shell 'bsh' (did you mean 'bash'?); there is bash, zsh, fish\n"
    )
