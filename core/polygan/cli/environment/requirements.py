"""What installed distributions require, compared with what is installed. Nothing here imports the packages."""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.requirements import Requirement

_FOR_DEVELOPERS = ("dev", "docs", "test")


class Need(NamedTuple):
    """A requirement of a distribution that this environment does not meet."""

    owner: str
    """The distribution that requires the package."""
    extra: str
    """The extra of ``owner`` that asks for the package; empty: the distribution always does."""
    package: str
    wanted: str
    """The requirement as pip takes it, e.g. ``torch<2.15``."""
    found: str
    """The installed version; empty: none."""

    @property
    def what(self) -> str:
        """The requirement, and the version that does not fit."""
        return f"{self.wanted} ({self.found} is installed)" if self.found else self.wanted


def version_of(distribution: str) -> str:
    """The installed version; empty if the distribution is absent or its metadata is damaged."""
    try:
        return metadata.version(distribution) or ""
    except Exception:  # damaged metadata raises errors of many kinds
        return ""


def unmet(distributions: Iterable[str]) -> list[Need]:
    """The requirements of distributions and of their extras that are not met. Extras for developers are left out."""
    return [need for distribution in distributions for need in _unmet(distribution)]


def _unmet(distribution: str) -> Iterator[Need]:
    for extra in ("", *(extra for extra in _extras(distribution) if extra not in _FOR_DEVELOPERS)):
        for requirement in _required(distribution, extra):
            found = version_of(requirement.name)
            if not found or not requirement.specifier.contains(found, prereleases=True):
                requirement.marker = None
                yield Need(distribution, extra, requirement.name, str(requirement), found)


def _extras(distribution: str) -> list[str]:
    try:
        return list(metadata.metadata(distribution).get_all("Provides-Extra") or ())
    except Exception:  # damaged metadata, as above
        return []


def _required(distribution: str, extra: str) -> list[Requirement]:
    """The requirements of a distribution without extras, or those that an extra adds."""
    try:
        from packaging.requirements import Requirement

        every = [Requirement(text) for text in metadata.requires(distribution) or ()]
    except Exception:  # no packaging, no distribution, or damaged metadata
        return []
    always = [r for r in every if r.marker is None or r.marker.evaluate({"extra": ""})]
    if not extra:
        return always
    return [r for r in every if r not in always and r.marker is not None and r.marker.evaluate({"extra": extra})]


def bound_of(package: str, distributions: Iterable[str]) -> str:
    """The requirement on a package with an upper bound, as one of the distributions writes it; else the package's name."""
    for distribution in distributions:
        for requirement in _required(distribution, ""):
            if re.sub(r"[-_.]+", "-", requirement.name).lower() == package and "<" in str(requirement.specifier):
                requirement.marker = None
                return str(requirement)
    return package
