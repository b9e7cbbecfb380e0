"""Two processes equal one with the whole batch, and runs of theirs that were stopped equal those that were not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from worlds import launch

WORKER = Path(__file__).with_name("world_worker.py")
CASES = ["stylegan-ada-path", "r3gan-ada", "colorize", "superres-camera"]
WITH_BATCH_NORM = "dcgan"  # measured a process: its numbers depend on how many there are


@pytest.fixture(scope="module")
def worlds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worlds")
    return launch(WORKER, {size: folder / f"{size}.safetensors" for size in (1, 2)})


@pytest.mark.parametrize("case", CASES)
def test_two_processes_equal_one_with_the_whole_batch(worlds, case):
    names = [name for name in worlds[1] if name.startswith(f"{case}/0/")]
    assert len(names) > 40
    for name in names:
        one, two = worlds[1][name], worlds[2][name]
        difference = (two - one).abs().max().item()
        assert difference <= 1e-8 * max(1, one.abs().max().item()), f"{name}: {difference}"


@pytest.mark.parametrize("size", [1, 2])
def test_the_buffers_have_moved(worlds, size):
    """Else the proofs about them would be empty."""
    for case in ("stylegan-ada-path", "r3gan-ada"):
        p = worlds[size][f"{case}/0/augmentationFalse.p"].item()
        assert 0 < p < 1
        assert p != 0.5
    state = {
        k.rpartition(".")[2]: v for k, v in worlds[size].items() if k.startswith("stylegan-ada-path/0/generatorFalse")
    }
    assert state["path_mean"] > 0
    assert state["mean_latent"].abs().min() > 0
    assert worlds[size]["colorize/0/stopFalse.worse"].item() == 1
    assert worlds[size]["colorize/0/stopFalse.stopped"].item() == 1


@pytest.mark.parametrize("case", [*CASES, WITH_BATCH_NORM])
@pytest.mark.parametrize("size", [1, 2])
def test_stopped_and_resumed_is_the_same_to_the_bit(worlds, case, size):
    for name, value in worlds[size].items():
        if name.startswith(f"{case}/0/"):
            assert torch.equal(value, worlds[size][name.replace("/0/", "/1/", 1)]), name
