"""Runs that an earlier polygan made: they generate and resume as they did there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import polygan

GOLDEN = Path(__file__).parents[1] / "golden/runs-of-format-1"
CLOSE = {"rtol": 0, "atol": 1e-5}  # equal to the bit where the processor is the same


@pytest.fixture(params=["seqgan", "dcgan"])
def older(request, tmp_path):
    shutil.copytree(GOLDEN / request.param, tmp_path / request.param)
    return tmp_path / request.param


def values(samples):
    return samples.data if torch.is_tensor(samples.data) else samples.extra["tokens"]


def generated(run):
    """What a run of an earlier polygan generated: ``<unk>`` was not left out then."""
    return values(run.generate(8, seed=3, **({"unknown": True} if run.settings.recipe == "text/seqgan" else {})))


def test_it_generates_what_it_did(older):
    expected = load_file(GOLDEN / f"{older.name}-before.safetensors")["samples"]
    torch.testing.assert_close(generated(polygan.load(older, device="cpu")), expected, **CLOSE)


def test_it_resumes_as_it_did(older):
    run = polygan.resume(older, steps=9, quiet=True)
    expected = load_file(GOLDEN / f"{older.name}-expected.safetensors")
    found = {f"{n}.{k}": v for n, network in run.networks.items() for k, v in network.state_dict().items()}
    found["samples"] = generated(run)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, **CLOSE)
    again = polygan.load(older, device="cpu")  # also from what this version wrote over it
    assert torch.equal(generated(again), found["samples"])
