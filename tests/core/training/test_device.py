"""Devices are chosen by name or refused, and the automatic precision follows the hardware."""

from __future__ import annotations

import pytest
import torch

import polygan
from polygan.training.device import choose_device, resolve_precision


def test_auto_precision():
    assert resolve_precision("auto", torch.device("cpu")) in ("bf16", "fp32")
    assert resolve_precision("bf16", torch.device("meta")) == "fp32"


def test_devices_are_chosen_or_refused():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(polygan.ConfigError, match="'gpu' is not a device"):
        choose_device("gpu")
    with pytest.raises(polygan.ConfigError, match=r"cuda:97 is absent.*--device cpu"):
        choose_device("cuda:97")
