"""Given pictures of the pairs of a run: from the store, derived, and from a user's files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from polygan import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..settings import ImageInfo


def check_factor(factor: int, width: int, height: int) -> None:
    """Refuse pairs by ``smaller`` of pictures whose sides are no multiples of the factor."""
    if width % factor or height % factor:
        fits = f"{max(1, width // factor) * factor}x{max(1, height // factor) * factor}"
        raise ConfigError(
            f"data.pairs = smaller with data.factor = {factor} needs sides that are multiples of {factor}, and the pictures are "
            f"{width}x{height}; type e.g. --data.resolution {fits}"
        )


def as_given(info: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts of a run's given pictures as if they were its pictures: what a user's file is brought to."""
    facts = cast("ImageInfo", info)
    pairs, given = facts.get("pairs", ""), facts.get("given")
    if given is None or pairs == "grey":
        return info
    plain = {name: value for name, value in info.items() if name not in ("pairs", "window", "dtype")}
    if pairs == "smaller":
        factor = given.get("factor", 2)
        kept = {name: info[name] for name in ("window", "dtype") if name in info}
        return {**plain, **kept, "height": info["height"] // factor, "width": info["width"] // factor}
    return {**plain, **given}
