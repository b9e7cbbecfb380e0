"""The draw is exact: against the distribution it is given, at the edges, and where probabilities are zero."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polygan_text.categorical import draw


@pytest.mark.parametrize("size", [2, 7, 100, 101, 5000])
def test_frequencies_pass_a_chi_square_test(size):
    generator = torch.Generator().manual_seed(size)
    p = torch.randn(size, generator=generator).mul(1.5).softmax(0)
    n = 200_000
    drawn = torch.cat([draw(p.expand(2000, size), torch.rand(2000, 2, generator=generator)) for _ in range(n // 2000)])
    counts = torch.bincount(drawn, minlength=size).double()
    expected = p.double() / p.double().sum() * n
    order = expected.argsort(descending=True)  # rare tokens share a cell, so that each expects 5 or more
    cells = (expected[order].cumsum(0) / 20).floor().long()
    seen, wanted = (
        torch.zeros(int(cells[-1]) + 1).double().scatter_add_(0, cells, x[order]) for x in (counts, expected)
    )
    seen, wanted = seen[wanted >= 5], wanted[wanted >= 5]
    statistic, freedom = float(((seen - wanted).square() / wanted).sum()), len(seen) - 1
    # Wilson and Hilferty's approximation of the quantile at 1 - 1e-4.
    limit = max(freedom, 1) * (1 - 2 / (9 * max(freedom, 1)) + 3.72 * (2 / (9 * max(freedom, 1))) ** 0.5) ** 3
    assert statistic < limit


def test_rows_are_drawn_from_their_own_distributions():
    p = torch.zeros(300, 250)
    truth = torch.randint(250, (300,), generator=torch.Generator().manual_seed(0))
    p[torch.arange(300), truth] = 1.0
    assert torch.equal(draw(p, torch.rand(300, 2)), truth)


@given(st.integers(1, 230), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_what_has_no_probability_is_never_drawn(size, seed):
    generator = torch.Generator().manual_seed(seed)
    p = torch.rand(64, size, generator=generator) * (torch.rand(64, size, generator=generator) < 0.3)
    p[:, seed % size] += 1e-3
    below_one = 1 - 2.0**-24
    for u in (0.0, 0.5, below_one):
        token = draw(p, torch.full((64, 2), u))
        assert (p.gather(1, token[:, None]) > 0).all()
        assert ((token >= 0) & (token < size)).all()


def test_scale_does_not_matter():
    p, u = torch.rand(50, 300), torch.rand(50, 2)
    assert torch.equal(draw(p, u), draw(p * 8, u))
