"""Completion scripts: commands and options as fixed words, recipes from `polygan list` each time, else files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ConfigError, did_you_mean
from ..command import written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..command import Option

    Commands = Mapping[str, tuple[str, Mapping[str, Option]]]
    """The summary and the options of each command, by name."""

_RECIPES = "polygan list 2>/dev/null | awk '/^recipes$/ {on=1; getline; next} /^$/ {on=0} on {print $1}'"
"""A command of the shell that prints the ids of recipes, one a line."""
_OF_RECIPES = ("train", "import")
"""The commands whose first place is a recipe."""

_BASH = """\
_polygan() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} options=""
  if (( COMP_CWORD == 1 )); then
    COMPREPLY=($(compgen -W "{commands}" -- "$word"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options --help" -- "$word"))
  elif (( COMP_CWORD == 2 )) && [[ " {of_recipes} " == *" ${{COMP_WORDS[1]}} "* ]]; then
    COMPREPLY=($(compgen -W "$({recipes})" -- "$word"))
  else
    COMPREPLY=()
  fi
}}
complete -o default -F _polygan polygan
"""
_ZSH = "autoload -U +X compinit bashcompinit && compinit -u && bashcompinit\n"


def script(shell: str, commands: Commands) -> str:
    """The script for ``bash``, ``zsh`` or ``fish``. Raises ConfigError for another shell."""
    shells = {"bash": _bash, "zsh": lambda known: _ZSH + _bash(known), "fish": _fish}
    if shell not in shells:
        raise ConfigError(
            f"no completion for shell {shell!r}{did_you_mean(shell, shells)}; there is {', '.join(shells)}"
        )
    return shells[shell](commands)


def _bash(commands: Commands) -> str:
    cases = [f'    {name}) options="{" ".join(_written(options))}" ;;' for name, (_, options) in commands.items()]
    return _BASH.format(
        commands=" ".join(commands), cases="\n".join(cases), of_recipes=" ".join(_OF_RECIPES), recipes=_RECIPES
    )


def _written(options: Iterable[str]) -> list[str]:
    return [written(name) for name in options]


def _fish(commands: Commands) -> str:
    lines = []
    for name, (summary, options) in commands.items():
        lines.append(f"complete -c polygan -n __fish_use_subcommand -f -a {name} -d {_quoted(summary)}")
        seen = f"complete -c polygan -n '__fish_seen_subcommand_from {name}'"
        for word, option in zip(_written(options), options.values(), strict=True):
            kind = f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}"
            lines.append(f"{seen} {kind} -d {_quoted(option.meaning)}")
        if name in _OF_RECIPES:
            lines.append(f'{seen} -a "({_RECIPES.replace("$", chr(92) + "$")})"')
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text in quotes of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
