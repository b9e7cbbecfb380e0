"""The conformance suite: the checks of each kind, and the functions that run them."""

from __future__ import annotations

import traceback
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from ..errors import ConfigError, did_you_mean
from ..testing import data_checks, recipe_checks
from .bench import Bench, Case
from .watched import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    import pytest

    from .bench import Data

    Check = Callable[[Bench], None]


def _checks(module: ModuleType, prefix: str) -> list[Check]:
    """The checks of a module whose names begin with ``prefix``, in their order."""
    return [check for name, check in vars(module).items() if name.startswith(prefix)]


_LISTED = recipe_checks.check_is_listed_without_torch
_SOURCE = _checks(data_checks, "check_source_")
CHECKS: Mapping[str, Sequence[Check]] = {
    "recipe": [_LISTED, *_checks(recipe_checks, "check_recipe_")],
    "domain": [_LISTED, *_SOURCE, *_checks(data_checks, "check_domain_")],
    "dataset": [_LISTED, *_SOURCE, *_checks(data_checks, "check_dataset_")],
    "metric": [_LISTED, *_checks(data_checks, "check_metric_")],
}
"""The checks of each kind, in the order in which they run."""


class CaseOptions(TypedDict, total=False):
    """Further fields of `Case`."""

    settings: Mapping[str, object]
    plugins: Sequence[str | Path]


class MetricOptions(CaseOptions, total=False):
    """Further fields of a `Case` of a metric."""

    model: Mapping[str, object]


def check_recipe(
    id: str,
    data: Data | Callable[[Path], Data] = "",
    model: Mapping[str, object] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
    **more: Unpack[CaseOptions],
) -> None:
    """Check a recipe: settings, two CPU steps, gradients, seeds, resume, save and load, generation, devices, listing.

    ``data``, ``model`` and ``more`` are fields of `Case`. Choose a model that trains in seconds and whose turns all begin
    within 24 steps. ``expected_failures`` holds reasons by name of check; these checks must fail. Raises ContractError with
    a line for each broken contract.
    """
    _check(Case(id, data, model or {}, "recipe", **more), expected_failures or {})


def check_domain(
    id: str,
    data: Data | Callable[[Path], Data],
    *,
    expected_failures: Mapping[str, str] | None = None,
    **more: Unpack[CaseOptions],
) -> None:
    """Check a domain: opening, refusing, decoding, collating, preparing, real samples, files, pieces, features.

    ``data`` is a path, a named data set, data settings, or a function that makes data in a folder and returns one of these.
    """
    _check(Case(id, data, kind="domain", **more), expected_failures or {})


def check_dataset(
    id: str,
    data: Data | Callable[[Path], Data] = "",
    *,
    expected_failures: Mapping[str, str] | None = None,
    **more: Unpack[CaseOptions],
) -> None:
    """Check a named data set: opening, decoding, repeating. ``data`` holds data settings, e.g. ``{"size": 24}``."""
    _check(Case(id, data or {}, kind="dataset", **more), expected_failures or {})


def check_metric(
    id: str,
    recipe: str,
    data: Data | Callable[[Path], Data],
    *,
    expected_failures: Mapping[str, str] | None = None,
    **more: Unpack[MetricOptions],
) -> None:
    """Check a metric on samples of a barely trained ``recipe``: scores are finite and repeat, and networks do not change."""
    _check(Case(id, data, kind="metric", recipe=recipe, **more), expected_failures or {})


def parametrize_with_checks(
    cases: Sequence[Case], expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """A pytest decorator that makes a test for each case and check; the test calls its argument ``check`` without arguments.

    ``expected_failures`` holds reasons by name of check, or by ``"ID:NAME"`` for the check of one case. Such a test is marked as
    expected to fail, and an unexpected pass is a failure.
    """
    import pytest

    expected = dict(expected_failures or {})
    names = [name for case in cases for check in CHECKS[case.kind] for name in _names(case, check)]
    _known(expected, names)
    parameters = []
    for case in cases:
        bench = cache(partial(Bench, case))  # made at the first check, and shared
        for check in CHECKS[case.kind]:
            reasons = [expected[name] for name in _names(case, check) if name in expected]
            marks = [pytest.mark.xfail(reason=reasons[0], raises=ContractError, strict=True)] if reasons else []
            parameters.append(pytest.param(partial(_run, bench, check), marks=marks, id=f"{case.id}-{check.__name__}"))
    return pytest.mark.parametrize("check", parameters)


def _run(made: Callable[[], Bench], check: Check) -> None:
    """Run a check. Any error of the plugin is a broken contract too; a faulty case is a ConfigError."""
    bench = made()
    with bench.catalogue():
        bench.data_settings  # noqa: B018 - mistakes in the case itself raise here, and are no broken contract
        try:
            check(bench)
        except ContractError:
            raise
        except Exception as error:
            line = " ".join(str(error).split())
            last = traceback.extract_tb(error.__traceback__)[-1]
            raise ContractError(
                f"{bench.where}: {check.__name__} was stopped; expected no exception, found {type(error).__name__}: {line} "
                f"({Path(last.filename).name}:{last.lineno})"
            ) from error


def _check(case: Case, expected: Mapping[str, str]) -> None:
    checks = CHECKS[case.kind]
    _known(expected, [check.__name__ for check in checks])
    bench, failures = cache(partial(Bench, case)), []
    for check in checks:
        try:
            _run(bench, check)
        except ContractError as error:
            if check.__name__ not in expected:
                failures.append(f"{check.__name__}: {error}")
        else:
            if check.__name__ in expected:
                reason = expected[check.__name__]
                failures.append(f"{check.__name__}: {case} passes; expected a failure ({reason}): drop the expectation")
    if failures:
        raise ContractError("\n".join(failures))


def _names(case: Case, check: Check) -> tuple[str, str]:
    return check.__name__, f"{case.id}:{check.__name__}"


def _known(expected: Mapping[str, str], names: Sequence[str]) -> None:
    for name in expected:
        if name not in names:
            raise ConfigError(f"expected_failures: no check {name!r}{did_you_mean(name, names)}")
