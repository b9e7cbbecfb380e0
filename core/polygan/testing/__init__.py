"""Checks that a plugin's recipes, domains, data sets and metrics can be held to, for the authors of plugins.

    from polygan.testing import Case, parametrize_with_checks

    @parametrize_with_checks([Case("points/mlp", data="ring", model={"width": 8}), Case("points", data="ring", kind="domain")])
    def test_contract(check):
        check()

Each check is a function with a name of its own; a broken contract is a `ContractError` that says which, where, and shows what
was expected and what was found. Checks need no network and no fixtures, and write into temporary folders of their own.
"""

from .bench import Case, ContractError
from .recipe_checks import RepeatedBatch, check_devices, check_prefix
from .suite import CHECKS, check_dataset, check_domain, check_metric, check_recipe, parametrize_with_checks

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
