"""The specs that hooks return are checked."""

from __future__ import annotations

import pytest

from polygan.plugins import load_catalogue


@pytest.mark.parametrize("id", ["band", "music/", "/band", "a/b/c", "music/my band", "music/../x", "Music/Band", ""])
@pytest.mark.parametrize("kind", ["Recipe", "Metric"])
def test_ids_of_recipes_and_metrics_are_domain_and_name(site, kind, id):
    site.install("broken", f"@hookimpl\ndef polygan_{kind.lower()}s(): return [{kind}Spec({id!r}, 'a:b', '')]")
    assert f"id {id!r} is not allowed: use domain/name" in site.only(load_catalogue()).reason


@pytest.mark.parametrize("id", ["music/x", "..", "a b", "-a", "Music"])
def test_ids_of_domains_are_one_name(site, id):
    site.install("broken", f"@hookimpl\ndef polygan_domains(): return [DomainSpec({id!r}, 'a:b', '')]")
    assert f"id {id!r} is not allowed: use one name" in site.only(load_catalogue()).reason


def test_a_switch_of_a_spec_is_true_or_false(site):
    site.install("broken", "@hookimpl\ndef polygan_metrics(): return [MetricSpec('a/b', 'a:b', '', needs_pairs='yes')]")
    assert "needs_pairs of 'a/b' is 'yes': make it True or False" in site.only(load_catalogue()).reason
