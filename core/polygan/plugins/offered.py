"""The plugins that polygan's own extras name: what to type where an installed plugin is missed."""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from .discovery import PluginStatus

NONE = 'no plugin that is loaded brings one: `polygan plugins` shows them, pip install "polygan[all]" brings polygan\'s own'
_IN_AN_EXTRA = re.compile(r"polygan-([\w-]+).*;.*\bextra\s*==\s*['\"]\1['\"]")


def offered() -> dict[str, str]:
    """The distributions of plugins by the extra of polygan of the same name; empty where polygan is not installed."""
    try:
        texts = metadata.requires("polygan") or ()
    except Exception:  # a checkout on the path without metadata, or damaged metadata
        return {}
    found = filter(None, map(_IN_AN_EXTRA.match, texts))
    return {match[1]: f"polygan-{match[1]}" for match in found}


def missed(id: str, domains: Container[str], plugins: Iterable[PluginStatus]) -> str:
    """What to type for an id such as ``image/dcgan`` if the plugin of its domain is not installed; else empty."""
    domain = id.partition("/")[0]
    distribution = offered().get(domain, "")
    if not distribution or domain in domains or any(plugin.distribution == distribution for plugin in plugins):
        return ""
    return f"the plugin {distribution} is not installed: pip install {distribution}"


def nothing() -> str:
    """What to install where no plugin brings a recipe."""
    one = ", ".join(f"pip install {name}" for name in offered().values())
    return (
        'no recipe, because no plugin brings one: pip install "polygan[all]" installs those of polygan'
        f"{f', or install one ({one})' if one else ''}; `polygan plugins` shows what is there, and `polygan new NAME` writes "
        "one of your own"
    )
