"""Devices are chosen by name or refused, and the automatic precision follows the hardware."""

from __future__ import annotations

import pytest
import torch

import polygan
from polygan.training.distributed import choose_device, resolve_precision


def test_auto_precision():
    assert resolve_precision("auto", torch.device("cpu")) in ("bf16", "fp32")
    assert resolve_precision("bf16", torch.device("meta")) == "fp32"


def test_devices_are_chosen():
    assert choose_device("cpu").type == choose_device("cpu:0").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(
    ("cuda", "mps", "processes", "chosen"),
    [
        (True, True, 1, "cuda"),
        (False, True, 1, "mps"),
        (False, True, 2, "cpu"),  # no process group moves tensors of mps
        (False, False, 1, "cpu"),
    ],
)
def test_auto_takes_cuda_then_mps_then_the_cpu(cuda, mps, processes, chosen, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto", processes=processes).type == chosen


def test_mps_computes_in_fp32_unless_another_precision_is_asked_for():
    assert resolve_precision("auto", torch.device("mps")) == "fp32"
    assert resolve_precision("bf16", torch.device("mps")) == "bf16"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpu", r"is not a device \(did you mean 'cpu'\?\)"),
        ("banana", "is not a device"),
        ("cup", r"is not a device \(did you mean 'cpu'\?\)"),
        ("cuda:-1", "is not a device"),
        ("", "is not a device"),
        ("cuda:97", "is absent"),
        ("cpu:3", "is absent"),
        ("xpu", "is of a kind that polygan cannot train on"),
        ("hpu", "is of a kind that polygan cannot train on"),
        ("meta", "is of a kind that polygan cannot train on"),
        ("vulkan", "is of a kind that polygan cannot train on"),
        ("xla:1", "is of a kind that polygan cannot train on"),
    ],
)
def test_a_device_that_is_not_here_is_one_line_that_names_those_that_are(name, words):
    with pytest.raises(
        polygan.ConfigError, match=f"^device '{name}' {words}: torch .* has cpu.* here; use --device auto or"
    ) as error:
        choose_device(name)
    assert "\n" not in str(error.value)


def test_the_devices_of_a_machine_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda", local_rank=1) == torch.device("cuda", 1)
    with pytest.raises(polygan.ConfigError, match=r"has cpu, cuda:0, cuda:1 here; use --device auto or cuda:1$"):
        choose_device("cuda:2")
