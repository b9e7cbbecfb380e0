"""The command line. Only what a command needs is imported: listing what is installed never imports torch."""

from .command_line import main

__all__ = ["main"]
