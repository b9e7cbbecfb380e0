"""Settings beside published weights: a YAML file of a stranger, read whole and small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polygan import ConfigError, parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

_MOST = 1 << 20  # bytes


def read_settings(path: Path, remedy: str) -> Any:
    """What a YAML file of up to 1 MiB says. ConfigError, which ends in ``remedy``, for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST + 1)
        if len(text) > _MOST:
            raise ValueError(f"more than {_MOST:,} bytes")
        return parse_yaml(text.decode("utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path} cannot be read ({why}); {remedy}") from None
