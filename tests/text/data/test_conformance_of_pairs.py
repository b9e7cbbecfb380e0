"""Data with pairs is held to `polygan.testing`: the set debian and the domain."""

from __future__ import annotations

from pathlib import Path

from polygan.testing import Case, parametrize_with_checks

FILE = str(Path(__file__).parents[2] / "golden/debian/Translation-en")
PAIRS = {"source": "debian", "file": FILE, "given_length": 12}


@parametrize_with_checks([Case("debian", {"file": FILE}, kind="dataset"), Case("text", PAIRS, kind="domain")])
def test_contract(check):
    check()
