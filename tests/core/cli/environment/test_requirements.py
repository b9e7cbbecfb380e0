"""Requirements are compared with what is installed, by extra; the installed packages themselves are not imported."""

from __future__ import annotations

from polygan.cli.environment.machine import bound_of, unmet, version_of


def test_what_is_absent_or_of_another_version_is_named_with_its_extra(distributions):
    distributions("thing", "2.0")
    distributions("fine", "1.5")
    distributions(
        "polygan-x",
        requires=[
            "thing<2",
            "fine>=1",
            "nobody-has-this>=3; extra == 'rare'",
            "fine; extra == 'rare'",
            "nobody-builds-this; extra == 'dev'",
            "nobody-on-this-system; sys_platform == 'plan9'",
        ],
    )
    found = [(n.extra, n.package, n.wanted, n.found) for n in unmet(["polygan-x"])]
    assert found == [("", "thing", "thing<2", "2.0"), ("rare", "nobody-has-this", "nobody-has-this>=3", "")]
    assert [n.what for n in unmet(["polygan-x"])] == ["thing<2 (2.0 is installed)", "nobody-has-this>=3"]


def test_a_distribution_that_is_not_installed_requires_nothing(distributions):
    assert unmet(["polygan-nobody"]) == []
    assert version_of("polygan-nobody") == ""


def test_the_bound_of_a_package_is_the_one_that_a_distribution_sets(distributions):
    distributions("polygan-a", requires=["thing>=1"])
    distributions("polygan-b", requires=["thing<2,>=1"])
    assert bound_of("thing", ["polygan-a", "polygan-b"]) == "thing<2,>=1"
    assert bound_of("thing", ["polygan-a"]) == "thing"
