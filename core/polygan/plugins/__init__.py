"""The catalogue of what plugins registered, and how plugins are found and loaded."""

from .catalogue import Catalogue, get_catalogue, load_catalogue, set_catalogue
from .discovery import PluginStatus
from .handed import add_plugins
from .schemes import find, scheme_of

__all__ = [
    "Catalogue",
    "PluginStatus",
    "add_plugins",
    "find",
    "get_catalogue",
    "load_catalogue",
    "scheme_of",
    "set_catalogue",
]
