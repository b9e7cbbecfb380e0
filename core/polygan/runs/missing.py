"""Which plugins a run needs that are not loaded, as its environment.json tells. Nothing here loads a plugin."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..settings.words import Each, read_words
from .folder import environment_of

NETWORKS = "/networks"
"""The end of the id of the recipe that trains two networks from a script."""

if TYPE_CHECKING:
    from pathlib import Path

    from ..plugins.catalogue import Catalogue


def plugin_remedy(folder: Path, catalogue: Catalogue) -> str:
    """The end of a message about a recipe that no plugin brings: the plugins that the run was trained with; empty if unknown.

    A local file is named and never loaded by itself, since it would be code from a run that may be a stranger's.
    """
    environment = environment_of(folder)
    loaded = {plugin.name for plugin in catalogue.plugins if plugin.status == "loaded"}
    recorded = environment.get("plugins")
    plugins = recorded.items() if isinstance(recorded, dict) else ()
    absent = {name: str(where).strip() for name, where in plugins if name not in loaded}
    files = [where for where in absent.values() if where.endswith(".py")] or _files(environment.get("command"))
    said = ""
    if files:
        options = " ".join(f"--plugin {_typed(file)}" for file in files)
        said += f"; the run was trained with {options}: add this to the command if you trust the file"
    others = [where for where in absent.values() if where and not where.endswith(".py")]
    if others:
        said += (
            f"; the run was trained with {', '.join(others)}, which is not loaded: install it, or see `polygan plugins`"
        )
    return said


def _typed(file: str) -> str:
    """A file as it is typed: quoted for the shell, apart from a ``~`` for the home folder."""
    return f"~/{shlex.quote(file[2:])}" if file.startswith("~/") else shlex.quote(file)


def _files(command: object) -> list[str]:
    """The files after ``--plugin`` in the command that trained the run."""
    try:
        found, _ = read_words(shlex.split(str(command or "")), {"plugin": Each})
    except (ValueError, ConfigError):
        return []
    return [str(file) for file in found.get("plugin", [])]


def handed_remedy(recipe: str, folder: Path) -> str:
    """The error about a run whose networks or recipe a script handed in; empty for other runs. ``folder``: a run, or an exported model."""
    if recipe.endswith(NETWORKS):
        return (
            f"{folder} was trained with networks that a script handed in; hand over both again, from Python: "
            f"polygan.load({str(folder)!r}, networks=(generator, discriminator)), and resume in the same way"
        )
    handed = environment_of(folder).get("handed")
    if not isinstance(handed, dict) or recipe not in handed:
        return ""
    name = recipe.rpartition("/")[2]
    return (
        f"{folder} was trained with the class {name} of {handed[recipe]!s:.200}, which a script handed in; hand it over again, "
        f"from Python: polygan.load({str(folder)!r}, recipe={name}), and resume in the same way"
    )


def refuse_handed(recipe: str, folder: Path, catalogue: Catalogue) -> None:
    """Raise ConfigError where a script handed in what trained the model, and has not handed it in again."""
    if recipe not in catalogue.recipes and (said := handed_remedy(recipe, folder)):
        raise ConfigError(said)
