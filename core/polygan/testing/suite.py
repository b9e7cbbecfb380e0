"""The conformance suite: the checks of each kind, and the functions that run them."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from ..errors import ConfigError, did_you_mean
from ..testing import data_checks, recipe_checks
from .bench import Bench, Case
from .contracts import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

    from .bench import Data

    Check = Callable[[Bench], None]

_RECIPE = [
    recipe_checks.check_recipe_settings_survive_yaml_and_options,
    recipe_checks.check_recipe_terms_are_finite,
    recipe_checks.check_recipe_gradients_reach_only_acting_players,
    recipe_checks.check_recipe_seed_decides,
    recipe_checks.check_recipe_resumes_to_the_bit,
    recipe_checks.check_recipe_saves_and_loads,
    recipe_checks.check_recipe_generates_as_many_as_asked,
    recipe_checks.check_recipe_generation_follows_the_seed,
    recipe_checks.check_recipe_samples_can_be_written_and_shown,
    recipe_checks.check_recipe_critic_judges_each_sample,
    recipe_checks.check_recipe_plays_on_the_meta_device,
]
_SOURCE = [
    data_checks.check_source_is_what_it_says,
    data_checks.check_source_decodes_what_its_fields_say,
    data_checks.check_source_fingerprint_repeats,
]
_DOMAIN = [
    data_checks.check_domain_refuses_what_is_not_there,
    data_checks.check_domain_collates_by_draws_alone,
    data_checks.check_domain_prepares_finite_batches,
    data_checks.check_domain_real_samples_are_its_rows,
    data_checks.check_domain_writes_and_draws,
    data_checks.check_domain_features_repeat,
]
_METRIC = [
    data_checks.check_metric_returns_finite_scores,
    data_checks.check_metric_repeats,
    data_checks.check_metric_leaves_networks_alone,
]
_LISTED = recipe_checks.check_is_listed_without_torch
CHECKS: Mapping[str, Sequence[Check]] = {
    "recipe": [_LISTED, *_RECIPE],
    "domain": [_LISTED, *_SOURCE, *_DOMAIN],
    "dataset": [_LISTED, *_SOURCE, data_checks.check_dataset_is_decoded_into_a_store],
    "metric": [_LISTED, *_METRIC],
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
        ready = _Ready(case)
        for check in CHECKS[case.kind]:
            reasons = [expected[name] for name in _names(case, check) if name in expected]
            marks = [pytest.mark.xfail(reason=reasons[0], raises=ContractError, strict=True)] if reasons else []
            parameters.append(pytest.param(_Call(ready, check), marks=marks, id=f"{case.id}-{check.__name__}"))
    return pytest.mark.parametrize("check", parameters)


class _Ready:
    """Makes the bench of a case at the first check, and shares the bench with the other checks."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.bench: Bench | None = None

    def get(self) -> Bench:
        if self.bench is None:
            self.bench = Bench(self.case)
        return self.bench


class _Call:
    """A check of a case as a function without arguments."""

    def __init__(self, ready: _Ready, check: Check) -> None:
        self.ready, self.check = ready, check

    def __repr__(self) -> str:
        return f"{self.check.__name__} of {self.ready.case}"

    def __call__(self) -> None:
        _run(self.ready.get(), self.check)


def _run(bench: Bench, check: Check) -> None:
    """Run a check. Any error of the plugin is a broken contract too; a faulty case is a ConfigError."""
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
    bench, failures = Bench(case), []
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
