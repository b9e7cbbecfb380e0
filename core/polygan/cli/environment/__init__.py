"""Commands about the installation: what works here, and completion for a shell."""

from .commands import ENVIRONMENT, completing

__all__ = ["ENVIRONMENT", "completing"]
