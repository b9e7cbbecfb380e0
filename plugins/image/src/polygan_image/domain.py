"""The domain ``image`` under the path that scripts and plugins import it from."""

from __future__ import annotations

from .data.domain import ImageDomain
from .data.settings import ImageSettings

__all__ = ["ImageDomain", "ImageSettings"]
