"""Commands about the installation: what works here, and completion for a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..command import JSON, Arguments, Command, Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...plugins.catalogue import Catalogue


def _doctor(catalogue: Catalogue, arguments: Arguments, _rest: Sequence[str]) -> int:
    from .doctor import examine, show

    found = examine(catalogue)
    show(found, as_json=arguments.json)
    return 0 if found.works else 1


def completing(verbs: Mapping[str, Command]) -> Command:
    """The command that prints a completion script for the commands ``verbs`` and those of plugins."""

    def run(catalogue: Catalogue, arguments: Arguments, _rest: Sequence[str]) -> None:
        from .completion import script

        commands = {name: (command.summary, command.options) for name, command in verbs.items()}
        of_plugins = {name: (spec.summary, {}) for name, spec in catalogue.commands.items()}
        print(script(arguments.shell, {**commands, **of_plugins}), end="")

    return Command(
        "print a script that completes polygan's commands, options and recipes in a shell",
        run,
        (Place("shell", 'bash, zsh or fish; e.g. for bash: eval "$(polygan completion bash)" in ~/.bashrc'),),
    )


ENVIRONMENT: dict[str, Command] = {
    "doctor": Command(
        "what works here: versions, devices, plugins, missing extras, the cache; for bug reports",
        _doctor,
        options=JSON,
    ),
}
