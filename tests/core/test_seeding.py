"""Noise depends on its counters alone, never on the number of processes or of rows."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from polygan.seeding import Noise, mix, preserved_generators, seed_everything


def test_mix_depends_on_every_counter_and_their_order():
    seeds = {mix(*c) for c in [(0,), (0, 0), (1, 0), (0, 1), (-1,), (2**40, 5), (5, 2**40)]}
    assert len(seeds) == 7
    assert all(0 <= s < 2**63 for s in seeds)
    assert mix(1, 2, 3) == mix(1, 2, 3)


def test_every_global_generator_is_seeded():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    seed_everything(7)
    first = draw()
    seed_everything(7)
    assert draw() == first
    seed_everything(8)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


@pytest.mark.parametrize("kind", ["normal", "uniform", "integers"])
def test_shares_stacked_are_the_whole(kind):
    def draw(n, part, parts):
        noise = Noise().reset(1, 2, part=part, parts=parts)
        return [noise.integers(10, n, 3) if kind == "integers" else getattr(noise, kind)(n, 3) for _ in range(2)]

    whole = draw(12, 0, 1)
    for parts in (2, 3, 4):
        shares = [draw(12 // parts, p, parts) for p in range(parts)]
        for call in range(2):
            assert torch.equal(torch.cat([s[call] for s in shares]), whole[call])
    assert not torch.equal(whole[0], whole[1])
    assert not torch.equal(Noise().reset(1, 3).normal(12, 3), Noise().reset(1, 2).normal(12, 3))


def test_with_blocks_a_row_does_not_depend_on_the_number_of_rows():
    few, many = (Noise(block=64).reset(5).normal(n, 7) for n in (3, 200))
    assert torch.equal(few, many[:3])
    assert not torch.equal(many[:64], many[64:128])


def test_distributions():
    noise = Noise().reset(0)
    normal, uniform, integers = noise.normal(20_000), noise.uniform(20_000), noise.integers(4, 20_000)
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    assert abs(uniform.mean() - 0.5) < 0.01
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert torch.bincount(integers).float().div(20_000).sub(0.25).abs().max() < 0.02


def test_the_generator_of_mps_is_seeded_and_restored(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.mps, "manual_seed", lambda seed: calls.append(("seed", seed)))
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "before")
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda state: calls.append(("restored", state)))
    with preserved_generators(torch.device("mps")):
        seed_everything(7, torch.device("mps"))
    assert calls == [("seed", 7), ("restored", "before")]
