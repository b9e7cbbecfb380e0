"""Stored given pictures as networks see them, and what is noted beside given pictures to show them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..pairs import labels
from ..pairs.given import as_given
from . import windows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from polygan import Samples


def to_given(values: Tensor, info: Mapping[str, Any]) -> Tensor:
    """Stored given pictures (n, C, H, W) as networks see them: in [-1, 1], or one-hot label maps."""
    classes = labels.classes_of(info["given"])
    return windows.to_unit(values, info["given"]) if classes is None else labels.one_hot(values, len(classes.values))


def extra_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """`Samples.extra` of given pictures: their window and type, or the classes of label maps, which are shown in colours."""
    classes = labels.classes_of(info.get("given", {}))
    return windows.extra_of(as_given(info)) if classes is None else {"label_map": classes._asdict()}


def in_colours(samples: Samples) -> Samples:
    """Label maps as coloured pictures; other samples unchanged."""
    facts = samples.extra.get("label_map")
    if facts is None or samples.data.shape[1] != len(facts["values"]):
        return samples
    return replace(samples, data=labels.in_colours(samples.data, facts["colours"]), extra={})
