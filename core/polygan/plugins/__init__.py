"""The catalogue of what plugins registered, and how plugins are found and loaded."""

from .catalogue import Catalogue, get_catalogue, load_catalogue, set_catalogue
from .discovery import PluginStatus

__all__ = ["Catalogue", "PluginStatus", "get_catalogue", "load_catalogue", "set_catalogue"]
