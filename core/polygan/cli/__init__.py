"""The command line. A command imports only what it needs; listing what is installed never imports torch."""

from .command_line import main

__all__ = ["main"]
