"""Conformance checks of recipes, domains, data sets and metrics, for the authors of plugins.

    from polygan.testing import Case, parametrize_with_checks

    @parametrize_with_checks([Case("points/mlp", data="ring", model={"width": 8}), Case("points", data="ring", kind="domain")])
    def test_contract(check):
        check()

Each check is a function with its own name. A broken contract is a `ContractError`: its message names the contract and the place,
and shows expected and found values. Checks need no network and no fixtures, and write into temporary folders.
"""

from .bench import Case
from .recipe_checks import check_prefix
from .suite import CHECKS, check_dataset, check_domain, check_metric, check_recipe, parametrize_with_checks
from .watched import ContractError, RepeatedBatch, check_devices

__all__ = [
    "CHECKS",
    "Case",
    "ContractError",
    "RepeatedBatch",
    "check_dataset",
    "check_devices",
    "check_domain",
    "check_metric",
    "check_prefix",
    "check_recipe",
    "parametrize_with_checks",
]
