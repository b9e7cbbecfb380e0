"""Whole iterations play on the meta device, and a value read or a tensor on a fixed device is named with its turn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from polygan import testing
from toy_gan import MLPGAN, Config

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from toy_trainer import Points


@pytest.mark.parametrize(
    "config", [{}, {"r1": 1.0}, {"r1": 1.0, "r1_every": 4}, {"policy": True}, {"batch_norm": True}]
)
def test_whole_iterations_play_on_the_meta_device(config):
    testing.check_devices(MLPGAN(Config(**config), {}), Points(8).batch(0), accumulate=2)


def test_fp32_islands_play_on_the_meta_device():
    class Island(MLPGAN):
        def d(self, ctx, batch):
            with ctx.fp32():
                return super().d(ctx, batch)

    testing.check_devices(Island(Config(), {}), Points(8).batch(0))


def test_a_value_read_inside_a_step_is_caught():
    with pytest.raises(testing.ContractError, match=r"turn 'd'.*read a value"):
        testing.check_devices(MLPGAN(Config(sync=True), {}), Points(8).batch(0))


def test_a_tensor_on_a_fixed_device_is_caught():
    class Fixed(MLPGAN):
        def g(self, ctx, batch):
            return {"x": (ctx["generator"](ctx.noise.normal(8, 4)) - torch.ones(8, 2)).mean()}

    with pytest.raises(testing.ContractError, match="turn 'g'"):
        testing.check_devices(Fixed(Config(), {}), Points(8).batch(0))
